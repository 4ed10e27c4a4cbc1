// Loaded into a program (LD_PRELOAD) it makes the disk below one folder go bad, and well again, while the program runs:
// a real file system turns read-only only where nothing is open for writing, and does not come back under an open file.
//
// PAYONCE_BAD_DISK names the folder, PAYONCE_BAD_DISK_MODE a file whose first byte says what the disk does:
//   'r' refuses every write, as a read-only file system does
//   's' takes writes and fails to make them durable
//   'h' does not answer what is written, until the byte changes
//   'a' does not answer at all
// anything else: works.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *folder;
static const volatile char *mode;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("PAYONCE_BAD_DISK_MODE");
  folder = getenv("PAYONCE_BAD_DISK");
  int file = path ? open(path, O_RDONLY) : -1;
  if (!folder || file < 0) abort();
  void *map = mmap(NULL, 1, PROT_READ, MAP_SHARED, file, 0);
  if (map == MAP_FAILED) abort();
  mode = map;
  close(file);
}

static int is_ours(int file) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  return length > 0 && !strncmp(path, folder, strlen(folder));
}

// What becomes of a call that has to do with our folder where the disk is bad in this way: 0, or the error.
static int fault(int is_ours, char bad, int error) {
  if (!is_ours) return 0;
  while (*mode == 'h' || *mode == 'a') usleep(5000);
  return *mode == bad ? error : 0;
}

static int is_bad(void) { return mode && *mode && strchr("rsha", *mode); }
static int written(int file) { return is_bad() ? fault(is_ours(file), 'r', EROFS) : 0; }
static int synced(int file) { return is_bad() ? fault(is_ours(file), 's', EIO) : 0; }

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL(error) do { int e = (error); if (e) { errno = e; return -1; } } while (0)

static void read_from(int file) {
  while (mode && *mode == 'a' && is_ours(file)) usleep(5000);
}

ssize_t pread(int file, void *bytes, size_t count, off_t at) {
  read_from(file);
  return REAL(pread)(file, bytes, count, at);
}

ssize_t pread64(int file, void *bytes, size_t count, off64_t at) {
  read_from(file);
  return REAL(pread64)(file, bytes, count, at);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
  FAIL(written(file));
  return REAL(pwrite)(file, bytes, count, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
  FAIL(written(file));
  return REAL(pwrite64)(file, bytes, count, at);
}

int ftruncate(int file, off_t size) {
  FAIL(written(file));
  return REAL(ftruncate)(file, size);
}

int ftruncate64(int file, off64_t size) {
  FAIL(written(file));
  return REAL(ftruncate64)(file, size);
}

int unlink(const char *path) {
  FAIL(is_bad() ? fault(!strncmp(path, folder, strlen(folder)), 'r', EROFS) : 0);
  return REAL(unlink)(path);
}

int fsync(int file) {
  FAIL(synced(file));
  return REAL(fsync)(file);
}

int fdatasync(int file) {
  FAIL(synced(file));
  return REAL(fdatasync)(file);
}
