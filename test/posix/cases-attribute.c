/*
 * Cases: modes and times: chmod, umask, utimensat with NOW and OMIT, nanoseconds, when which time moves, statx.
 */
#include "harness.h"
#include <time.h>

static bool same_time(struct timespec a, struct timespec b) { return not_after(a, b) && not_after(b, a); }

static void modes(void) {
  make_file("a", 0644, "");
  OK(mkdir("d", 0755));
  for (mode_t mode = 0; mode <= 0777; mode += 037) {
    OK(chmod("a", mode));
    SAME(status_of("a").st_mode, S_IFREG | mode);
  }
  OK(chmod("d", 01777));
  SAME(status_of("d").st_mode, S_IFDIR | 01777);
  OK(chmod("a", 06755));
  SAME(status_of("a").st_mode & 07777, 06755);
  int file = (int)OK(open("a", O_RDONLY));
  OK(fchmod(file, 0600));
  SAME(status_of("a").st_mode & 07777, 0600);
  FAILS(chmod("absent", 0600), ENOENT);
  FAILS(chmod("a/b", 0600), ENOTDIR);
}

static void masks(void) {
  umask(0);
  OK(close((int)OK(open("all", O_WRONLY | O_CREAT, 0666))));
  umask(077);
  OK(close((int)OK(open("mine", O_WRONLY | O_CREAT, 0666))));
  OK(mkdir("d", 0777));
  OK(mkfifo("p", 0666));
  umask(027);
  OK(close((int)OK(open("group", O_WRONLY | O_CREAT, 0777))));
  SAME(status_of("all").st_mode & 07777, 0666);
  SAME(status_of("mine").st_mode & 07777, 0600);
  SAME(status_of("d").st_mode & 07777, 0700);
  SAME(status_of("p").st_mode & 07777, 0600);
  SAME(status_of("group").st_mode & 07777, 0750);
}

static void exact_times(void) {
  make_file("a", 0644, "");
  const struct timespec set[][2] = {
      {{1700000000, 123456789}, {1600000000, 987654321}},
      {{4102444800, 1}, {4102444801, 999999999}}, /* after 2038 */
      {{-1, 5}, {-86400, 7}},                     /* before 1970 */
      {{0, 0}, {1, 0}}};
  for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
    OK(utimensat(AT_FDCWD, "a", set[i], 0));
    struct stat status = status_of("a");
    CHECK(same_time(status.st_atim, set[i][0]));
    CHECK(same_time(status.st_mtim, set[i][1]));
  }
  int file = (int)OK(open("a", O_RDWR));
  OK(futimens(file, set[0]));
  OK(close(file));
  CHECK(same_time(status_of("a").st_mtim, set[0][1]));
}

static void times_after_write(void) {
  /* Times set on a file with unsynced writes must win over the writes. */
  const struct timespec set[2] = {{1500000000, 111}, {1500000001, 222}};
  int file = (int)OK(open("a", O_RDWR | O_CREAT, 0644));
  SAME(write(file, "text", 4), 4);
  OK(futimens(file, set));
  OK(close(file));
  CHECK(same_time(status_of("a").st_mtim, set[1]));
  file = (int)OK(open("a", O_RDWR));
  SAME(write(file, "TEXT", 4), 4);
  OK(close(file));
  CHECK(status_of("a").st_mtim.tv_sec > 1600000000);
}

static void now_and_omit(void) {
  make_file("a", 0644, "");
  const struct timespec past[2] = {{1000, 1}, {2000, 2}};
  const struct timespec only_atime[2] = {{3000, 3}, {0, UTIME_OMIT}}, only_mtime[2] = {{0, UTIME_OMIT}, {4000, 4}};
  const struct timespec neither[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}}, mixed[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
  OK(utimensat(AT_FDCWD, "a", past, 0));
  OK(utimensat(AT_FDCWD, "a", only_atime, 0));
  struct stat status = status_of("a");
  CHECK(status.st_atim.tv_sec == 3000 && status.st_atim.tv_nsec == 3 && same_time(status.st_mtim, past[1]));
  OK(utimensat(AT_FDCWD, "a", only_mtime, 0));
  OK(utimensat(AT_FDCWD, "a", neither, 0));
  status = status_of("a");
  CHECK(status.st_atim.tv_sec == 3000 && status.st_mtim.tv_sec == 4000 && status.st_mtim.tv_nsec == 4);
  OK(utimensat(AT_FDCWD, "a", mixed, 0));
  status = status_of("a");
  CHECK(status.st_atim.tv_sec > 1600000000 && status.st_mtim.tv_sec == 4000);
  OK(utimensat(AT_FDCWD, "a", NULL, 0));
  CHECK(status_of("a").st_mtim.tv_sec > 1600000000);
}

static void times_of_links(void) {
  const struct timespec past[2] = {{1000, 1}, {2000, 2}};
  make_file("a", 0644, "");
  OK(symlink("a", "s"));
  OK(mkdir("d", 0755));
  OK(utimensat(AT_FDCWD, "s", past, AT_SYMLINK_NOFOLLOW));
  OK(utimensat(AT_FDCWD, "d", past, 0));
  CHECK(same_time(status_of("s").st_mtim, past[1]));
  CHECK(same_time(status_of("d").st_mtim, past[1]));
  CHECK(status_of("a").st_mtim.tv_sec > 1600000000);
}

static void moving_times(void) {
  make_file("a", 0644, "text");
  OK(mkdir("d", 0755));
  struct stat before = status_of("a"), directory = status_of("d");
  let_time_pass();
  OK(chmod("a", 0600));
  struct stat after = status_of("a");
  CHECK(same_time(before.st_mtim, after.st_mtim));
  CHECK(!not_after(after.st_ctim, before.st_ctim));
  let_time_pass();
  int file = (int)OK(open("a", O_WRONLY));
  SAME(write(file, "more", 4), 4);
  OK(close(file));
  struct stat written = status_of("a");
  CHECK(!not_after(written.st_mtim, after.st_mtim) && !not_after(written.st_ctim, after.st_ctim));
  let_time_pass();
  OK(link("a", "d/b"));
  CHECK(!not_after(status_of("a").st_ctim, written.st_ctim));
  CHECK(same_time(status_of("a").st_mtim, written.st_mtim));
  struct stat filled = status_of("d");
  CHECK(!not_after(filled.st_mtim, directory.st_mtim) && !not_after(filled.st_ctim, directory.st_ctim));
  let_time_pass();
  OK(unlink("d/b"));
  CHECK(!not_after(status_of("d").st_mtim, filled.st_mtim));
  OK(truncate("a", 2));
  CHECK(!not_after(status_of("a").st_mtim, written.st_mtim));
}

static void mtime_stays_after_sync(void) {
  /* git and make compare an mtime seen before a sync with one seen after it, to the nanosecond. */
  int file = (int)OK(open("a", O_RDWR | O_CREAT, 0644));
  SAME(write(file, "text", 4), 4);
  struct stat at_once = status_of("a");
  let_time_pass();
  OK(fsync(file));
  struct stat synced = status_of("a");
  CHECK(same_time(at_once.st_mtim, synced.st_mtim));
  let_time_pass();
  OK(close(file));
  CHECK(same_time(at_once.st_mtim, status_of("a").st_mtim));
  CHECK(same_time(synced.st_ctim, status_of("a").st_ctim));
}

static void extended_status(void) {
  make_file("a", 0640, "text");
  struct statx status;
  OK(statx(AT_FDCWD, "a", AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &status));
  SAME(status.stx_mode, S_IFREG | 0640);
  SAME(status.stx_size, 4);
  SAME(status.stx_nlink, 1);
  SAME(status.stx_ino, status_of("a").st_ino);
  SAME(status.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
  CHECK(status.stx_blksize >= 512);
}

static void blocks(void) {
  unsigned char bytes[65536];
  fill(bytes, sizeof bytes, 1);
  int file = (int)OK(open("a", O_RDWR | O_CREAT, 0644));
  SAME(write(file, bytes, sizeof bytes), sizeof bytes);
  OK(fsync(file));
  CHECK(status_of("a").st_blocks >= 128 && status_of("a").st_blocks <= 160);
}

const struct posix_case attribute_cases[] = {
    {"chmod and fchmod set every bit", ANYONE, modes},
    {"the umask is the caller's", ANYONE, masks},
    {"times are exact to the nanosecond, also before 1970 and after 2038", ANYONE, exact_times},
    {"times set while writes are unsynced win", ANYONE, times_after_write},
    {"UTIME_NOW and UTIME_OMIT", ANYONE, now_and_omit},
    {"times of symlinks and directories", ANYONE, times_of_links},
    {"mtime and ctime move when they must and only then", ANYONE, moving_times},
    {"mtime is the same before and after a sync", ANYONE, mtime_stays_after_sync},
    {"statx", ANYONE, extended_status},
    {"st_blocks counts what is allocated", ANYONE, blocks},
    {NULL, ANYONE, NULL}};
