/*
 * Applications that must not notice that the daemon of their mount dies: each role works in a directory until its standard input ends, checks every answer
 * and every byte, and measures how long its longest step took. Usage: applications ROLE DIRECTORY SEED. Prints "steps longest-ms" and ends with status 0, or with 1 and
 * a line that says what went wrong.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition) \
  do { \
    if (!(condition)) fail(#condition, __LINE__); \
  } while (0)

enum { FILE_BYTES = 1 << 20, LISTED = 1500 };

static unsigned long steps;
static double longestMs;
static uint64_t randomState;
static char bytes[FILE_BYTES], expected[FILE_BYTES];

static void fail(const char *what, int line) {
  const int error = errno;
  printf("line %d, step %lu: %s: %s\n", line, steps, what, strerror(error));
  exit(1);
}

static double nowMs(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static unsigned below(unsigned limit) {
  randomState = randomState * 6364136223846793005ull + 1442695040888963407ull;
  return (unsigned)(randomState >> 33) % limit;
}

static void fill(char *at, size_t length) {
  for (size_t i = 0; i < length; i++) at[i] = (char)below(256);
}

/* What the page cache holds would be read without asking anybody. */
static void readBack(int fd, size_t length) {
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  CHECK(pread(fd, bytes, length, 0) == (ssize_t)length);
  CHECK(memcmp(bytes, expected, length) == 0);
}

static int made(const char *name, int flags) {
  const int fd = open(name, O_RDWR | O_CREAT | flags, 0644);
  CHECK(fd >= 0);
  return fd;
}

static int file = -1;
static size_t size;

static void writeSomewhere(unsigned most) {
  const size_t length = 1 + below(most);
  const size_t offset = below((unsigned)(FILE_BYTES - length));
  fill(expected + offset, length);
  CHECK(pwrite(file, expected + offset, length, (off_t)offset) == (ssize_t)length);
  if (offset + length > size) size = offset + length;
}

static void stepWriter(void) {
  if (file < 0) file = made("written", 0);
  writeSomewhere(below(8) == 0 ? 300000 : 20000);
  if (below(3) == 0) CHECK(fsync(file) == 0);
  if (below(20) == 0) readBack(file, size);
  if (below(40) == 0) {
    size = below((unsigned)size + 1);
    CHECK(ftruncate(file, (off_t)size) == 0);
    memset(expected + size, 0, FILE_BYTES - size);
  }
}

/* Small writes, each of them synced: what databases do, and what the log answers for. */
static void stepCommitter(void) {
  if (file < 0) {
    file = made("committed", 0);
    fill(expected, 65536);
    CHECK(pwrite(file, expected, 65536, 0) == 65536);
  }
  const size_t offset = below(120) * 512;
  fill(expected + offset, 512);
  CHECK(pwrite(file, expected + offset, 512, (off_t)offset) == 512);
  CHECK(fdatasync(file) == 0);
  if (below(10) == 0) readBack(file, 65536);
}

static void stepAppender(void) {
  if (file < 0) file = made("appended", O_APPEND);
  const size_t length = 1 + below(5000);
  if (size + length > FILE_BYTES) {
    CHECK(ftruncate(file, 0) == 0);
    size = 0;
  }
  fill(expected + size, length);
  CHECK(write(file, expected + size, length) == (ssize_t)length);
  size += length;
  if (below(5) == 0) CHECK(fsync(file) == 0);
  if (below(15) == 0) readBack(file, size);
}

static void stepMapper(void) {
  static char *mapped;
  if (file < 0) {
    file = made("mapped", 0);
    CHECK(ftruncate(file, FILE_BYTES) == 0);
    mapped = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(mapped != MAP_FAILED);
    size = FILE_BYTES;
  }
  const size_t offset = below(FILE_BYTES - 5000);
  fill(expected + offset, 5000);
  memcpy(mapped + offset, expected + offset, 5000);
  if (below(10) == 0) CHECK(msync(mapped, FILE_BYTES, MS_SYNC) == 0);
  if (below(20) == 0) readBack(file, FILE_BYTES);
  usleep(500);
}

/* Files that are open, and have no name any more or never had one. */
static void stepNameless(void) {
  static int other = -1;
  if (file < 0) {
    file = made("doomed", O_EXCL);
    CHECK(unlink("doomed") == 0);
    other = open(".", O_TMPFILE | O_RDWR, 0600);
    CHECK(other >= 0);
    fill(expected, 65536);
    CHECK(pwrite(other, expected, 65536, 0) == 65536);
    CHECK(pwrite(file, expected, 65536, 0) == 65536);
  }
  const size_t offset = below(60000);
  fill(expected + offset, 5000);
  CHECK(pwrite(file, expected + offset, 5000, (off_t)offset) == 5000);
  CHECK(pwrite(other, expected + offset, 5000, (off_t)offset) == 5000);
  if (below(4) == 0) CHECK(fsync(below(2) ? file : other) == 0);
  struct stat st;
  CHECK(fstat(file, &st) == 0 && st.st_nlink == 0);
  if (below(10) == 0) readBack(below(2) ? file : other, 65000);
}

static ino_t inodeOf(const char *name) {
  struct stat st;
  CHECK(lstat(name, &st) == 0);
  return st.st_ino;
}

static void stepNames(void) {
  char a[40], b[40];
  snprintf(a, sizeof a, "a%lu", steps);
  snprintf(b, sizeof b, "b%lu", steps);
  const int one = made(a, O_EXCL);
  CHECK(write(one, "x", 1) == 1 && close(one) == 0);
  CHECK(setxattr(a, "user.k", "v", 1, XATTR_CREATE) == 0);
  CHECK(setxattr(a, "user.k", "w", 1, XATTR_REPLACE) == 0);
  CHECK(removexattr(a, "user.k") == 0);
  CHECK(link(a, b) == 0 && inodeOf(a) == inodeOf(b));
  CHECK(unlink(a) == 0);
  CHECK(symlink(b, a) == 0);
  const ino_t linkInode = inodeOf(a), fileInode = inodeOf(b);
  CHECK(renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) == 0);
  CHECK(inodeOf(a) == fileInode && inodeOf(b) == linkInode);
  CHECK(rename(a, b) == 0 && inodeOf(b) == fileInode);
  CHECK(access(a, F_OK) != 0 && errno == ENOENT);
  CHECK(mkdir(a, 0755) == 0);
  CHECK(renameat2(AT_FDCWD, a, AT_FDCWD, "moved", RENAME_NOREPLACE) == 0);
  CHECK(chmod(b, 0600) == 0);
  CHECK(rename(b, "moved/inside") == 0 && inodeOf("moved/inside") == fileInode);
  CHECK(mknod("pipe", S_IFIFO | 0600, 0) == 0 && unlink("pipe") == 0);
  CHECK(unlink("moved/inside") == 0 && rmdir("moved") == 0);
}

/* The test has made the files. */
static void stepLister(void) {
  DIR *listing = opendir(".");
  CHECK(listing != NULL);
  int count = 0;
  for (;;) {
    errno = 0;
    const struct dirent *entry = readdir(listing);
    if (entry == NULL) break;
    if (entry->d_name[0] != '.') count++;
    if (count % 100 == 0) usleep(2000);
  }
  CHECK(errno == 0 && count == LISTED);
  CHECK(closedir(listing) == 0);
  /* What was listed once is listed from memory, until something changes. */
  CHECK(close(made("more", O_EXCL)) == 0 && unlink("more") == 0);
}

/* The test has put "past" there before the moment it pinned. The directory is one below ".snapshots". */
static void stepPast(void) {
  static int walked = -1;
  struct stat st;
  if (file < 0) {
    file = open("past", O_RDONLY);
    CHECK(file >= 0 && fstat(file, &st) == 0);
    size = (size_t)st.st_size;
    CHECK(pread(file, expected, size, 0) == (ssize_t)size);
    walked = open("deep/er", O_RDONLY | O_DIRECTORY);
    CHECK(walked >= 0);
  }
  readBack(file, size);
  CHECK(fstat(file, &st) == 0 && (size_t)st.st_size == size);
  CHECK(lseek(file, 0, SEEK_DATA) == 0);
  /* Once through a directory that is open, once by a path from the directory we stand in. */
  const int inner = openat(walked, below(2) ? "inner" : "../er/inner", O_RDONLY);
  CHECK(inner >= 0 && pread(inner, bytes, 5, 0) == 5 && memcmp(bytes, "inner", 5) == 0);
  CHECK(close(inner) == 0);
  CHECK(openat(walked, "new", O_RDWR | O_CREAT, 0600) < 0 && errno == EROFS);
  DIR *listing = opendir(".");
  CHECK(listing != NULL);
  int count = 0;
  while (readdir(listing) != NULL) count++;
  CHECK(count > 3 && closedir(listing) == 0);
  usleep(5000);
}

static void stepLocker(void) {
  struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10};
  if (file < 0) {
    file = made("locked", 0);
    CHECK(fcntl(file, F_SETLK, &range) == 0 && flock(file, LOCK_EX) == 0);
  }
  const pid_t child = fork();
  if (child == 0) {
    const int other = open("locked", O_RDWR);
    _exit(fcntl(other, F_SETLK, &range) == -1 && flock(other, LOCK_EX | LOCK_NB) == -1 ? 0 : 1);
  }
  int status = 1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  usleep(20000);
}

static const struct {
  const char *name;
  void (*step)(void);
} roles[] = {{"writer", stepWriter}, {"committer", stepCommitter}, {"appender", stepAppender}, {"mapper", stepMapper}, {"nameless", stepNameless},
             {"names", stepNames},   {"lister", stepLister},       {"past", stepPast},         {"locker", stepLocker}};

int main(int count, char **arguments) {
  void (*step)(void) = NULL;
  for (size_t i = 0; count == 4 && i < sizeof roles / sizeof *roles; i++)
    if (strcmp(arguments[1], roles[i].name) == 0) step = roles[i].step;
  if (step == NULL || chdir(arguments[2]) != 0) return 2;
  randomState = strtoull(arguments[3], NULL, 10);
  struct pollfd input = {0, POLLIN, 0};
  while (poll(&input, 1, 0) == 0) {
    const double start = nowMs();
    step();
    const double tookMs = nowMs() - start;
    if (tookMs > longestMs) longestMs = tookMs;
    steps++;
  }
  if (file >= 0 && step != stepPast && step != stepLocker) {
    CHECK(fsync(file) == 0);
    const size_t length = step == stepNameless || step == stepCommitter ? 65000 : step == stepMapper ? FILE_BYTES : size;
    readBack(file, length);
  }
  printf("%lu %.0f\n", steps, longestMs);
  return 0;
}
