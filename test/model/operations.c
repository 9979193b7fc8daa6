/*
 * The operations of the model test, each a few system calls on one tree. Words come in as text: paths, numbers, and a seed
 * that bytes are made from, so that both sides write the same. The table at the end names them.
 *
 * 1. An operation on both sides does the same calls with the same arguments, whatever the first side answered.
 */
#include "worker.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { PAGE = 4096, LARGEST = 4 << 20 };

static const char *path_of(const struct words *words, int index) { return index < words->count ? words->text[index] : ""; }
static long long number(const struct words *words, int index) { return strtoll(path_of(words, index), NULL, 0); }
static int result(long long value) { return value < 0 ? errno : 0; }

/* Bytes that differ by seed and position; aligned for O_DIRECT. */
static unsigned char *bytes_from(long long seed, long long length) {
  static unsigned char *buffer;
  if (!buffer && posix_memalign((void **)&buffer, PAGE, LARGEST) != 0) abort();
  if (length > LARGEST) abort();
  uint64_t state = (uint64_t)seed * 0x9e3779b97f4a7c15u + 1;
  for (long long i = 0; i < length; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    buffer[i] = (unsigned char)(state >> 56);
  }
  return buffer;
}

/* Closes, and gives the first error: that of the work, else that of close. */
static int closing(int file, int error) {
  int closed = result(close(file));
  return error ? error : closed;
}

static int written(long long count, long long length) { return count < 0 ? errno : count == length ? 0 : EIO; }

static int create(struct side *side, const struct words *words) {
  int file = openat(side->root, path_of(words, 0), O_WRONLY | O_CREAT | O_EXCL, (mode_t)number(words, 1));
  return file < 0 ? errno : closing(file, 0);
}

/* Opens a regular file; anything else is EINVAL. O_NONBLOCK: the path may be a FIFO. */
static int open_regular(struct side *side, const char *path, int flags) {
  struct stat status;
  int file = openat(side->root, path, flags | O_NONBLOCK);
  if (file < 0 || (fstat(file, &status) == 0 && S_ISREG(status.st_mode))) return file;
  close(file);
  errno = EINVAL;
  return -1;
}

static int write_with(struct side *side, const struct words *words, int flags) {
  long long length = number(words, 2);
  int file = open_regular(side, path_of(words, 0), O_WRONLY | flags);
  if (file < 0) return errno;
  return closing(file, written(pwrite(file, bytes_from(number(words, 3), length), (size_t)length, number(words, 1)), length));
}
static int write_bytes(struct side *side, const struct words *words) { return write_with(side, words, 0); }
static int write_append(struct side *side, const struct words *words) { return write_with(side, words, O_APPEND); }
static int write_direct(struct side *side, const struct words *words) { return write_with(side, words, O_DIRECT); }
static int write_over(struct side *side, const struct words *words) { return write_with(side, words, O_TRUNC); }

static int truncate_path(struct side *side, const struct words *words) {
  char path[64];
  int file = openat(side->root, path_of(words, 0), O_PATH);
  if (file < 0) return errno;
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  return closing(file, result(truncate(path, number(words, 1))));
}

static int rename_path(struct side *side, const struct words *words) {
  return result(renameat2(side->root, path_of(words, 0), side->root, path_of(words, 1), (unsigned)number(words, 2)));
}
static int link_path(struct side *side, const struct words *words) {
  return result(linkat(side->root, path_of(words, 0), side->root, path_of(words, 1), 0));
}
static int unlink_path(struct side *side, const struct words *words) { return result(unlinkat(side->root, path_of(words, 0), 0)); }
static int make_directory(struct side *side, const struct words *words) {
  return result(mkdirat(side->root, path_of(words, 0), (mode_t)number(words, 1)));
}
static int remove_directory(struct side *side, const struct words *words) {
  return result(unlinkat(side->root, path_of(words, 0), AT_REMOVEDIR));
}
static int make_symlink(struct side *side, const struct words *words) {
  return result(symlinkat(path_of(words, 1), side->root, path_of(words, 0)));
}
/* Only memory devices (major 1: null, zero, full): operations open and write what they meet. */
static int make_node(struct side *side, const struct words *words) {
  return result(mknodat(side->root, path_of(words, 0), (mode_t)number(words, 1), makedev(1, (unsigned)number(words, 2))));
}

static int change_mode(struct side *side, const struct words *words) {
  return result(fchmodat(side->root, path_of(words, 0), (mode_t)number(words, 1), 0));
}
static int change_owner(struct side *side, const struct words *words) {
  return result(fchownat(side->root, path_of(words, 0), (uid_t)number(words, 1), (gid_t)number(words, 2), AT_SYMLINK_NOFOLLOW));
}
static int change_times(struct side *side, const struct words *words) {
  struct timespec times[2] = {{number(words, 1), 1}, {number(words, 1), number(words, 2)}};
  return result(utimensat(side->root, path_of(words, 0), times, AT_SYMLINK_NOFOLLOW));
}

/* Attributes are reached through a descriptor: there is no setxattrat here. */
static int with_file(struct side *side, const char *path, int (*work)(int file, const struct words *), const struct words *words) {
  int file = openat(side->root, path, O_RDONLY | O_NONBLOCK);
  return file < 0 ? errno : closing(file, work(file, words));
}
static int set_attribute(int file, const struct words *words) {
  long long length = number(words, 3);
  return result(fsetxattr(file, path_of(words, 1), bytes_from(number(words, 2), length), (size_t)length, 0));
}
static int drop_attribute(int file, const struct words *words) { return result(fremovexattr(file, path_of(words, 1))); }
static int set_list(int file, const struct words *words) {
  /* user::rwx user:UID:PERMISSIONS group::r-x mask::rwx other::--x */
  uint16_t permissions = (uint16_t)number(words, 3);
  struct {
    uint32_t version;
    struct {
      uint16_t tag, permissions;
      uint32_t id;
    } entries[5];
  } list = {2, {{1, 7, 0xffffffff}, {2, permissions, (uint32_t)number(words, 2)}, {4, 5, 0xffffffff}, {16, 7, 0xffffffff}, {32, 1, 0xffffffff}}};
  return result(fsetxattr(file, path_of(words, 1), &list, sizeof list, 0));
}
static int set_xattr(struct side *side, const struct words *words) { return with_file(side, path_of(words, 0), set_attribute, words); }
static int drop_xattr(struct side *side, const struct words *words) { return with_file(side, path_of(words, 0), drop_attribute, words); }
static int set_acl(struct side *side, const struct words *words) { return with_file(side, path_of(words, 0), set_list, words); }

/* path, mode of fallocate, offset, length; synced, since an allocation alone is no barrier. */
static int allocate(struct side *side, const struct words *words) {
  int file = open_regular(side, path_of(words, 0), O_WRONLY);
  if (file < 0) return errno;
  int error = result(fallocate(file, (int)number(words, 1), number(words, 2), number(words, 3)));
  if (!error) error = result(fsync(file));
  return closing(file, error);
}

static int write_mapped(struct side *side, const struct words *words) {
  long long offset = number(words, 1), length = number(words, 2);
  int file = open_regular(side, path_of(words, 0), O_RDWR);
  if (file < 0) return errno;
  struct stat status;
  if (fstat(file, &status) < 0) return closing(file, errno);
  if (offset + length > status.st_size) return closing(file, ERANGE);
  char *memory = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) return closing(file, errno);
  memcpy(memory + offset, bytes_from(number(words, 3), length), (size_t)length);
  int error = result(msync(memory, (size_t)status.st_size, MS_SYNC));
  munmap(memory, (size_t)status.st_size);
  return closing(file, error);
}

static int copy_range(struct side *side, const struct words *words) {
  off_t from = number(words, 2), to = number(words, 3);
  int source = open_regular(side, path_of(words, 0), O_RDONLY);
  if (source < 0) return errno;
  int target = open_regular(side, path_of(words, 1), O_WRONLY);
  if (target < 0) return closing(source, errno);
  int error = result(copy_file_range(source, &from, target, &to, (size_t)number(words, 4), 0));
  if (!error) error = result(fsync(target));
  return closing(source, closing(target, error));
}

static int link_unnamed(struct side *side, const struct words *words) {
  long long length = number(words, 1);
  char path[64];
  int file = openat(side->root, ".", O_TMPFILE | O_RDWR, 0644);
  if (file < 0) return errno;
  int error = written(write(file, bytes_from(number(words, 2), length), (size_t)length), length);
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  if (!error) error = result(linkat(AT_FDCWD, path, side->root, path_of(words, 0), AT_SYMLINK_FOLLOW));
  return closing(file, error);
}

/* Files that stay open: the first word is the slot. */
static int *slot_of(struct side *side, const struct words *words) { return &side->slots[(unsigned)number(words, 0) % SLOTS]; }

static int slot_open(struct side *side, const struct words *words) {
  int *slot = slot_of(side, words);
  if (*slot >= 0) close(*slot);
  *slot = open_regular(side, path_of(words, 1), O_RDWR);
  return result(*slot);
}
static int slot_write(struct side *side, const struct words *words) {
  long long length = number(words, 2);
  return written(pwrite(*slot_of(side, words), bytes_from(number(words, 3), length), (size_t)length, number(words, 1)), length);
}
static int slot_truncate(struct side *side, const struct words *words) { return result(ftruncate(*slot_of(side, words), number(words, 1))); }
static int slot_sync(struct side *side, const struct words *words) { return result(fsync(*slot_of(side, words))); }
static int slot_datasync(struct side *side, const struct words *words) { return result(fdatasync(*slot_of(side, words))); }
static int slot_close(struct side *side, const struct words *words) {
  int *slot = slot_of(side, words), error = result(close(*slot));
  *slot = -1;
  return error;
}

static int synchronize(struct side *side, const struct words *words) {
  (void)words;
  return result(fsync(side->root));
}

static const struct {
  const char *name;
  int (*run)(struct side *, const struct words *);
} operations[] = {
    {"create", create}, {"write", write_bytes}, {"append", write_append}, {"direct", write_direct}, {"over", write_over},
    {"truncate", truncate_path}, {"rename", rename_path}, {"link", link_path}, {"unlink", unlink_path},
    {"mkdir", make_directory}, {"rmdir", remove_directory}, {"symlink", make_symlink}, {"mknod", make_node},
    {"chmod", change_mode}, {"chown", change_owner}, {"utimes", change_times}, {"setxattr", set_xattr},
    {"removexattr", drop_xattr}, {"acl", set_acl}, {"fallocate", allocate}, {"mmap", write_mapped}, {"copy", copy_range},
    {"tmpfile", link_unnamed}, {"open", slot_open}, {"slotwrite", slot_write}, {"slottruncate", slot_truncate},
    {"fsync", slot_sync}, {"fdatasync", slot_datasync}, {"close", slot_close}, {"sync", synchronize}};

int operate(struct side *side, const char *operation, const struct words *words) {
  for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
    if (strcmp(operations[i].name, operation) == 0) return operations[i].run(side, words);
  return -1;
}
