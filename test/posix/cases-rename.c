/*
 * Cases: rename(2) and renameat2(2): every pair of kinds, open files, NOREPLACE and EXCHANGE.
 */
#include "harness.h"

static void files(void) {
  make_file("a", 0644, "source");
  make_file("b", 0644, "target");
  ino_t inode = status_of("a").st_ino;
  OK(rename("a", "b"));
  TEXT("b", "source");
  SAME(status_of("b").st_ino, inode);
  FAILS(open("a", O_RDONLY), ENOENT);
  FAILS(rename("a", "b"), ENOENT);
  OK(rename("b", "b"));
  OK(mkdir("d", 0755));
  OK(rename("b", "d/c"));
  TEXT("d/c", "source");
}

static void directories(void) {
  OK(mkdir("a", 0755));
  OK(mkdir("a/sub", 0755));
  OK(mkdir("empty", 0755));
  OK(mkdir("full", 0755));
  make_file("full/file", 0644, "text");
  FAILS(rename("a", "full"), ENOTEMPTY);
  OK(rename("a", "empty"));
  CHECK(S_ISDIR(status_of("empty/sub").st_mode));
  FAILS(rename("empty", "empty/sub/inside"), EINVAL);
  FAILS(rename("empty/sub", "empty"), ENOTEMPTY);
  SAME(status_of("empty").st_nlink, 3);
  OK(rename("empty/sub", "full/sub"));
  SAME(status_of("empty").st_nlink, 2);
  SAME(status_of("full").st_nlink, 3);
  struct stat parent, full = status_of("full");
  OK(stat("full/sub/..", &parent));
  SAME(parent.st_ino, full.st_ino);
}

static void kinds_mixed(void) {
  make_file("file", 0644, "text");
  OK(mkdir("directory", 0755));
  OK(symlink("file", "link"));
  FAILS(rename("file", "directory"), EISDIR);
  FAILS(rename("directory", "file"), ENOTDIR);
  FAILS(rename("file", "file/x"), ENOTDIR);
  FAILS(rename("directory", "link"), ENOTDIR);
  FAILS(rename("file", "absent/x"), ENOENT);
  FAILS(rename(".", "x"), EBUSY);
  OK(rename("link", "file"));
  CHECK(S_ISLNK(status_of("file").st_mode));
}

static void over_open_file(void) {
  make_file("new", 0644, "new");
  make_file("old", 0644, "old bytes");
  int old = (int)OK(open("old", O_RDWR)), new = (int)OK(open("new", O_RDWR));
  OK(rename("new", "old"));
  char seen[16];
  struct stat status;
  SAME(pread(old, seen, sizeof seen, 0), 9);
  OK(fstat(old, &status));
  SAME(status.st_nlink, 0);
  SAME(pwrite(old, "gone", 4, 0), 4);
  SAME(pread(old, seen, sizeof seen, 0), 9);
  CHECK(memcmp(seen, "gonebytes", 4) == 0);
  SAME(pwrite(new, "NEW", 3, 0), 3);
  OK(fstat(new, &status));
  SAME(status.st_nlink, 1);
  TEXT("old", "NEW");
}

static void hard_linked_target(void) {
  make_file("a", 0644, "a");
  make_file("b", 0644, "b");
  OK(link("b", "c"));
  OK(rename("a", "b"));
  SAME(status_of("c").st_nlink, 1);
  TEXT("c", "b");
  TEXT("b", "a");
}

static void no_replace(void) {
  make_file("a", 0644, "a");
  make_file("b", 0644, "b");
  FAILS(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE), EEXIST);
  TEXT("a", "a");
  TEXT("b", "b");
  OK(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
  TEXT("c", "a");
  FAILS(renameat2(AT_FDCWD, "a", AT_FDCWD, "d", RENAME_NOREPLACE), ENOENT);
}

static void exchange(void) {
  make_file("a", 0644, "a");
  make_file("b", 0600, "b");
  ino_t a = status_of("a").st_ino, b = status_of("b").st_ino;
  OK(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE));
  SAME(status_of("a").st_ino, b);
  SAME(status_of("b").st_ino, a);
  TEXT("a", "b");
  TEXT("b", "a");
  SAME(status_of("a").st_mode & 0777, 0600);
  FAILS(renameat2(AT_FDCWD, "a", AT_FDCWD, "absent", RENAME_EXCHANGE), ENOENT);
  FAILS(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
}

static void exchange_kinds(void) {
  make_file("file", 0644, "text");
  OK(mkdir("p", 0755));
  OK(mkdir("p/directory", 0755));
  make_file("p/directory/inside", 0644, "inside");
  OK(renameat2(AT_FDCWD, "file", AT_FDCWD, "p/directory", RENAME_EXCHANGE));
  TEXT("p/directory", "text");
  TEXT("file/inside", "inside");
  SAME(status_of("p").st_nlink, 2);
  struct stat here = status_of("."), parent;
  OK(stat("file/..", &parent));
  SAME(parent.st_ino, here.st_ino);
  FAILS(renameat2(AT_FDCWD, "file", AT_FDCWD, "file/inside", RENAME_EXCHANGE), EINVAL);
}

static void times_of_rename(void) {
  make_file("a", 0644, "text");
  OK(mkdir("d", 0755));
  struct stat file = status_of("a"), source = status_of("."), target = status_of("d");
  let_time_pass();
  OK(rename("a", "d/a"));
  struct stat file_after = status_of("d/a"), source_after = status_of("."), target_after = status_of("d");
  CHECK(not_after(file.st_mtim, file_after.st_mtim) && not_after(file_after.st_mtim, file.st_mtim));
  CHECK(!not_after(source_after.st_mtim, source.st_mtim));
  CHECK(!not_after(target_after.st_mtim, target.st_mtim));
}

static void many_in_turn(void) {
  make_file("0", 0644, "text");
  char from[16], to[16];
  for (int i = 0; i < 300; i++) {
    snprintf(from, sizeof from, "%d", i);
    snprintf(to, sizeof to, "%d", i + 1);
    OK(rename(from, to));
    FAILS(open(from, O_RDONLY), ENOENT);
  }
  TEXT("300", "text");
}

const struct posix_case rename_cases[] = {
    {"rename of files, over others and into directories", ANYONE, files},
    {"rename of directories, with link counts and dot-dot", ANYONE, directories},
    {"rename between kinds is refused as it must be", ANYONE, kinds_mixed},
    {"rename over an open file leaves its handle working", ANYONE, over_open_file},
    {"rename over one of two hard links", ANYONE, hard_linked_target},
    {"RENAME_NOREPLACE", ANYONE, no_replace},
    {"RENAME_EXCHANGE of two files", ANYONE, exchange},
    {"RENAME_EXCHANGE of a file and a directory", ANYONE, exchange_kinds},
    {"rename stamps the directories and not the bytes", ANYONE, times_of_rename},
    {"300 renames of one file", ANYONE, many_in_turn},
    {NULL, ANYONE, NULL}};
