/*
 * Cases: extended attributes of every kind of file, with their namespaces, flags and errors.
 */
#include "harness.h"
#include <linux/limits.h>

static void set_get_list_remove(void) {
  make_file("a", 0644, "");
  OK(mkdir("d", 0755));
  static const char *const paths[] = {"a", "d"};
  for (int i = 0; i < 2; i++) {
    char value[64], names[64];
    OK(setxattr(paths[i], "user.one", "first", 5, 0));
    OK(setxattr(paths[i], "user.two", "\0\xff", 2, 0));
    SAME(getxattr(paths[i], "user.one", value, sizeof value), 5);
    CHECK(memcmp(value, "first", 5) == 0);
    SAME(getxattr(paths[i], "user.two", value, sizeof value), 2);
    CHECK(memcmp(value, "\0\xff", 2) == 0);
    SAME(getxattr(paths[i], "user.one", NULL, 0), 5);
    FAILS(getxattr(paths[i], "user.one", value, 2), ERANGE);
    SAME(listxattr(paths[i], NULL, 0), 18);
    SAME(listxattr(paths[i], names, sizeof names), 18);
    FAILS(listxattr(paths[i], names, 3), ERANGE);
    OK(removexattr(paths[i], "user.one"));
    FAILS(removexattr(paths[i], "user.one"), ENODATA);
    FAILS(getxattr(paths[i], "user.one", value, sizeof value), ENODATA);
    SAME(listxattr(paths[i], names, sizeof names), 9);
  }
}

static void flags(void) {
  make_file("a", 0644, "");
  char value[8];
  FAILS(setxattr("a", "user.x", "1", 1, XATTR_REPLACE), ENODATA);
  OK(setxattr("a", "user.x", "1", 1, XATTR_CREATE));
  FAILS(setxattr("a", "user.x", "2", 1, XATTR_CREATE), EEXIST);
  OK(setxattr("a", "user.x", "22", 2, XATTR_REPLACE));
  SAME(getxattr("a", "user.x", value, sizeof value), 2);
  OK(setxattr("a", "user.x", "", 0, 0));
  SAME(getxattr("a", "user.x", value, sizeof value), 0);
}

static void refused(void) {
  make_file("a", 0644, "");
  OK(symlink("a", "s"));
  OK(mkfifo("p", 0644));
  char name[300], value[8];
  FAILS(setxattr("a", "nonsense.x", "1", 1, 0), EOPNOTSUPP);
  FAILS(lsetxattr("s", "user.x", "1", 1, 0), EPERM);
  FAILS(setxattr("p", "user.x", "1", 1, 0), EPERM);
  FAILS(getxattr("absent", "user.x", value, sizeof value), ENOENT);
  memset(name, 'n', sizeof name);
  memcpy(name, "user.", 5);
  name[256] = 0;
  FAILS(setxattr("a", name, "1", 1, 0), ERANGE);
  name[255] = 0;
  OK(setxattr("a", name, "1", 1, 0));
  SAME(listxattr("a", NULL, 0), 256);
}

static void large_value(void) {
  make_file("a", 0644, "");
  unsigned char value[3000], seen[3000];
  fill(value, sizeof value, 9);
  OK(setxattr("a", "user.large", value, sizeof value, 0));
  SAME(getxattr("a", "user.large", seen, sizeof seen), sizeof value);
  CHECK(memcmp(value, seen, sizeof value) == 0);
  static unsigned char huge[XATTR_SIZE_MAX + 1];
  FAILS(setxattr("a", "user.huge", huge, sizeof huge, 0), E2BIG);
}

static void by_handle(void) {
  char value[8];
  int file = (int)OK(open("a", O_RDWR | O_CREAT, 0644));
  OK(fsetxattr(file, "user.x", "1", 1, 0));
  OK(unlink("a"));
  SAME(fgetxattr(file, "user.x", value, sizeof value), 1);
  OK(fsetxattr(file, "user.y", "2", 1, 0));
  SAME(flistxattr(file, NULL, 0), 14);
  OK(fremovexattr(file, "user.x"));
}

static void follow_the_inode(void) {
  make_file("a", 0644, "");
  char value[8];
  OK(setxattr("a", "user.x", "1", 1, 0));
  OK(link("a", "b"));
  OK(rename("a", "c"));
  SAME(getxattr("b", "user.x", value, sizeof value), 1);
  SAME(getxattr("c", "user.x", value, sizeof value), 1);
  make_file("a", 0644, "");
  FAILS(getxattr("a", "user.x", value, sizeof value), ENODATA);
}

static void user_and_trusted(void) {
  char value[8];
  FAILS(getxattr("a", "trusted.x", value, sizeof value), ENODATA);
  FAILS(setxattr("a", "trusted.y", "1", 1, 0), EPERM);
  SAME(listxattr("a", NULL, 0), 0);
}

static void trusted(void) {
  make_file("a", 0666, "");
  OK(symlink("a", "s"));
  char value[8];
  OK(setxattr("a", "trusted.x", "1", 1, 0));
  OK(lsetxattr("s", "trusted.x", "2", 1, 0));
  SAME(getxattr("a", "trusted.x", value, sizeof value), 1);
  SAME(lgetxattr("s", "trusted.x", value, sizeof value), 1);
  SAME(value[0], '2');
  as_user(USER, GROUP, user_and_trusted);
}

const struct posix_case xattr_cases[] = {
    {"extended attributes are set, read, listed and removed", ANYONE, set_get_list_remove},
    {"XATTR_CREATE, XATTR_REPLACE and empty values", ANYONE, flags},
    {"extended attributes that are refused", ANYONE, refused},
    {"large extended attributes", ANYONE, large_value},
    {"extended attributes by handle, also unlinked", ANYONE, by_handle},
    {"extended attributes belong to the inode", ANYONE, follow_the_inode},
    {"trusted attributes, hidden from users", ROOT, trusted},
    {NULL, ANYONE, NULL}};
