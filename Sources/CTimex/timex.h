// The kernel's clock state, which tells whether something keeps the clock synchronized.
#include <sys/timex.h>
