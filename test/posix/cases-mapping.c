/*
 * Cases: mmap: shared and private mappings, against read and write on the same file.
 */
#include "harness.h"
#include <signal.h>

enum { PAGE = 4096 };

static char *map(int file, size_t length, int protection, int flags) {
  char *memory = mmap(NULL, length, protection, flags, file, 0);
  if (memory == MAP_FAILED) fail(__FILE__, __LINE__, "mmap: %s", strerrorname_np(errno));
  return memory;
}

static int sized(off_t size) {
  int file = (int)OK(open("a", O_RDWR | O_CREAT, 0644));
  OK(ftruncate(file, size));
  return file;
}

static void shared(void) {
  int file = sized(3 * PAGE);
  char *memory = map(file, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED), seen[5];
  memcpy(memory + PAGE, "mapped", 6);
  SAME(pread(file, seen, 5, PAGE), 5);
  CHECK(memcmp(seen, "mappe", 5) == 0);
  SAME(pwrite(file, "written", 7, 2 * PAGE), 7);
  CHECK(memcmp(memory + 2 * PAGE, "written", 7) == 0);
  OK(msync(memory, 3 * PAGE, MS_SYNC));
  OK(munmap(memory, 3 * PAGE));
  OK(close(file));
  file = (int)OK(open("a", O_RDONLY));
  SAME(pread(file, seen, 5, PAGE), 5);
  CHECK(memcmp(seen, "mappe", 5) == 0);
}

static void kept_without_msync(void) {
  int file = sized(PAGE);
  char *memory = map(file, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
  OK(close(file));
  memcpy(memory, "unsynced", 8);
  OK(munmap(memory, PAGE));
  char seen[8];
  file = (int)OK(open("a", O_RDONLY));
  SAME(read(file, seen, 8), 8);
  CHECK(memcmp(seen, "unsynced", 8) == 0);
}

static void private(void) {
  make_file("a", 0644, "original");
  int file = (int)OK(open("a", O_RDONLY));
  char *memory = map(file, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  CHECK(memcmp(memory, "original", 8) == 0);
  memcpy(memory, "scribble", 8);
  TEXT("a", "original");
  CHECK(memory[8] == 0 && memory[PAGE - 1] == 0);
}

static void write_then_see(void) {
  int file = sized(PAGE);
  char *memory = map(file, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
  memcpy(memory, "child sees", 10);
  pid_t child = (pid_t)OK(fork());
  if (child == 0) {
    int own = (int)OK(open("a", O_RDWR));
    char *again = map(own, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    CHECK(memcmp(again, "child sees", 10) == 0);
    memcpy(again + 100, "parent sees", 11);
    _exit(0);
  }
  int status;
  OK(waitpid(child, &status, 0));
  SAME(status, 0);
  CHECK(memcmp(memory + 100, "parent sees", 11) == 0);
}

static void unlinked(void) {
  make_file("a", 0644, "text");
  int file = (int)OK(open("a", O_RDWR));
  char *memory = map(file, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
  OK(unlink("a"));
  OK(close(file));
  CHECK(memcmp(memory, "text", 4) == 0);
  memcpy(memory, "gone", 4);
  OK(msync(memory, PAGE, MS_SYNC));
  CHECK(memcmp(memory, "gone", 4) == 0);
}

static void truncated(void) {
  int file = sized(2 * PAGE);
  char *memory = map(file, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
  memset(memory, 'x', 2 * PAGE);
  OK(ftruncate(file, 10));
  CHECK(memory[9] == 'x');
  OK(ftruncate(file, 2 * PAGE));
  SAME(memory[10], 0);
  SAME(memory[PAGE], 0);
  SAME(memory[9], 'x');
}

static void bus_error(int signal) {
  (void)signal;
  _exit(0);
}

static void past_end(void) {
  int file = sized(100);
  char *memory = map(file, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
  signal(SIGBUS, bus_error);
  ((volatile char *)memory)[PAGE] = 1;
  fail(__FILE__, __LINE__, "no SIGBUS on a page past the end");
}

static void refused(void) {
  make_file("a", 0644, "text");
  int file = (int)OK(open("a", O_RDONLY)), writer = (int)OK(open("a", O_WRONLY));
  CHECK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED && errno == EACCES);
  CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, writer, 0) == MAP_FAILED && errno == EACCES);
}

static void while_read_by_others(void) {
  /* A reader that came first must see what a later mapping writes. */
  int size = 64 * PAGE, file = sized(size), reader = (int)OK(open("a", O_RDONLY));
  char *seen = map(reader, (size_t)size, PROT_READ, MAP_SHARED), byte;
  SAME(seen[5 * PAGE], 0);
  char *memory = map(file, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED);
  for (int i = 0; i < 64; i++) {
    memory[i * PAGE] = (char)(i + 1);
    SAME(seen[i * PAGE], i + 1);
    SAME(pread(reader, &byte, 1, (off_t)i * PAGE), 1);
    SAME(byte, i + 1);
  }
}

const struct posix_case mapping_cases[] = {
    {"a shared mapping and read and write see each other", ANYONE, shared},
    {"a shared mapping is kept without msync", ANYONE, kept_without_msync},
    {"a private mapping changes nothing", ANYONE, private},
    {"two processes share a mapping", ANYONE, write_then_see},
    {"a mapping of an unlinked file goes on", ANYONE, unlinked},
    {"truncate reaches mappings", ANYONE, truncated},
    {"a mapping past the end gives SIGBUS", ANYONE, past_end},
    {"mappings that the handle does not allow", ANYONE, refused},
    {"a mapped reader sees a later mapped writer", ANYONE, while_read_by_others},
    {NULL, ANYONE, NULL}};
