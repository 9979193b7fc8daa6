/*
 * Cases: who may do what: other users are kept out as the modes say, sticky directories, access(2), and
 * groups that a process has besides its own.
 */
#include "harness.h"
#include <grp.h>
#include <sys/time.h>

static void try_private_file(void) {
  FAILS(open("a", O_RDONLY), EACCES);
  FAILS(open("a", O_WRONLY), EACCES);
  FAILS(truncate("a", 0), EACCES);
  FAILS(access("a", R_OK), EACCES);
  FAILS(chmod("a", 0777), EPERM);
  FAILS(utimes("a", (struct timeval[]){{1, 0}, {1, 0}}), EPERM);
  FAILS(utimes("a", NULL), EACCES);
  FAILS(setxattr("a", "user.x", "y", 1, 0), EACCES);
  char value[8];
  FAILS(getxattr("a", "user.kept", value, sizeof value), EACCES);
  OK(access("a", F_OK));
  SAME(status_of("a").st_size, 4);
}

static void private_file(void) {
  make_file("a", 0600, "text");
  OK(setxattr("a", "user.kept", "v", 1, 0));
  OK(chmod(".", 0755));
  as_user(USER, GROUP, try_private_file);
  TEXT("a", "text");
}

static void try_read_only(void) {
  TEXT("a", "text");
  FAILS(open("a", O_RDWR), EACCES);
  FAILS(open("new", O_WRONLY | O_CREAT, 0644), EACCES);
  FAILS(mkdir("new", 0755), EACCES);
  FAILS(symlink("x", "new"), EACCES);
  FAILS(link("b", "new"), EACCES);
  FAILS(mkfifo("new", 0644), EACCES);
  FAILS(unlink("a"), EACCES);
  FAILS(rmdir("d"), EACCES);
  FAILS(rename("a", "new"), EACCES);
  FAILS(open(".", O_TMPFILE | O_RDWR, 0600), EACCES);
}

static void read_only_directory(void) {
  make_file("a", 0644, "text");
  make_file("b", 0666, ""); /* protected_hardlinks lets others link only what they may write */
  OK(mkdir("d", 0755));
  OK(chmod(".", 0755));
  as_user(USER, GROUP, try_read_only);
}

static void try_closed_directory(void) {
  struct stat status;
  FAILS(open("closed/a", O_RDONLY), EACCES);
  FAILS(stat("closed/a", &status), EACCES);
  FAILS(stat("closed/absent", &status), EACCES);
  CHECK(opendir("closed") == NULL && errno == EACCES);
  OK(stat("closed", &status));
  TEXT("search/a", "seen");
  CHECK(opendir("search") == NULL && errno == EACCES);
  DIR *listing = opendir("list");
  CHECK(listing != NULL);
  struct dirent *entry;
  int count = 0;
  while ((entry = readdir(listing))) count++;
  SAME(count, 3);
  FAILS(stat("list/a", &status), EACCES);
}

static void directory_bits(void) {
  static const char *const names[] = {"closed", "search", "list"};
  static const mode_t modes[] = {0700, 0711, 0744};
  for (int i = 0; i < 3; i++) {
    OK(mkdir(names[i], 0755));
    char path[32];
    snprintf(path, sizeof path, "%s/a", names[i]);
    make_file(path, 0644, "seen");
    OK(chmod(names[i], modes[i]));
  }
  as_user(USER, GROUP, try_closed_directory);
}

static void permission_taken_while_known(void) {
  /* The kernel may remember names and attributes, not permissions. */
  OK(mkdir("d", 0755));
  make_file("d/a", 0644, "text");
  int ends[2], back[2];
  OK(pipe(ends));
  OK(pipe(back));
  pid_t child = (pid_t)OK(fork());
  char byte = 0;
  if (child == 0) {
    OK(setgroups(0, NULL));
    OK(setresgid(GROUP, GROUP, GROUP));
    OK(setresuid(USER, USER, USER));
    TEXT("d/a", "text");
    OK(write(back[1], &byte, 1));
    OK(read(ends[0], &byte, 1));
    FAILS(open("d/a", O_RDONLY), EACCES);
    OK(write(back[1], &byte, 1));
    OK(read(ends[0], &byte, 1));
    TEXT("d/a", "text");
    _exit(0);
  }
  OK(read(back[0], &byte, 1));
  OK(chmod("d", 0700));
  OK(write(ends[1], &byte, 1));
  OK(read(back[0], &byte, 1));
  OK(chmod("d", 0711));
  OK(write(ends[1], &byte, 1));
  int status;
  OK(waitpid(child, &status, 0));
  SAME(status, 0);
}

static void use_sticky(void) {
  FAILS(unlink("d/a"), EPERM);
  FAILS(rename("d/a", "d/b"), EPERM);
  make_file("d/mine", 0644, "mine");
  FAILS(rename("d/mine", "d/a"), EPERM);
  OK(rename("d/mine", "d/renamed"));
  OK(unlink("d/renamed"));
  TEXT("d/a", "text");
}

static void sticky(void) {
  OK(mkdir("d", 0755));
  OK(chmod("d", 01777));
  make_file("d/a", 0666, "text");
  as_user(USER, GROUP, use_sticky);
}

static void read_by_group(void) {
  OK(setgroups(2, (gid_t[]){70001, OTHER_GROUP}));
  OK(setresgid(GROUP, GROUP, GROUP));
  OK(setresuid(USER, USER, USER));
  TEXT("a", "text");
  FAILS(open("a", O_WRONLY), EACCES);
  FAILS(open("b", O_RDONLY), EACCES);
}

static void supplementary_groups(void) {
  make_file("a", 0640, "text");
  make_file("b", 0640, "text");
  OK(chown("a", OTHER_USER, OTHER_GROUP));
  OK(chown("b", OTHER_USER, 70002));
  in_child(read_by_group);
}

static void owner_has_less(void) {
  FAILS(open("a", O_RDONLY), EACCES);
}

static void the_first_class_counts(void) {
  /* The owner is judged by the owner's bits even when others have more. */
  make_file("a", 0066, "text");
  OK(chown("a", USER, GROUP));
  as_user(USER, GROUP, owner_has_less);
}

static void own_modes_bind(void) {
  make_file("a", 0, "text");
  FAILS(open("a", O_RDONLY), EACCES);
  OK(mkdir("d", 0755));
  make_file("d/a", 0644, "text");
  OK(chmod("d", 0));
  FAILS(open("d/a", O_RDONLY), EACCES);
  OK(chmod("d", 0500));
  FAILS(unlink("d/a"), EACCES);
  OK(chmod("d", 0700));
}

static void root_may(void) {
  make_file("a", 0, "text");
  OK(mkdir("d", 0));
  make_file("d/b", 0, "text");
  TEXT("a", "text");
  TEXT("d/b", "text");
  OK(access("a", R_OK | W_OK));
  FAILS(access("a", X_OK), EACCES);
}

static void handle_outlives_permission(void) {
  make_file("a", 0644, "text");
  int file = (int)OK(open("a", O_RDWR));
  OK(chmod("a", 0));
  char seen[4];
  SAME(pread(file, seen, 4, 0), 4);
  SAME(pwrite(file, "T", 1, 0), 1);
  OK(chmod("a", 0600));
  TEXT("a", "Text");
}

const struct posix_case permission_cases[] = {
    {"a private file is closed to others in every way", ROOT, private_file},
    {"a directory that others may not write takes nothing from them", ROOT, read_only_directory},
    {"read and search bits of directories", ROOT, directory_bits},
    {"a permission taken away counts at once", ROOT, permission_taken_while_known},
    {"sticky directories", ROOT, sticky},
    {"supplementary groups count", ROOT, supplementary_groups},
    {"the owner's bits bind the owner", ROOT, the_first_class_counts},
    {"an ordinary user's own modes bind him", ORDINARY, own_modes_bind},
    {"root may what modes forbid, but not execute", ROOT, root_may},
    {"an open handle outlives the permission", ANYONE, handle_outlives_permission},
    {NULL, ANYONE, NULL}};
