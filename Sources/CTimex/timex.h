// The clock as the kernel keeps it: whether something keeps it right.
#include <sys/timex.h>
