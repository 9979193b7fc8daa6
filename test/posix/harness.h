/*
 * What a POSIX case is made of. A case is a function that works in an empty directory of its own (the current
 * one) in a process of its own, and returns when everything was as on a local file system. The first thing
 * that is not ends the case with a line that tells where and what. Tables of cases are in cases-*.c; harness.c runs them.
 *
 * 1. A case leaves nothing behind outside its directory.
 * 2. A case never depends on another one, nor on the order.
 */
#ifndef TIDEMARK_POSIX_HARNESS_H
#define TIDEMARK_POSIX_HARNESS_H

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Who can run a case: anyone, only root (it changes owners, or acts as other users), or only who is not root. */
enum who { ANYONE, ROOT, ORDINARY };

struct posix_case {
  const char *name;
  enum who who;
  void (*run)(void);
};

/* Every table ends with a case without a name. */
extern const struct posix_case file_cases[], open_cases[], name_cases[], rename_cases[], attribute_cases[], owner_cases[],
    permission_cases[], xattr_cases[], acl_cases[], space_cases[], mapping_cases[], lock_cases[], directory_cases[], special_cases[];

/* Ends the case as failed. */
_Noreturn void fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Ends the case as one that cannot be told here. */
_Noreturn void skip(const char *reason);

/* The expression must be true. */
#define CHECK(expression) \
  do { \
    if (!(expression)) fail(__FILE__, __LINE__, "%s is not so", #expression); \
  } while (0)

/* The two whole numbers must be the same. */
#define SAME(seen, expected) \
  do { \
    long long seen_value = (long long)(seen), expected_value = (long long)(expected); \
    if (seen_value != expected_value) \
      fail(__FILE__, __LINE__, "%s is %lld, expected %lld", #seen, seen_value, expected_value); \
  } while (0)

/* The call must succeed; gives its result. */
#define OK(call) \
  ({ \
    long long call_result = (long long)(call); \
    if (call_result < 0) fail(__FILE__, __LINE__, "%s: %s", #call, strerrorname_np(errno)); \
    call_result; \
  })

/* The call must return -1 with this errno. */
#define FAILS(call, code) \
  do { \
    errno = 0; \
    long long call_result = (long long)(call); \
    if (call_result != -1) fail(__FILE__, __LINE__, "%s succeeded, expected %s", #call, #code); \
    if (errno != (code)) fail(__FILE__, __LINE__, "%s: %s, expected %s", #call, strerrorname_np(errno), #code); \
  } while (0)

/* A user and a group that are nobody's here, and a second pair. */
enum { USER = 61001, GROUP = 61001, OTHER_USER = 61002, OTHER_GROUP = 61002 };

/* Runs a function in a child process as this user, in this group and no other; its failure is the case's. */
void as_user(uid_t uid, gid_t gid, void (*run)(void));
/* The same with the caller's own ids: for what two processes do. */
void in_child(void (*run)(void));

/* Creates a file of this mode with these bytes (the umask does not count). */
void make_file(const char *path, mode_t mode, const char *text);
/* The bytes of the file must be exactly these. */
void expect_text(const char *file, int line, const char *path, const char *text);
#define TEXT(path, text) expect_text(__FILE__, __LINE__, path, text)
/* lstat that must succeed. */
struct stat status_of(const char *path);
/* Fills a buffer with bytes that differ from position to position and from seed to seed. */
void fill(unsigned char *buffer, size_t length, unsigned seed);
/* true when the two times are in order: a is not after b. */
bool not_after(struct timespec a, struct timespec b);
/* Waits until the clock that files are stamped with has moved on. */
void let_time_pass(void);

#endif
