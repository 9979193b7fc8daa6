/*
 * Cases: names: mkdir, rmdir, link, unlink, symlink, and what names may look like.
 */
#include "harness.h"

static void directories(void) {
  OK(mkdir("d", 0751));
  struct stat status = status_of("d");
  CHECK(S_ISDIR(status.st_mode));
  SAME(status.st_mode & 07777, 0751 & ~022);
  SAME(status.st_nlink, 2);
  OK(mkdir("d/e", 0755));
  SAME(status_of("d").st_nlink, 3);
  FAILS(mkdir("d", 0755), EEXIST);
  FAILS(rmdir("d"), ENOTEMPTY);
  FAILS(mkdir("absent/e", 0755), ENOENT);
  FAILS(rmdir("absent"), ENOENT);
  FAILS(rmdir("d/e/."), EINVAL);
  OK(rmdir("d/e"));
  SAME(status_of("d").st_nlink, 2);
  make_file("a", 0644, "");
  FAILS(rmdir("a"), ENOTDIR);
  FAILS(mkdir("a", 0755), EEXIST);
  FAILS(mkdir("a/b", 0755), ENOTDIR);
  OK(rmdir("d"));
  FAILS(stat("d", &status), ENOENT);
}

static void unlinking(void) {
  make_file("a", 0644, "text");
  OK(mkdir("d", 0755));
  OK(symlink("d", "link"));
  FAILS(unlink("d"), EISDIR);
  FAILS(unlink("absent"), ENOENT);
  FAILS(unlink("a/"), ENOTDIR);
  FAILS(rmdir("link"), ENOTDIR);
  OK(unlink("a"));
  FAILS(unlink("a"), ENOENT);
  OK(unlink("link"));
  CHECK(S_ISDIR(status_of("d").st_mode));
}

static void hard_links(void) {
  make_file("a", 0644, "text");
  OK(mkdir("d", 0755));
  OK(link("a", "b"));
  OK(link("b", "d/c"));
  struct stat a = status_of("a"), c = status_of("d/c");
  SAME(a.st_ino, c.st_ino);
  SAME(a.st_nlink, 3);
  SAME(c.st_nlink, 3);
  int file = (int)OK(open("b", O_WRONLY | O_APPEND));
  SAME(write(file, " more", 5), 5);
  OK(close(file));
  TEXT("d/c", "text more");
  OK(chmod("d/c", 0600));
  SAME(status_of("a").st_mode & 07777, 0600);
  OK(rename("b", "e"));
  SAME(status_of("e").st_ino, a.st_ino);
  SAME(status_of("e").st_nlink, 3);
  OK(unlink("a"));
  SAME(status_of("e").st_nlink, 2);
  OK(unlink("d/c"));
  SAME(status_of("e").st_nlink, 1);
  TEXT("e", "text more");
}

static void links_refused(void) {
  make_file("a", 0644, "");
  OK(mkdir("d", 0755));
  FAILS(link("a", "d"), EEXIST);
  FAILS(link("a", "a"), EEXIST);
  FAILS(link("d", "e"), EPERM);
  FAILS(link("absent", "e"), ENOENT);
  FAILS(link("a", "absent/e"), ENOENT);
  FAILS(link("a", "a/e"), ENOTDIR);
  SAME(status_of("a").st_nlink, 1);
}

static void link_replaces_nothing_by_rename(void) {
  /* rename(2) between two names of one inode does nothing and succeeds. */
  make_file("a", 0644, "text");
  OK(link("a", "b"));
  OK(rename("a", "b"));
  SAME(status_of("a").st_nlink, 2);
  SAME(status_of("a").st_ino, status_of("b").st_ino);
}

static void link_of_symlink(void) {
  OK(symlink("absent", "s"));
  OK(link("s", "t"));
  CHECK(S_ISLNK(status_of("t").st_mode));
  SAME(status_of("t").st_nlink, 2);
  SAME(status_of("t").st_ino, status_of("s").st_ino);
}

static void symlinks(void) {
  char target[PATH_MAX];
  OK(symlink("a/b c", "s"));
  struct stat status = status_of("s");
  CHECK(S_ISLNK(status.st_mode));
  SAME(status.st_size, 5);
  SAME(status.st_mode & 0777, 0777);
  SAME(readlink("s", target, sizeof target), 5);
  CHECK(memcmp(target, "a/b c", 5) == 0);
  SAME(readlink("s", target, 2), 2);
  FAILS(symlink("x", "s"), EEXIST);
  FAILS(symlink("", "t"), ENOENT);
  make_file("a", 0644, "");
  FAILS(readlink("a", target, sizeof target), EINVAL);
  FAILS(open("s", O_RDONLY), ENOTDIR);
  memset(target, 'x', 4095);
  target[4095] = 0;
  OK(symlink(target, "long"));
  char seen[PATH_MAX + 1];
  SAME(readlink("long", seen, sizeof seen), 4095);
  CHECK(memcmp(target, seen, 4095) == 0);
}

static void symlink_loops(void) {
  OK(symlink("b", "a"));
  OK(symlink("a", "b"));
  struct stat status;
  FAILS(stat("a", &status), ELOOP);
  FAILS(open("a/x", O_RDONLY), ELOOP);
  FAILS(open("a", O_RDONLY), ELOOP);
  CHECK(S_ISLNK(status_of("a").st_mode));
}

static void symlinks_are_followed(void) {
  OK(mkdir("d", 0755));
  make_file("d/a", 0644, "text");
  OK(symlink("../d/a", "d/s"));
  OK(symlink("d", "e"));
  TEXT("e/s", "text");
  OK(chmod("e/s", 0600));
  SAME(status_of("d/a").st_mode & 0777, 0600);
  OK(rename("d", "f"));
  struct stat status;
  FAILS(stat("e", &status), ENOENT);
}

static void name_lengths(void) {
  char name[257];
  memset(name, 'n', sizeof name);
  name[256] = 0;
  struct stat status;
  FAILS(open(name, O_WRONLY | O_CREAT, 0644), ENAMETOOLONG);
  FAILS(mkdir(name, 0755), ENAMETOOLONG);
  FAILS(stat(name, &status), ENAMETOOLONG);
  FAILS(symlink("a", name), ENAMETOOLONG);
  FAILS(mkfifo(name, 0644), ENAMETOOLONG);
  name[255] = 0;
  make_file(name, 0644, "text");
  TEXT(name, "text");
  FAILS(unlink((name[0] = 'm', name)), ENOENT);
  name[0] = 'n';
  char other[256];
  memset(other, 'o', sizeof other);
  other[255] = 0;
  OK(rename(name, other));
  OK(link(other, name));
  SAME(status_of(name).st_nlink, 2);
  FAILS(rename(name, "x/y"), ENOENT);
  OK(unlink(name));
  OK(unlink(other));
}

static void name_bytes(void) {
  char name[2] = "";
  for (int byte = 1; byte < 256; byte++) {
    if (byte == '/' || byte == '.') continue;
    name[0] = (char)byte;
    int file = (int)OK(open(name, O_WRONLY | O_CREAT | O_EXCL, 0644));
    SAME(write(file, &byte, 1), 1);
    OK(close(file));
  }
  bool seen[256] = {false};
  struct dirent *entry;
  DIR *directory = opendir(".");
  while ((entry = readdir(directory)))
    if (entry->d_name[0] != '.') {
      SAME(strlen(entry->d_name), 1);
      seen[(unsigned char)entry->d_name[0]] = true;
    }
  closedir(directory);
  for (int byte = 1; byte < 256; byte++) SAME(seen[byte], byte != '/' && byte != '.');
  name[0] = (char)0xff;
  char content;
  int file = (int)OK(open(name, O_RDONLY));
  SAME(read(file, &content, 1), 1);
  SAME((unsigned char)content, 0xff);
}

static void deep_paths(void) {
  char name[201];
  memset(name, 'd', sizeof name);
  name[200] = 0;
  int top = (int)OK(open(".", O_RDONLY));
  enum { DEPTH = 60 }; /* 12,000 bytes of path: far over PATH_MAX */
  for (int i = 0; i < DEPTH; i++) {
    OK(mkdir(name, 0755));
    OK(chdir(name));
  }
  make_file("deep", 0644, "text");
  TEXT("deep", "text");
  OK(rename("deep", "deeper"));
  OK(unlink("deeper"));
  for (int i = 0; i < DEPTH; i++) {
    OK(chdir(".."));
    OK(rmdir(name));
  }
  struct stat here, start;
  OK(stat(".", &here));
  OK(fstat(top, &start));
  SAME(here.st_ino, start.st_ino);
}

static void long_path(void) {
  char path[PATH_MAX + 16];
  for (size_t i = 0; i < sizeof path - 1; i++) path[i] = i % 2 ? '/' : '.';
  path[sizeof path - 1] = 0;
  struct stat status;
  FAILS(stat(path, &status), ENAMETOOLONG);
}

static void negative_entries(void) {
  /* A name asked for in vain must be found as soon as it exists. */
  struct stat status;
  for (int i = 0; i < 3; i++) {
    FAILS(stat("a", &status), ENOENT);
    make_file("a", 0644, "");
    OK(stat("a", &status));
    OK(rename("a", "b"));
    FAILS(stat("a", &status), ENOENT);
    OK(link("b", "a"));
    OK(stat("a", &status));
    OK(unlink("a"));
    OK(unlink("b"));
  }
}

const struct posix_case name_cases[] = {
    {"mkdir and rmdir, with their link counts and errors", ANYONE, directories},
    {"unlink and its errors", ANYONE, unlinking},
    {"hard links are one inode with the right count, also through rename", ANYONE, hard_links},
    {"link refuses what it must", ANYONE, links_refused},
    {"rename between two names of one file does nothing", ANYONE, link_replaces_nothing_by_rename},
    {"a hard link to a symlink", ANYONE, link_of_symlink},
    {"symlinks and readlink", ANYONE, symlinks},
    {"symlink loops end in ELOOP", ANYONE, symlink_loops},
    {"symlinks are followed, and break when their target moves", ANYONE, symlinks_are_followed},
    {"names of 255 bytes work, of 256 do not", ANYONE, name_lengths},
    {"names of any bytes", ANYONE, name_bytes},
    {"directories nested far over PATH_MAX", ANYONE, deep_paths},
    {"a path over PATH_MAX is refused", ANYONE, long_path},
    {"names are found as soon as they exist and not after", ANYONE, negative_entries},
    {NULL, ANYONE, NULL}};
