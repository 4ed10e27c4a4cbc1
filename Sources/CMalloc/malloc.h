// The settings of the C library's allocator, which Swift's own map of the C library leaves out.
#include_next <malloc.h>
