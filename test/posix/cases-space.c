/*
 * Cases: where bytes are and are not: holes, lseek DATA and HOLE, fallocate in its modes, copy_file_range, statfs.
 */
#include "harness.h"
#include <linux/falloc.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

enum { BLOCK = 4096 };

/* A file of `count` blocks, each full of its own letter. */
static int lettered(const char *path, int count) {
  char block[BLOCK];
  int file = (int)OK(open(path, O_RDWR | O_CREAT | O_TRUNC, 0644));
  for (int i = 0; i < count; i++) {
    memset(block, 'A' + i, BLOCK);
    SAME(write(file, block, BLOCK), BLOCK);
  }
  return file;
}

/* Every byte of the block must be this one. */
static void expect_block(int file, int index, char byte) {
  char block[BLOCK];
  SAME(pread(file, block, BLOCK, (off_t)index * BLOCK), BLOCK);
  for (int i = 0; i < BLOCK; i++)
    if (block[i] != byte) fail(__FILE__, __LINE__, "byte %d of block %d is %d, expected %d", i, index, block[i], byte);
}

static void seeking(void) {
  int file = (int)OK(open("a", O_RDWR | O_CREAT, 0644));
  SAME(pwrite(file, "x", 1, 1 << 20), 1);
  SAME(pwrite(file, "y", 1, 3 << 20), 1);
  OK(ftruncate(file, 5 << 20));
  OK(fsync(file));
  SAME(lseek(file, 0, SEEK_DATA), 1 << 20);
  SAME(lseek(file, 0, SEEK_HOLE), 0);
  SAME(lseek(file, 1 << 20, SEEK_HOLE), (1 << 20) + BLOCK);
  SAME(lseek(file, (1 << 20) + BLOCK, SEEK_DATA), 3 << 20);
  FAILS(lseek(file, (3 << 20) + BLOCK, SEEK_DATA), ENXIO);
  SAME(lseek(file, (3 << 20) + BLOCK, SEEK_HOLE), (3 << 20) + BLOCK);
  FAILS(lseek(file, 5 << 20, SEEK_DATA), ENXIO);
  FAILS(lseek(file, 6 << 20, SEEK_HOLE), ENXIO);
  OK(close(file));
}

static void data_not_yet_synced(void) {
  /* cp and tar look for data with SEEK_DATA: what was just written must be found, or they copy zeros. */
  int file = (int)OK(open("a", O_RDWR | O_CREAT, 0644));
  OK(ftruncate(file, 1 << 20));
  OK(fsync(file));
  SAME(pwrite(file, "late", 4, 512 << 10), 4);
  off_t found = lseek(file, 0, SEEK_DATA);
  CHECK(found >= 0 && found <= 512 << 10);
  off_t hole = lseek(file, 512 << 10, SEEK_HOLE);
  CHECK(hole > 512 << 10);
  SAME(pwrite(file, "end", 3, 2 << 20), 3);
  CHECK(lseek(file, 2 << 20, SEEK_DATA) == 2 << 20);
  SAME(lseek(file, 2 << 20, SEEK_HOLE), (2 << 20) + 3);
  OK(close(file));
}

static void allocate(void) {
  int file = lettered("a", 1);
  OK(fallocate(file, 0, 0, 8 * BLOCK));
  SAME(status_of("a").st_size, 8 * BLOCK);
  expect_block(file, 0, 'A');
  expect_block(file, 7, 0);
  OK(fsync(file));
  CHECK(status_of("a").st_blocks >= 64);
  OK(fallocate(file, FALLOC_FL_KEEP_SIZE, 0, 16 * BLOCK));
  SAME(status_of("a").st_size, 8 * BLOCK);
  CHECK(status_of("a").st_blocks >= 128);
  FAILS(fallocate(file, 0, 0, 0), EINVAL);
  FAILS(fallocate(file, 0, -1, 1), EINVAL);
  SAME(posix_fallocate(file, 0, 9 * BLOCK), 0);
  SAME(status_of("a").st_size, 9 * BLOCK);
}

static void punch(void) {
  int file = lettered("a", 4);
  OK(fsync(file));
  blkcnt_t before = status_of("a").st_blocks;
  OK(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, BLOCK, 2 * BLOCK));
  SAME(status_of("a").st_size, 4 * BLOCK);
  expect_block(file, 0, 'A');
  expect_block(file, 1, 0);
  expect_block(file, 2, 0);
  expect_block(file, 3, 'D');
  SAME(before - status_of("a").st_blocks, 16);
  OK(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 50));
  char bytes[51];
  SAME(pread(file, bytes, 51, 100), 51);
  SAME(bytes[0], 0);
  SAME(bytes[49], 0);
  SAME(bytes[50], 'A');
  FAILS(fallocate(file, FALLOC_FL_PUNCH_HOLE, 0, BLOCK), EOPNOTSUPP);
}

static void zero(void) {
  int file = lettered("a", 3);
  int result = fallocate(file, FALLOC_FL_ZERO_RANGE, BLOCK, BLOCK);
  if (result < 0 && errno == EOPNOTSUPP) skip("no ZERO_RANGE in this kernel or file system");
  OK(result);
  expect_block(file, 0, 'A');
  expect_block(file, 1, 0);
  expect_block(file, 2, 'C');
  OK(fallocate(file, FALLOC_FL_ZERO_RANGE, 2 * BLOCK, 3 * BLOCK));
  SAME(status_of("a").st_size, 5 * BLOCK);
  expect_block(file, 4, 0);
  OK(fallocate(file, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, 8 * BLOCK));
  SAME(status_of("a").st_size, 5 * BLOCK);
  expect_block(file, 0, 0);
}

/* The kernel keeps these modes from FUSE servers: either they work, or they say so and change nothing. */
static void collapse(void) {
  int file = lettered("a", 4);
  OK(fsync(file));
  if (fallocate(file, FALLOC_FL_COLLAPSE_RANGE, BLOCK, BLOCK) < 0) {
    SAME(errno, EOPNOTSUPP);
    SAME(status_of("a").st_size, 4 * BLOCK);
    expect_block(file, 1, 'B');
    return;
  }
  SAME(status_of("a").st_size, 3 * BLOCK);
  expect_block(file, 1, 'C');
  expect_block(file, 2, 'D');
}

static void insert(void) {
  int file = lettered("a", 3);
  OK(fsync(file));
  if (fallocate(file, FALLOC_FL_INSERT_RANGE, BLOCK, BLOCK) < 0) {
    SAME(errno, EOPNOTSUPP);
    SAME(status_of("a").st_size, 3 * BLOCK);
    expect_block(file, 1, 'B');
    return;
  }
  SAME(status_of("a").st_size, 4 * BLOCK);
  expect_block(file, 1, 0);
  expect_block(file, 2, 'B');
}

static void copying(void) {
  int source = lettered("a", 4), target = (int)OK(open("b", O_RDWR | O_CREAT, 0644));
  off_t from = 0, to = 0;
  while (from < 4 * BLOCK) CHECK(OK(copy_file_range(source, &from, target, &to, (size_t)(4 * BLOCK - from), 0)) > 0);
  for (int i = 0; i < 4; i++) expect_block(target, i, (char)('A' + i));
  from = BLOCK, to = 10 * BLOCK;
  SAME(copy_file_range(source, &from, target, &to, BLOCK, 0), BLOCK);
  SAME(from, 2 * BLOCK);
  SAME(to, 11 * BLOCK);
  SAME(status_of("b").st_size, 11 * BLOCK);
  expect_block(target, 10, 'B');
  expect_block(target, 9, 0);
  from = 4 * BLOCK;
  SAME(copy_file_range(source, &from, target, &to, BLOCK, 0), 0);
}

static void copying_within(void) {
  int file = lettered("a", 4);
  off_t from = 0, to = 2 * BLOCK;
  SAME(copy_file_range(file, &from, file, &to, BLOCK, 0), BLOCK);
  expect_block(file, 2, 'A');
  from = 0, to = 100;
  FAILS(copy_file_range(file, &from, file, &to, BLOCK, 0), EINVAL);
  int reader = (int)OK(open("a", O_RDONLY));
  FAILS(copy_file_range(file, NULL, reader, NULL, BLOCK, 0), EBADF);
}

static void copying_unsynced(void) {
  int source = lettered("a", 2), target = lettered("b", 3);
  SAME(pwrite(source, "fresh", 5, 0), 5);
  SAME(pwrite(target, "later", 5, 2 * BLOCK), 5);
  off_t from = 0, to = BLOCK;
  SAME(copy_file_range(source, &from, target, &to, BLOCK, 0), BLOCK);
  char seen[5];
  SAME(pread(target, seen, 5, BLOCK), 5);
  CHECK(memcmp(seen, "fresh", 5) == 0);
  SAME(pread(target, seen, 5, 2 * BLOCK), 5);
  CHECK(memcmp(seen, "later", 5) == 0);
  expect_block(target, 0, 'A');
}

static void free_space(void) {
  struct statfs status;
  struct statvfs portable;
  OK(statfs(".", &status));
  CHECK(status.f_blocks > 0 && status.f_bfree > 0 && status.f_bfree <= status.f_blocks && status.f_files > 0);
  CHECK(status.f_bavail <= status.f_bfree);
  SAME(status.f_namelen, 255);
  OK(statvfs(".", &portable));
  SAME(portable.f_namemax, 255);
  CHECK(portable.f_frsize >= 512);
  make_file("a", 0644, "");
  int file = (int)OK(open("a", O_RDONLY));
  OK(fstatfs(file, &status));
  SAME(pathconf(".", _PC_NAME_MAX), 255);
}

const struct posix_case space_cases[] = {
    {"lseek finds data and holes", ANYONE, seeking},
    {"lseek finds data that is not yet synced", ANYONE, data_not_yet_synced},
    {"fallocate allocates, with and without KEEP_SIZE", ANYONE, allocate},
    {"fallocate punches holes", ANYONE, punch},
    {"fallocate zeroes ranges", ANYONE, zero},
    {"fallocate collapses ranges or leaves all as it was", ANYONE, collapse},
    {"fallocate inserts ranges or leaves all as it was", ANYONE, insert},
    {"copy_file_range between files", ANYONE, copying},
    {"copy_file_range within a file, and where it is refused", ANYONE, copying_within},
    {"copy_file_range sees bytes not yet synced", ANYONE, copying_unsynced},
    {"statfs and statvfs", ANYONE, free_space},
    {NULL, ANYONE, NULL}};
