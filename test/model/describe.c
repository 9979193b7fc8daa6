/*
 * Tells everything about a tree that must be the same in two trees, or at two times: one line for each name, in the
 * order of the names' bytes, fields separated by blanks:
 *   path mode uid gid nlink size rdev group content attributes mtime
 * `group` is the number of the first line with the same inode: hard links. `content` is a hash of the bytes or the
 * symlink's target; `attributes` a hash of all extended attributes. What belongs to Tidemark in the root is left out, and
 * so are the root's own link count and time.
 *
 * 1. Nothing is written, and access times are left alone where the caller may.
 */
#include "worker.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { NODES = 4096, DEPTH = 64, CHUNK = 1 << 20 };

/* Inodes seen so far, for the groups of hard links. */
struct walk {
  int count;
  ino_t inodes[NODES];
};

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t length) {
  const unsigned char *at = bytes;
  for (; length >= 8; length -= 8, at += 8) {
    uint64_t word;
    memcpy(&word, at, 8);
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
  }
  for (; length > 0; length--, at++) hash = (hash ^ *at) * 0x100000001b3u;
  return hash;
}

static void print_escaped(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    unsigned char byte = (unsigned char)text[i];
    if (byte <= ' ' || byte >= 127 || byte == '%') printf("%%%02X", byte);
    else putchar(byte);
  }
}

static int hash_file(int directory, const char *name, uint64_t *hash) {
  static char buffer[CHUNK];
  int file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NOATIME);
  if (file < 0 && errno == EPERM) file = openat(directory, name, O_RDONLY | O_NOFOLLOW);
  if (file < 0) return errno;
  ssize_t count;
  *hash = 14695981039346656037u;
  while ((count = read(file, buffer, sizeof buffer)) > 0) *hash = hash_bytes(*hash, buffer, (size_t)count);
  int error = count < 0 ? errno : 0;
  close(file);
  return error;
}

static int compare_names(const void *left, const void *right) { return strcmp(*(const char *const *)left, *(const char *const *)right); }

/* A sum over the attributes, so that their order does not count. `path`: through /proc, since there is no getxattrat. */
static int hash_attributes(int directory, const char *name, uint64_t *sum) {
  char path[512], names[4096], value[65536];
  snprintf(path, sizeof path, "/proc/self/fd/%d/%s", directory, name);
  ssize_t length = llistxattr(path, names, sizeof names);
  *sum = 0;
  if (length < 0) return errno == EOPNOTSUPP ? 0 : errno;
  for (char *at = names; at < names + length; at += strlen(at) + 1) {
    ssize_t size = lgetxattr(path, at, value, sizeof value);
    if (size < 0) return errno;
    *sum += hash_bytes(hash_bytes(1, at, strlen(at)), value, (size_t)size);
  }
  return 0;
}

static int group_of(struct walk *walk, ino_t inode) {
  for (int i = 0; i < walk->count; i++)
    if (walk->inodes[i] == inode) return i;
  if (walk->count == NODES) abort();
  walk->inodes[walk->count] = inode;
  return walk->count++;
}

static int describe_one(struct walk *walk, int directory, const char *name, const char *shown, struct stat *status) {
  char target[4096];
  uint64_t content = 0, attributes;
  if (fstatat(directory, name, status, AT_SYMLINK_NOFOLLOW) < 0) return errno;
  int error = S_ISREG(status->st_mode) ? hash_file(directory, name, &content) : 0;
  if (!error) error = hash_attributes(directory, name, &attributes);
  if (error) return error;
  int is_root = strcmp(name, ".") == 0, is_directory = S_ISDIR(status->st_mode);
  print_escaped(shown, strlen(shown));
  printf(" %o %u %u %lu %lld %lu %d ", status->st_mode, status->st_uid, status->st_gid, is_root ? 0 : (unsigned long)status->st_nlink,
         is_directory ? 0LL : (long long)status->st_size, (unsigned long)status->st_rdev, group_of(walk, status->st_ino));
  if (S_ISLNK(status->st_mode)) {
    ssize_t length = readlinkat(directory, name, target, sizeof target);
    if (length < 0) return errno;
    print_escaped(target, (size_t)length);
  } else printf("%016llx", (unsigned long long)content);
  /* The root of a snapshot shows the snapshot's own time. */
  struct timespec time = is_root ? (struct timespec){0} : status->st_mtim;
  printf(" %016llx %lld.%09ld\n", (unsigned long long)attributes, (long long)time.tv_sec, time.tv_nsec);
  return 0;
}

static int describe_below(struct walk *walk, int directory, const char *prefix, int depth);

static int describe_names(struct walk *walk, int directory, char **names, size_t count, const char *prefix, int depth) {
  int error = 0;
  for (size_t i = 0; i < count && !error; i++) {
    char shown[8192];
    struct stat status;
    snprintf(shown, sizeof shown, "%s%s", prefix, names[i]);
    error = describe_one(walk, directory, names[i], shown, &status);
    if (error || !S_ISDIR(status.st_mode)) continue;
    int below = openat(directory, names[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (below < 0) return errno;
    strncat(shown, "/", sizeof shown - strlen(shown) - 1);
    error = describe_below(walk, below, shown, depth + 1);
    close(below);
  }
  return error;
}

static int describe_below(struct walk *walk, int directory, const char *prefix, int depth) {
  char *names[NODES];
  size_t count = 0;
  if (depth > DEPTH) return ELOOP;
  int again = openat(directory, ".", O_RDONLY | O_DIRECTORY);
  DIR *stream = again < 0 ? NULL : fdopendir(again);
  if (!stream) return errno;
  struct dirent *entry;
  errno = 0;
  while ((entry = readdir(stream))) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (depth == 0 && (strcmp(entry->d_name, ".tidemark") == 0 || strcmp(entry->d_name, ".snapshots") == 0)) continue;
    if (count == NODES) abort();
    names[count++] = strdup(entry->d_name);
  }
  int error = errno;
  closedir(stream);
  qsort(names, count, sizeof *names, compare_names);
  if (!error) error = describe_names(walk, directory, names, count, prefix, depth);
  for (size_t i = 0; i < count; i++) free(names[i]);
  return error;
}

int describe(int directory) {
  struct walk walk = {0};
  struct stat status;
  int error = describe_one(&walk, directory, ".", "/", &status);
  return error ? error : describe_below(&walk, directory, "/", 0);
}
