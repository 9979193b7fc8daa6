/*
 * The workloads that need exact system calls. Comes in: a mode and its arguments. Goes out: elapsed
 * seconds on standard output, one number a line; a message on standard error and exit status 1 when anything
 * fails, so that a wrong answer is never counted as a fast one.
 *
 * Invariants:
 * 1. Only the work is timed: buffers, offsets and threads are ready before the clock starts.
 * 2. Bytes written are pseudo-random, and a pure function of the seed, so every target gets the same work.
 * 3. A short read or write is an error.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

static void fail(const char *what) {
  fprintf(stderr, "workload: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void report(double startedAt) { printf("%.9f\n", now() - startedAt); }

static uint64_t next_random(uint64_t *state) {
  uint64_t x = *state;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return *state = x;
}

static char *random_bytes(size_t length, uint64_t seed) {
  char *bytes = aligned_alloc(PAGE, length);
  if (!bytes) fail("memory");
  uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
  for (size_t i = 0; i + 8 <= length; i += 8) {
    uint64_t value = next_random(&state);
    memcpy(bytes + i, &value, 8);
  }
  return bytes;
}

static int must_open(const char *path, int flags) {
  int fd = open(path, flags | O_CLOEXEC, 0644);
  if (fd < 0) fail(path);
  return fd;
}

static uint64_t size_of(int fd) {
  struct stat status;
  if (fstat(fd, &status)) fail("fstat");
  return (uint64_t)status.st_size;
}

/* write FILE BYTES CALL_BYTES: a new file in sequence, then fsync. */
static void sequential_write(const char *path, uint64_t total, size_t call) {
  char *bytes = random_bytes(call, total + call);
  double startedAt = now();
  int fd = must_open(path, O_WRONLY | O_CREAT | O_EXCL);
  for (uint64_t done = 0; done < total; done += call)
    if (write(fd, bytes, call) != (ssize_t)call) fail("write");
  if (fsync(fd)) fail("fsync");
  if (close(fd)) fail("close");
  report(startedAt);
}

/* read FILE CALL_BYTES: the whole file in sequence. */
static void sequential_read(const char *path, size_t call) {
  char *bytes = random_bytes(call, 1);
  double startedAt = now();
  int fd = must_open(path, O_RDONLY);
  uint64_t total = 0;
  ssize_t count;
  while ((count = read(fd, bytes, call)) > 0) total += (uint64_t)count;
  if (count < 0) fail("read");
  if (total != size_of(fd)) { errno = EIO; fail("the file was not read whole"); }
  close(fd);
  report(startedAt);
}

/* randread FILE COUNT SEED: 4 KiB reads at random pages. */
static void random_read(const char *path, uint64_t count, uint64_t seed) {
  char *bytes = random_bytes(PAGE, seed);
  uint64_t state = seed + 1;
  int fd = must_open(path, O_RDONLY);
  uint64_t pages = size_of(fd) / PAGE;
  double startedAt = now();
  for (uint64_t i = 0; i < count; i++)
    if (pread(fd, bytes, PAGE, (off_t)(next_random(&state) % pages * PAGE)) != PAGE) fail("pread");
  report(startedAt);
  close(fd);
}

struct writer {
  pthread_t thread;
  char *bytes;
  int fd;
  uint64_t pages, count, seed;
  int syncEach;
};

static void *write_randomly(void *argument) {
  struct writer *writer = argument;
  char *bytes = writer->bytes;
  uint64_t state = writer->seed + 1;
  for (uint64_t i = 0; i < writer->count; i++) {
    uint64_t value = next_random(&state);
    memcpy(bytes, &value, 8);
    if (pwrite(writer->fd, bytes, PAGE, (off_t)(value % writer->pages * PAGE)) != PAGE) fail("pwrite");
    if (writer->syncEach && fdatasync(writer->fd)) fail("fdatasync");
  }
  return NULL;
}

/*
 * overwrite COUNT WRITERS SYNC_EACH SEED FILE…: 4 KiB overwrites at random pages, COUNT in all, by so many threads, each with
 * a descriptor of its own, the files in turn; fdatasync after each (SYNC_EACH = 1) or one fsync of each file at the end.
 */
static void overwrite(uint64_t count, int writers, int syncEach, uint64_t seed, int fileCount, char **paths) {
  struct writer all[64];
  if (writers < 1 || writers > 64) { errno = EINVAL; fail("writers"); }
  for (int i = 0; i < writers; i++) {
    all[i].fd = must_open(paths[i % fileCount], O_RDWR);
    all[i].pages = size_of(all[i].fd) / PAGE;
    all[i].count = count / (uint64_t)writers;
    all[i].seed = seed * 64 + (uint64_t)i + 1;
    all[i].syncEach = syncEach;
    all[i].bytes = random_bytes(PAGE, all[i].seed);
  }
  double startedAt = now();
  for (int i = 0; i < writers; i++)
    if (pthread_create(&all[i].thread, NULL, write_randomly, &all[i])) fail("pthread_create");
  for (int i = 0; i < writers; i++) pthread_join(all[i].thread, NULL);
  for (int i = 0; i < writers && i < fileCount; i++)
    if (fsync(all[i].fd)) fail("fsync");
  report(startedAt);
  for (int i = 0; i < writers; i++) close(all[i].fd);
}

/*
 * overwrite-saving FILE LOG COUNT SEED: as overwrite by one writer with one fsync at the end, but each old page stands in LOG before it is
 * overwritten, on the disk, a thousand at a time. The least that whoever keeps history has to do.
 */
static void overwrite_saving(const char *path, const char *logPath, uint64_t count, uint64_t seed) {
  enum { BATCH = 1024 };
  char *bytes = random_bytes(PAGE, seed * 64 + 1), *saved = random_bytes(BATCH * PAGE, seed);
  uint64_t state = seed * 64 + 2, values[BATCH];
  int fd = must_open(path, O_RDWR), log = must_open(logPath, O_WRONLY | O_CREAT | O_TRUNC);
  uint64_t pages = size_of(fd) / PAGE;
  double startedAt = now();
  for (uint64_t done = 0; done < count; done += BATCH) {
    uint64_t batch = count - done < BATCH ? count - done : BATCH;
    for (uint64_t i = 0; i < batch; i++) {
      values[i] = next_random(&state);
      if (pread(fd, saved + i * PAGE, PAGE, (off_t)(values[i] % pages * PAGE)) != PAGE) fail("pread");
    }
    if (write(log, saved, batch * PAGE) != (ssize_t)(batch * PAGE)) fail("write");
    if (fdatasync(log)) fail("fdatasync");
    for (uint64_t i = 0; i < batch; i++) {
      memcpy(bytes, &values[i], 8);
      if (pwrite(fd, bytes, PAGE, (off_t)(values[i] % pages * PAGE)) != PAGE) fail("pwrite");
    }
  }
  if (fsync(fd)) fail("fsync");
  report(startedAt);
  close(log);
  close(fd);
}

/* run OUTPUT COMMAND…: a program from fork to exit, its standard output in a file (grep stops early when it is /dev/null). */
static void run(const char *output, char **command) {
  int fd = must_open(output, O_WRONLY | O_CREAT | O_TRUNC);
  double startedAt = now();
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    dup2(fd, 1);
    execvp(command[0], command);
    fail(command[0]);
  }
  int status;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) fail("waitpid");
  double elapsed = now() - startedAt;
  if (!WIFEXITED(status) || WEXITSTATUS(status)) {
    fprintf(stderr, "workload: %s ended with status %d\n", command[0], WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    exit(1);
  }
  printf("%.9f\n", elapsed);
  close(fd);
}

/* first-read BYTES PATH…: open and read so many bytes of each file; the time of each. */
static void first_read(size_t length, int pathCount, char **paths) {
  char *bytes = random_bytes((length + PAGE - 1) / PAGE * PAGE, 1);
  for (int i = 0; i < pathCount; i++) {
    double startedAt = now();
    int fd = must_open(paths[i], O_RDONLY);
    ssize_t count = read(fd, bytes, length);
    report(startedAt);
    if (count >= 0 && count != (ssize_t)length) errno = ENODATA;
    if (count != (ssize_t)length) fail(paths[i]);
    close(fd);
  }
}

/* create DIRECTORY COUNT: empty files f0, f1, … in directories of 1,000. */
static void create_files(const char *directory, uint64_t count) {
  char path[4096];
  double startedAt = now();
  for (uint64_t i = 0; i < count; i++) {
    if (i % 1000 == 0) {
      snprintf(path, sizeof path, "%s/d%lu", directory, (unsigned long)(i / 1000));
      if (mkdir(path, 0755)) fail(path);
    }
    snprintf(path, sizeof path, "%s/d%lu/f%lu", directory, (unsigned long)(i / 1000), (unsigned long)i);
    close(must_open(path, O_WRONLY | O_CREAT | O_EXCL));
  }
  report(startedAt);
}

/* relink DIRECTORY COUNT: a second name of a file made and taken away in turn: changes of a name, one transaction each, that wait for no disk. */
static void relink(const char *directory, uint64_t count) {
  char file[4096], name[4096];
  snprintf(file, sizeof file, "%s/linked", directory);
  snprintf(name, sizeof name, "%s/second-name", directory);
  close(must_open(file, O_WRONLY | O_CREAT | O_TRUNC));
  double startedAt = now();
  for (uint64_t i = 0; i < count; i++)
    if (i % 2 == 0 ? link(file, name) : unlink(name)) fail(name);
  report(startedAt);
  if (count % 2 && unlink(name)) fail(name);
}

/* versions FILE FIRST COUNT BYTES: the file overwritten in place, closed each time; version i begins with i in 8 bytes. */
static void write_versions(const char *path, uint64_t first, uint64_t count, size_t length) {
  char *bytes = random_bytes(length, first);
  double startedAt = now();
  for (uint64_t i = first; i < first + count; i++) {
    memcpy(bytes, &i, 8);
    int fd = must_open(path, O_WRONLY | O_CREAT);
    if (pwrite(fd, bytes, length, 0) != (ssize_t)length) fail("pwrite");
    if (close(fd)) fail("close");
  }
  report(startedAt);
}

int main(int count, char **words) {
  const char *mode = count > 2 ? words[1] : "";
#define NUMBER(i) strtoull(words[i], NULL, 10)
  if (!strcmp(mode, "write") && count == 5) sequential_write(words[2], NUMBER(3), NUMBER(4));
  else if (!strcmp(mode, "read") && count == 4) sequential_read(words[2], NUMBER(3));
  else if (!strcmp(mode, "randread") && count == 5) random_read(words[2], NUMBER(3), NUMBER(4));
  else if (!strcmp(mode, "overwrite") && count >= 7) overwrite(NUMBER(2), (int)NUMBER(3), (int)NUMBER(4), NUMBER(5), count - 6, words + 6);
  else if (!strcmp(mode, "overwrite-saving") && count == 6) overwrite_saving(words[2], words[3], NUMBER(4), NUMBER(5));
  else if (!strcmp(mode, "run") && count >= 4) run(words[2], words + 3);
  else if (!strcmp(mode, "first-read") && count >= 4) first_read(NUMBER(2), count - 3, words + 3);
  else if (!strcmp(mode, "create") && count == 4) create_files(words[2], NUMBER(3));
  else if (!strcmp(mode, "relink") && count == 4) relink(words[2], NUMBER(3));
  else if (!strcmp(mode, "versions") && count == 6) write_versions(words[2], NUMBER(3), NUMBER(4), NUMBER(5));
  else {
    fprintf(stderr, "usage: workload write|read|randread|overwrite|overwrite-saving|run|first-read|create|relink|versions …\n");
    return 2;
  }
  return 0;
}
