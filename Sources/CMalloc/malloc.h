// The settings of the C library's allocator. Swift's own map of the C library leaves them out.
#include_next <malloc.h>
