/*
 * Cases: to whom things belong: new things to the caller, chown and its rules, setgid directories, and the
 * bits and capabilities that a write, a truncate or a chown takes away.
 */
#include "harness.h"

static void create_everything(void) {
  OK(close((int)OK(open("file", O_WRONLY | O_CREAT, 0644))));
  OK(mkdir("directory", 0755));
  OK(symlink("x", "symlink"));
  OK(mkfifo("fifo", 0644));
  int file = open(".", O_TMPFILE | O_RDWR, 0644);
  if (file < 0) return; /* tried in its own case */
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  OK(linkat(AT_FDCWD, path, AT_FDCWD, "unnamed", AT_SYMLINK_FOLLOW));
}

static void new_things_are_the_callers(void) {
  static const char *const names[] = {"file", "directory", "symlink", "fifo", "unnamed"};
  as_user(USER, GROUP, create_everything);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    struct stat status;
    if (lstat(names[i], &status) != 0 && i == 4) continue;
    status = status_of(names[i]);
    SAME(status.st_uid, USER);
    SAME(status.st_gid, GROUP);
  }
}

static void owners(void) {
  make_file("a", 0644, "");
  OK(symlink("a", "s"));
  OK(chown("a", USER, GROUP));
  SAME(status_of("a").st_uid, USER);
  SAME(status_of("a").st_gid, GROUP);
  OK(chown("a", (uid_t)-1, OTHER_GROUP));
  SAME(status_of("a").st_uid, USER);
  SAME(status_of("a").st_gid, OTHER_GROUP);
  OK(chown("a", OTHER_USER, (gid_t)-1));
  SAME(status_of("a").st_uid, OTHER_USER);
  SAME(status_of("a").st_gid, OTHER_GROUP);
  OK(chown("a", (uid_t)-1, (gid_t)-1));
  OK(lchown("s", USER, GROUP));
  SAME(status_of("s").st_uid, USER);
  SAME(status_of("a").st_uid, OTHER_USER);
  int file = (int)OK(open("a", O_RDONLY));
  OK(fchown(file, 0, 0));
  SAME(status_of("a").st_uid, 0);
}

static void user_tries_chown(void) {
  FAILS(chown("a", OTHER_USER, (gid_t)-1), EPERM);
  FAILS(chown("a", (uid_t)-1, OTHER_GROUP), EPERM);
  OK(chown("a", USER, GROUP));
  OK(chmod("a", 0600));
  FAILS(chmod("b", 0600), EPERM);
  FAILS(chown("b", USER, GROUP), EPERM);
}

static void chown_by_users(void) {
  make_file("a", 0644, "");
  make_file("b", 0644, "");
  OK(chown("a", USER, GROUP));
  as_user(USER, GROUP, user_tries_chown);
}

static void chown_refused(void) {
  make_file("a", 0644, "");
  FAILS(chown("a", OTHER_USER, (gid_t)-1), EPERM);
  FAILS(chown("a", (uid_t)-1, OTHER_GROUP), EPERM);
  OK(chown("a", geteuid(), getegid()));
}

static void setgid_directory(void) {
  OK(mkdir("d", 0755));
  OK(chown("d", USER, OTHER_GROUP));
  OK(chmod("d", 02777));
  OK(chdir("d"));
  as_user(USER, GROUP, create_everything);
  SAME(status_of("file").st_gid, OTHER_GROUP);
  SAME(status_of("file").st_uid, USER);
  SAME(status_of("file").st_mode & 07777, 0644);
  SAME(status_of("directory").st_gid, OTHER_GROUP);
  SAME(status_of("directory").st_mode & 07777, 02755);
  SAME(status_of("symlink").st_gid, OTHER_GROUP);
  SAME(status_of("fifo").st_gid, OTHER_GROUP);
}

static void create_setgid(void) {
  OK(close((int)OK(open("d/executable", O_WRONLY | O_CREAT, 02775))));
  OK(close((int)OK(open("e/executable", O_WRONLY | O_CREAT, 02775))));
}

static void setgid_of_a_foreign_group(void) {
  /* A file born in a setgid directory of a group its creator is not in loses setgid when it is executable by the group. */
  OK(mkdir("d", 0755));
  OK(chown("d", USER, OTHER_GROUP));
  OK(chmod("d", 02777));
  OK(mkdir("e", 0755));
  OK(chown("e", USER, GROUP));
  as_user(USER, GROUP, create_setgid);
  SAME(status_of("d/executable").st_mode & 07777, 0755);
  SAME(status_of("e/executable").st_mode & 07777, 02755);
}

static void chmod_setgid(void) {
  OK(chmod("a", 02755));
  OK(chmod("b", 02755));
}

static void chmod_drops_a_foreign_setgid(void) {
  make_file("a", 0755, "");
  make_file("b", 0755, "");
  OK(chown("a", USER, OTHER_GROUP));
  OK(chown("b", USER, GROUP));
  as_user(USER, GROUP, chmod_setgid);
  SAME(status_of("a").st_mode & 07777, 0755);
  SAME(status_of("b").st_mode & 07777, 02755);
}

static void write_one(void) {
  int file = (int)OK(open("a", O_WRONLY));
  SAME(write(file, "x", 1), 1);
  OK(close(file));
}
static void truncate_one(void) { OK(truncate("a", 1)); }
static void open_truncating(void) { OK(close((int)OK(open("a", O_WRONLY | O_TRUNC)))); }
static void allocate_one(void) {
  int file = (int)OK(open("a", O_WRONLY));
  OK(fallocate(file, 0, 0, 8192));
  OK(close(file));
}
static void append_one(void) {
  int file = (int)OK(open("a", O_WRONLY | O_APPEND));
  SAME(write(file, "x", 1), 1);
  OK(close(file));
}
static void copy_one(void) {
  make_file("b", 0644, "copied");
  int source = (int)OK(open("b", O_RDONLY)), target = (int)OK(open("a", O_WRONLY));
  SAME(copy_file_range(source, NULL, target, NULL, 6, 0), 6);
  OK(close(target));
}

static void setuid_is_cleared(void) {
  void (*const changes[])(void) = {write_one, truncate_one, open_truncating, allocate_one, append_one, copy_one};
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    unlink("a");
    make_file("a", 0777, "some text");
    OK(chown("a", OTHER_USER, OTHER_GROUP));
    OK(chmod("a", 06777));
    as_user(USER, GROUP, changes[i]);
    if ((status_of("a").st_mode & 07777) != 0777)
      fail(__FILE__, __LINE__, "change %zu (write, truncate, O_TRUNC, fallocate, append, copy_file_range) left mode %o", i, status_of("a").st_mode & 07777);
  }
}

static void chown_own(void) { OK(chown("a", USER, GROUP)); }

static void setuid_and_chown(void) {
  make_file("a", 0755, "");
  OK(chmod("a", 06755));
  OK(chown("a", USER, GROUP)); /* even by root, on a file that can be executed */
  SAME(status_of("a").st_mode & 07777, 0755);
  OK(chmod("a", 06755));
  as_user(USER, GROUP, chown_own);
  SAME(status_of("a").st_mode & 07777, 0755);
  OK(mkdir("d", 0755));
  OK(chmod("d", 06755));
  OK(chown("d", USER, GROUP));
  SAME(status_of("d").st_mode & 07777, 06755);
}

/* cap_net_raw, permitted and effective, revision 2. */
static const unsigned char capability[20] = {1, 0, 0, 2, 0, 0x20, 0, 0};

static void capabilities_are_cleared(void) {
  unsigned char seen[64];
  make_file("a", 0777, "some text");
  OK(setxattr("a", "security.capability", capability, sizeof capability, 0));
  SAME(getxattr("a", "security.capability", seen, sizeof seen), sizeof capability);
  write_one();
  FAILS(getxattr("a", "security.capability", seen, sizeof seen), ENODATA);
  OK(setxattr("a", "security.capability", capability, sizeof capability, 0));
  OK(chown("a", USER, GROUP));
  FAILS(getxattr("a", "security.capability", seen, sizeof seen), ENODATA);
  OK(setxattr("a", "security.capability", capability, sizeof capability, 0));
  truncate_one();
  FAILS(getxattr("a", "security.capability", seen, sizeof seen), ENODATA);
}

const struct posix_case owner_cases[] = {
    {"a new file, directory, symlink, FIFO or unnamed file belongs to its caller", ROOT, new_things_are_the_callers},
    {"chown, lchown and fchown, also with -1", ROOT, owners},
    {"chown by users who may not", ROOT, chown_by_users},
    {"chown is refused to an ordinary user", ORDINARY, chown_refused},
    {"things in a setgid directory get its group", ROOT, setgid_directory},
    {"setgid is not given for a group the creator is not in", ROOT, setgid_of_a_foreign_group},
    {"chmod drops setgid for a group the caller is not in", ROOT, chmod_drops_a_foreign_setgid},
    {"setuid and setgid are cleared by every way of writing", ROOT, setuid_is_cleared},
    {"setuid and setgid are cleared by chown, but not of directories", ROOT, setuid_and_chown},
    {"capabilities are cleared by write, chown and truncate", ROOT, capabilities_are_cleared},
    {NULL, ANYONE, NULL}};
