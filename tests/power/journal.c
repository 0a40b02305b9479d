/* Writes down what a process does to the files of one folder, in order: opens, writes, truncations, syncs, removals.

   LD_PRELOAD it; JOURNAL is the file to write to, JOURNAL_FOLDER the folder to watch. A record is
   { char kind; int32 file; int64 offset; int32 length; } and then `length` bytes: of an open and a removal the path, of a
   write what was written. `file` is the number of the open file's path; a truncation's offset is the new size. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define FILES 4096
static int number_of[FILES]; /* descriptor -> 1 + number of its path */
static int paths, out = -1;
static const char *folder;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static ssize_t (*real_write)(int, const void *, size_t);

#pragma pack(push, 1)
struct record { char kind; int32_t file; int64_t offset; int32_t length; };
#pragma pack(pop)

__attribute__((constructor)) static void begin(void) {
  real_write = dlsym(RTLD_NEXT, "write");
  const char *journal = getenv("JOURNAL");
  folder = getenv("JOURNAL_FOLDER");
  int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
  if (journal && folder) out = real_open(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void note(char kind, int file, int64_t offset, const void *data, size_t length) {
  struct record record = {kind, file, offset, (int32_t)length};
  real_write(out, &record, sizeof record);
  if (length) real_write(out, data, length);
}

static int watched(int fd) { return out >= 0 && fd >= 0 && fd < FILES && number_of[fd]; }

static int opened(int fd, const char *path) {
  if (out < 0 || fd < 0 || fd >= FILES) return fd;
  pthread_mutex_lock(&lock);
  number_of[fd] = 0;
  if (strncmp(path, folder, strlen(folder)) == 0) {
    number_of[fd] = ++paths;
    note('o', paths, 0, path, strlen(path));
  }
  pthread_mutex_unlock(&lock);
  return fd;
}

#define OPEN(name)                                                                   \
  int name(const char *path, int flags, ...) {                                       \
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
    static int (*real)(const char *, int, ...);                                      \
    if (!real) real = dlsym(RTLD_NEXT, #name);                                       \
    return opened(real(path, flags, mode), path);                                    \
  }
OPEN(open)
OPEN(open64)

int openat(int at, const char *path, int flags, ...) {
  va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest);
  static int (*real)(int, const char *, int, ...);
  if (!real) real = dlsym(RTLD_NEXT, "openat");
  return opened(real(at, path, flags, mode), path);
}

int close(int fd) {
  static int (*real)(int);
  if (!real) real = dlsym(RTLD_NEXT, "close");
  if (fd >= 0 && fd < FILES) number_of[fd] = 0;
  return real(fd);
}

/* The lock is held over the call itself, so that the order written down is the order done. */
#define PWRITE(name)                                                                 \
  ssize_t name(int fd, const void *data, size_t length, off_t offset) {              \
    static ssize_t (*real)(int, const void *, size_t, off_t);                        \
    if (!real) real = dlsym(RTLD_NEXT, #name);                                       \
    if (!watched(fd)) return real(fd, data, length, offset);                         \
    pthread_mutex_lock(&lock);                                                       \
    ssize_t done = real(fd, data, length, offset);                                   \
    if (done > 0) note('w', number_of[fd], offset, data, (size_t)done);              \
    pthread_mutex_unlock(&lock);                                                     \
    return done;                                                                     \
  }
PWRITE(pwrite)
PWRITE(pwrite64)

ssize_t write(int fd, const void *data, size_t length) {
  if (!watched(fd)) return real_write(fd, data, length);
  pthread_mutex_lock(&lock);
  off_t offset = lseek(fd, 0, SEEK_CUR);
  ssize_t done = real_write(fd, data, length);
  if (done > 0) note('w', number_of[fd], offset, data, (size_t)done);
  pthread_mutex_unlock(&lock);
  return done;
}

#define TRUNCATE(name)                                                               \
  int name(int fd, off_t size) {                                                     \
    static int (*real)(int, off_t);                                                  \
    if (!real) real = dlsym(RTLD_NEXT, #name);                                       \
    if (!watched(fd)) return real(fd, size);                                         \
    pthread_mutex_lock(&lock);                                                       \
    int done = real(fd, size);                                                       \
    if (done == 0) note('t', number_of[fd], size, NULL, 0);                          \
    pthread_mutex_unlock(&lock);                                                     \
    return done;                                                                     \
  }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

/* A sync makes durable what was written before it began; it is written down when it has returned. */
#define SYNC(name)                                                                   \
  int name(int fd) {                                                                 \
    static int (*real)(int);                                                         \
    if (!real) real = dlsym(RTLD_NEXT, #name);                                       \
    if (!watched(fd)) return real(fd);                                               \
    pthread_mutex_lock(&lock);                                                       \
    int done = real(fd);                                                             \
    if (done == 0) note('s', number_of[fd], 0, NULL, 0);                             \
    pthread_mutex_unlock(&lock);                                                     \
    return done;                                                                     \
  }
SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path) {
  static int (*real)(const char *);
  if (!real) real = dlsym(RTLD_NEXT, "unlink");
  if (out < 0 || strncmp(path, folder, strlen(folder)) != 0) return real(path);
  pthread_mutex_lock(&lock);
  int done = real(path);
  if (done == 0) note('u', 0, 0, path, strlen(path));
  pthread_mutex_unlock(&lock);
  return done;
}
