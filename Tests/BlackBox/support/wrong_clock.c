// A date that is wrong for one program: loaded before it (LD_PRELOAD), and told by a file of two numbers of eight bytes.
// The first is by how many seconds the date is ahead; the second is 1 where the system says that its clock is kept right.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *told;
static int (*real_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
  real_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  const char *path = getenv("PAYONCE_WRONG_CLOCK");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *memory = mmap(NULL, 16, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (memory != MAP_FAILED) told = memory;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  if (!real_gettime) real_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int result = real_gettime(clock, time);
  if (result == 0 && told && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += told[0];
  return result;
}

int adjtimex(struct timex *state) {
  memset(state, 0, sizeof *state);
  int isKept = told && told[1] == 1;
  state->status = isKept ? 0 : STA_UNSYNC;
  return isKept ? TIME_OK : TIME_ERROR;
}
