/*
 * Cases: POSIX access control lists, set and read as the extended attributes the kernel gives them as.
 */
#include "harness.h"

/* The layout of system.posix_acl_*: a version, then entries. */
struct entry {
  uint16_t tag, permissions;
  uint32_t id;
};
struct list {
  uint32_t version;
  struct entry entries[6];
};
enum { OWNER = 1, NAMED_USER = 2, OWNING_GROUP = 4, NAMED_GROUP = 8, MASK = 0x10, OTHERS = 0x20 };
static const uint32_t NO_ID = 0xffffffff;

static size_t bytes_of(size_t count) { return 4 + count * sizeof(struct entry); }

/* Owner rw, a named user with these permissions, group and mask as given, others none. */
static struct list named_user_list(uint16_t user, uint16_t group, uint16_t mask) {
  return (struct list){2, {{OWNER, 6, NO_ID}, {NAMED_USER, user, USER}, {OWNING_GROUP, group, NO_ID}, {MASK, mask, NO_ID}, {OTHERS, 0, NO_ID}}};
}

static void need_acls(void) {
  struct list list = named_user_list(6, 4, 6);
  make_file("try", 0600, "");
  if (setxattr("try", "system.posix_acl_access", &list, bytes_of(5), 0) < 0 && errno == EOPNOTSUPP) skip("no ACLs on this file system");
  OK(unlink("try"));
}

static void read_it(void) { TEXT("a", "text"); }
static void write_it(void) { OK(close((int)OK(open("a", O_RDWR)))); }
static void be_refused(void) {
  FAILS(open("a", O_RDONLY), EACCES);
}
static void be_refused_writing(void) {
  TEXT("a", "text");
  FAILS(open("a", O_WRONLY), EACCES);
}

static void named_user(void) {
  need_acls();
  make_file("a", 0600, "text");
  struct list list = named_user_list(6, 0, 6), seen;
  as_user(USER, GROUP, be_refused);
  OK(setxattr("a", "system.posix_acl_access", &list, bytes_of(5), 0));
  SAME(getxattr("a", "system.posix_acl_access", &seen, sizeof seen), bytes_of(5));
  CHECK(memcmp(&list, &seen, bytes_of(5)) == 0);
  SAME(status_of("a").st_mode & 07777, 0660);
  as_user(USER, GROUP, read_it);
  as_user(USER, GROUP, write_it);
  as_user(OTHER_USER, OTHER_GROUP, be_refused);
}

static void the_mask_limits(void) {
  need_acls();
  make_file("a", 0600, "text");
  struct list list = named_user_list(6, 0, 4), seen;
  OK(setxattr("a", "system.posix_acl_access", &list, bytes_of(5), 0));
  as_user(USER, GROUP, be_refused_writing);
  OK(chmod("a", 0660)); /* the group bits of chmod are the mask */
  as_user(USER, GROUP, write_it);
  SAME(getxattr("a", "system.posix_acl_access", &seen, sizeof seen), bytes_of(5));
  SAME(seen.entries[3].permissions, 6);
  OK(chmod("a", 0600));
  as_user(USER, GROUP, be_refused);
}

static void minimal_list_becomes_mode(void) {
  need_acls();
  make_file("a", 0600, "text");
  struct list list = {2, {{OWNER, 6, NO_ID}, {OWNING_GROUP, 4, NO_ID}, {OTHERS, 4, NO_ID}}};
  char seen[64];
  OK(setxattr("a", "system.posix_acl_access", &list, bytes_of(3), 0));
  SAME(status_of("a").st_mode & 07777, 0644);
  FAILS(getxattr("a", "system.posix_acl_access", seen, sizeof seen), ENODATA);
}

static void create_inside(void) {
  umask(077); /* must not count where a default list stands */
  OK(close((int)OK(open("d/file", O_WRONLY | O_CREAT, 0666))));
  OK(mkdir("d/sub", 0777));
  OK(mkfifo("d/fifo", 0666));
  OK(symlink("x", "d/link"));
}

static void inheritance(void) {
  need_acls();
  OK(mkdir("d", 0777));
  OK(chmod("d", 0777));
  struct list list = {2, {{OWNER, 7, NO_ID}, {NAMED_USER, 7, OTHER_USER}, {OWNING_GROUP, 5, NO_ID}, {MASK, 7, NO_ID}, {OTHERS, 1, NO_ID}}}, seen;
  OK(setxattr("d", "system.posix_acl_default", &list, bytes_of(5), 0));
  if (geteuid() == 0) as_user(USER, GROUP, create_inside);
  else in_child(create_inside);
  SAME(status_of("d/file").st_mode & 07777, 0660);
  SAME(status_of("d/sub").st_mode & 07777, 0771);
  SAME(status_of("d/fifo").st_mode & 07777, 0660);
  SAME(getxattr("d/sub", "system.posix_acl_default", &seen, sizeof seen), bytes_of(5));
  CHECK(memcmp(&list, &seen, bytes_of(5)) == 0);
  SAME(getxattr("d/file", "system.posix_acl_access", &seen, sizeof seen), bytes_of(5));
  SAME(seen.entries[1].tag, NAMED_USER);
  SAME(seen.entries[1].id, OTHER_USER);
  SAME(seen.entries[3].permissions, 6);
  FAILS(getxattr("d/file", "system.posix_acl_default", &seen, sizeof seen), ENODATA);
}

static void removal(void) {
  need_acls();
  OK(mkdir("d", 0755));
  struct list list = named_user_list(7, 5, 7), seen;
  OK(setxattr("d", "system.posix_acl_default", &list, bytes_of(5), 0));
  OK(removexattr("d", "system.posix_acl_default"));
  FAILS(getxattr("d", "system.posix_acl_default", &seen, sizeof seen), ENODATA);
  OK(close((int)OK(open("d/file", O_WRONLY | O_CREAT, 0666))));
  SAME(status_of("d/file").st_mode & 07777, 0644);
}

static void wrong_lists(void) {
  need_acls();
  make_file("a", 0600, "");
  struct list list = named_user_list(6, 0, 6);
  FAILS(setxattr("a", "system.posix_acl_default", &list, bytes_of(5), 0), EACCES);
  list.entries[0].tag = 77;
  FAILS(setxattr("a", "system.posix_acl_access", &list, bytes_of(5), 0), EINVAL);
  list = named_user_list(6, 0, 6);
  FAILS(setxattr("a", "system.posix_acl_access", &list, 7, 0), EINVAL);
}

const struct posix_case acl_cases[] = {
    {"an ACL lets a named user in", ROOT, named_user},
    {"the mask of an ACL limits, and chmod moves it", ROOT, the_mask_limits},
    {"an ACL without named entries becomes the mode", ANYONE, minimal_list_becomes_mode},
    {"a default ACL is inherited and overrules the umask", ANYONE, inheritance},
    {"a default ACL is removed", ANYONE, removal},
    {"wrong ACLs are refused", ANYONE, wrong_lists},
    {NULL, ANYONE, NULL}};
