/*
 * Runs the POSIX cases in a directory and tells the outcome of each on one line:
 *   ok NAME | not ok NAME: WHERE: WHAT | skip NAME: WHY
 * Usage: posix DIRECTORY [PART-OF-NAME]. Exit status 0 when no case failed, 1 when one did, 2 for wrong usage.
 *
 * 1. Each case runs in a child process, in a fresh directory, with umask 022, and at most 60 s.
 * 2. What a case left in its directory is removed before the next one.
 */
#include "harness.h"
#include <ftw.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <time.h>

static const char *current_name;
enum { CASE_FAILED = 1, CASE_SKIPPED = 77, CASE_SECONDS = 60 };

static const struct posix_case *const tables[] = {
    file_cases, open_cases, name_cases, rename_cases, attribute_cases, owner_cases, permission_cases,
    xattr_cases, acl_cases, space_cases, mapping_cases, lock_cases, directory_cases, special_cases};

_Noreturn void fail(const char *file, int line, const char *format, ...) {
  char what[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  const char *base = strrchr(file, '/');
  printf("not ok %s: %s:%d: %s\n", current_name, base ? base + 1 : file, line, what);
  fflush(stdout);
  _exit(CASE_FAILED);
}

_Noreturn void skip(const char *reason) {
  printf("skip %s: %s\n", current_name, reason);
  fflush(stdout);
  _exit(CASE_SKIPPED);
}

static void reap(pid_t child) {
  int status;
  OK(waitpid(child, &status, 0));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  if (WIFEXITED(status)) _exit(WEXITSTATUS(status)); /* the child has told why */
  fail(__FILE__, __LINE__, "a child process was ended by signal %d", WTERMSIG(status));
}

void as_user(uid_t uid, gid_t gid, void (*run)(void)) {
  fflush(stdout);
  pid_t child = (pid_t)OK(fork());
  if (child == 0) {
    OK(setgroups(0, NULL));
    OK(setresgid(gid, gid, gid));
    OK(setresuid(uid, uid, uid));
    run();
    fflush(stdout);
    _exit(0);
  }
  reap(child);
}

void in_child(void (*run)(void)) {
  fflush(stdout);
  pid_t child = (pid_t)OK(fork());
  if (child == 0) {
    run();
    fflush(stdout);
    _exit(0);
  }
  reap(child);
}

void make_file(const char *path, mode_t mode, const char *text) {
  int file = (int)OK(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  SAME(write(file, text, strlen(text)), strlen(text));
  OK(fchmod(file, mode));
  OK(close(file));
}

void expect_text(const char *where, int line, const char *path, const char *text) {
  char seen[4096];
  int file = open(path, O_RDONLY);
  if (file < 0) fail(where, line, "open %s: %s", path, strerrorname_np(errno));
  ssize_t count = read(file, seen, sizeof seen);
  if (count < 0) fail(where, line, "read %s: %s", path, strerrorname_np(errno));
  close(file);
  if ((size_t)count != strlen(text) || memcmp(seen, text, (size_t)count) != 0)
    fail(where, line, "%s holds \"%.*s\", expected \"%s\"", path, (int)count, seen, text);
}

struct stat status_of(const char *path) {
  struct stat status;
  if (lstat(path, &status) < 0) fail(__FILE__, __LINE__, "lstat %.60s: %s", path, strerrorname_np(errno));
  return status;
}

void fill(unsigned char *buffer, size_t length, unsigned seed) {
  uint32_t state = seed * 2654435761u + 1;
  for (size_t i = 0; i < length; i++) {
    state = state * 1664525u + 1013904223u;
    buffer[i] = (unsigned char)(state >> 24);
  }
}

bool not_after(struct timespec a, struct timespec b) {
  return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec <= b.tv_nsec);
}

void let_time_pass(void) {
  /* Files are stamped with the kernel's coarse clock, which moves every 4 ms (or 10 ms at HZ=100). */
  OK(usleep(25000));
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place) {
  (void)status, (void)kind, (void)place;
  return remove(path);
}

static void run_in_fresh_directory(const struct posix_case *one) {
  umask(022);
  OK(mkdir("case", 0700));
  OK(chmod("case", 0777));
  OK(chdir("case"));
  alarm(CASE_SECONDS);
  one->run();
  fflush(stdout);
  _exit(0);
}

/* Runs one case; returns true unless it failed. */
static bool run_case(const struct posix_case *one) {
  current_name = one->name;
  fflush(stdout);
  pid_t child = (pid_t)OK(fork());
  if (child == 0) run_in_fresh_directory(one);
  int status;
  OK(waitpid(child, &status, 0));
  bool passed = WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == CASE_SKIPPED);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) printf("ok %s\n", one->name);
  if (WIFSIGNALED(status)) printf("not ok %s: ended by signal %d\n", one->name, WTERMSIG(status));
  fflush(stdout);
  if (nftw("case", remove_one, 32, FTW_DEPTH | FTW_PHYS) != 0) {
    printf("not ok %s: what it left cannot be removed: %s\n", one->name, strerrorname_np(errno));
    char aside[64];
    snprintf(aside, sizeof aside, "left-by-%d", (int)child);
    OK(rename("case", aside));
    passed = false;
  }
  return passed;
}

/* POSIX_WITHOUT: names of cases, each ended by a newline. */
static bool is_left_out(const char *name) {
  const char *without = getenv("POSIX_WITHOUT");
  const char *found = without ? strstr(without, name) : NULL;
  return found && (found == without || found[-1] == '\n') && found[strlen(name)] == '\n';
}

int main(int count, char **arguments) {
  if (count < 2 || count > 3) {
    fprintf(stderr, "usage: posix DIRECTORY [PART-OF-NAME]\n");
    return 2;
  }
  current_name = "start";
  OK(chdir(arguments[1]));
  bool passed = true;
  for (size_t table = 0; table < sizeof tables / sizeof *tables; table++)
    for (const struct posix_case *one = tables[table]; one->name; one++) {
      if (one->who == (geteuid() == 0 ? ORDINARY : ROOT)) continue;
      if (count == 3 && !strstr(one->name, arguments[2])) continue;
      if (is_left_out(one->name)) continue;
      if (!run_case(one)) passed = false;
    }
  return passed ? 0 : 1;
}
