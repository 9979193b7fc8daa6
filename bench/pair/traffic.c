/*
 * A steady stream of small writes into one directory, and what of it has arrived in another. Comes in: a mode and its arguments. Goes out: seconds of the monotonic
 * clock on standard output, one number a line, so that two processes can be compared; a message and exit status 1 when anything fails.
 *
 * Invariants:
 * 1. A probe counts from the return of its close() to the first look that finds it, whole, under its name.
 * 2. Looks are a millisecond apart at least.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FILES = 500, BYTES = 100, PROBE_EVERY = 50, WINDOW = 256, PAUSE_NS = 1000000 };

static void fail(const char *what) {
  fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void sleep_until(double time) {
  struct timespec t = {.tv_sec = (time_t)time, .tv_nsec = (long)((time - (double)(time_t)time) * 1e9)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) continue;
}

static void pause_between(void) {
  struct timespec t = {.tv_nsec = PAUSE_NS};
  nanosleep(&t, NULL);
}

/* steady DIRECTORY COUNT RATE: so many writes a second, each open, pwrite, close; every fiftieth makes a new file `probe-N`. Prints when each probe's close returned, and at last how long it took. */
static void steady(const char *directory, uint64_t count, uint64_t rate) {
  double *closed = calloc(count / PROBE_EVERY + 1, sizeof *closed);
  if (!closed) fail("memory");
  char path[4096], bytes[BYTES + 1];
  double startedAt = now();
  for (uint64_t i = 0; i < count; i++) {
    const int isProbe = i % PROBE_EVERY == 0;
    if (isProbe) snprintf(path, sizeof path, "%s/probe-%lu", directory, (unsigned long)(i / PROBE_EVERY));
    else snprintf(path, sizeof path, "%s/file-%lu", directory, (unsigned long)(i % FILES));
    snprintf(bytes, sizeof bytes, "%0*lu", BYTES, (unsigned long)i);
    sleep_until(startedAt + (double)i / (double)rate);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) fail(path);
    if (pwrite(fd, bytes, BYTES, 0) != BYTES) fail("pwrite");
    if (close(fd)) fail("close");
    if (isProbe) closed[i / PROBE_EVERY] = now();
  }
  double endedAt = now();
  for (uint64_t i = 0; i < count; i += PROBE_EVERY) printf("%.9f\n", closed[i / PROBE_EVERY]);
  printf("%.9f\n", endedAt - startedAt);
}

/* arrivals DIRECTORY PROBES SECONDS: prints when each probe was first there; fails when one is not after so long. */
static void arrivals(const char *directory, uint64_t probes, uint64_t seconds) {
  double *seen = calloc(probes, sizeof *seen), startedAt = now();
  if (!seen) fail("memory");
  char path[4096];
  for (uint64_t first = 0; first < probes;) {
    for (uint64_t i = first; i < probes && i < first + WINDOW; i++) {
      struct stat status;
      if (seen[i] > 0) continue;
      snprintf(path, sizeof path, "%s/probe-%lu", directory, (unsigned long)i);
      if (stat(path, &status) == 0 && status.st_size == BYTES) seen[i] = now();
      else if (i > first + 8) break;
    }
    while (first < probes && seen[first] > 0) first++;
    if (now() - startedAt > (double)seconds) {
      errno = ETIME;
      fail(path);
    }
    pause_between();
  }
  for (uint64_t i = 0; i < probes; i++) printf("%.9f\n", seen[i]);
}

/* arrival FILE BYTES SECONDS: prints when the file was first so long. */
static void arrival(const char *path, uint64_t length, uint64_t seconds) {
  const double startedAt = now();
  struct stat status;
  while (stat(path, &status) != 0 || (uint64_t)status.st_size != length) {
    if (now() - startedAt > (double)seconds) {
      errno = ETIME;
      fail(path);
    }
    pause_between();
  }
  printf("%.9f\n", now());
}

int main(int count, char **words) {
  const char *mode = count > 1 ? words[1] : "";
#define NUMBER(i) strtoull(words[i], NULL, 10)
  if (!strcmp(mode, "steady") && count == 5) steady(words[2], NUMBER(3), NUMBER(4));
  else if (!strcmp(mode, "arrivals") && count == 5) arrivals(words[2], NUMBER(3), NUMBER(4));
  else if (!strcmp(mode, "arrival") && count == 5) arrival(words[2], NUMBER(3), NUMBER(4));
  else if (!strcmp(mode, "now") && count == 2) printf("%.9f\n", now());
  else {
    fprintf(stderr, "traffic: what is \"%s\"?\n", mode);
    return 1;
  }
  return 0;
}
