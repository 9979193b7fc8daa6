/*
 * Cases: the bytes of a file: reading, writing, appending, truncating, holes past the end, files over 4 GiB,
 * unlinked files that stay open, and what fsync and its kin accept.
 */
#include "harness.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

static void write_then_read(void) {
  unsigned char written[70000], seen[70001];
  fill(written, sizeof written, 1);
  int file = (int)OK(open("a", O_RDWR | O_CREAT | O_EXCL, 0644));
  SAME(write(file, written, sizeof written), sizeof written);
  SAME(lseek(file, 0, SEEK_SET), 0);
  SAME(read(file, seen, sizeof seen), sizeof written);
  CHECK(memcmp(written, seen, sizeof written) == 0);
  SAME(read(file, seen, 1), 0);
  SAME(status_of("a").st_size, sizeof written);
  OK(close(file));
}

static void overwrite_in_the_middle(void) {
  make_file("a", 0644, "one two three");
  int file = (int)OK(open("a", O_WRONLY));
  SAME(pwrite(file, "TWO", 3, 4), 3);
  OK(close(file));
  TEXT("a", "one TWO three");
}

static void positions(void) {
  make_file("a", 0644, "0123456789");
  char byte;
  int file = (int)OK(open("a", O_RDWR));
  SAME(lseek(file, 4, SEEK_SET), 4);
  SAME(pread(file, &byte, 1, 9), 1);
  SAME(byte, '9');
  SAME(lseek(file, 0, SEEK_CUR), 4);
  SAME(lseek(file, -2, SEEK_END), 8);
  FAILS(lseek(file, -11, SEEK_END), EINVAL);
  FAILS(pread(file, &byte, 1, -1), EINVAL);
  SAME(lseek(file, 100, SEEK_SET), 100);
  SAME(read(file, &byte, 1), 0);
  OK(close(file));
}

static void vectors(void) {
  char head[3], tail[5];
  struct iovec out[2] = {{"abc", 3}, {"defgh", 5}}, in[2] = {{head, 3}, {tail, 5}};
  int file = (int)OK(open("a", O_RDWR | O_CREAT, 0644));
  SAME(pwritev(file, out, 2, 2), 8);
  SAME(preadv(file, in, 2, 2), 8);
  CHECK(memcmp(head, "abc", 3) == 0 && memcmp(tail, "defgh", 5) == 0);
  OK(close(file));
}

static void append(void) {
  make_file("a", 0644, "start");
  int first = (int)OK(open("a", O_WRONLY | O_APPEND)), second = (int)OK(open("a", O_WRONLY | O_APPEND));
  SAME(write(first, "-1", 2), 2);
  SAME(write(second, "-2", 2), 2);
  SAME(lseek(first, 0, SEEK_SET), 0);
  SAME(write(first, "-3", 2), 2);
  OK(close(first));
  OK(close(second));
  TEXT("a", "start-1-2-3");
}

static void append_by_processes(void) {
  make_file("a", 0644, "");
  enum { WRITERS = 4, RECORDS = 200, RECORD = 16 };
  pid_t children[WRITERS];
  for (int writer = 0; writer < WRITERS; writer++) {
    children[writer] = (pid_t)OK(fork());
    if (children[writer] != 0) continue;
    char record[RECORD];
    memset(record, 'A' + writer, RECORD);
    int file = (int)OK(open("a", O_WRONLY | O_APPEND));
    for (int i = 0; i < RECORDS; i++) SAME(write(file, record, RECORD), RECORD);
    _exit(0);
  }
  for (int writer = 0; writer < WRITERS; writer++) OK(waitpid(children[writer], NULL, 0));
  char seen[WRITERS * RECORDS * RECORD + 1];
  int file = (int)OK(open("a", O_RDONLY)), counts[WRITERS] = {0};
  SAME(read(file, seen, sizeof seen), sizeof seen - 1);
  for (size_t at = 0; at < sizeof seen - 1; at += RECORD) {
    for (int i = 1; i < RECORD; i++) SAME(seen[at + (size_t)i], seen[at]);
    counts[seen[at] - 'A']++;
  }
  for (int writer = 0; writer < WRITERS; writer++) SAME(counts[writer], RECORDS);
}

static void truncate_both_ways(void) {
  make_file("a", 0644, "0123456789");
  OK(truncate("a", 4));
  TEXT("a", "0123");
  int file = (int)OK(open("a", O_RDWR));
  OK(ftruncate(file, 8));
  char seen[8];
  SAME(pread(file, seen, 8, 0), 8);
  CHECK(memcmp(seen, "0123\0\0\0\0", 8) == 0);
  FAILS(ftruncate(file, -1), EINVAL);
  OK(close(file));
  file = (int)OK(open("a", O_WRONLY | O_TRUNC));
  SAME(status_of("a").st_size, 0);
  OK(close(file));
  OK(mkdir("d", 0755));
  FAILS(truncate("d", 0), EISDIR);
  FAILS(truncate("absent", 0), ENOENT);
  file = (int)OK(open("a", O_RDONLY));
  FAILS(ftruncate(file, 0), EINVAL);
}

static void cut_bytes_do_not_come_back(void) {
  unsigned char page[4096], seen[4096];
  memset(page, 'x', sizeof page);
  int file = (int)OK(open("a", O_RDWR | O_CREAT, 0644));
  SAME(write(file, page, sizeof page), sizeof page);
  OK(ftruncate(file, 100));
  OK(ftruncate(file, 4096));
  SAME(pread(file, seen, sizeof seen, 0), sizeof seen);
  for (int i = 0; i < 4096; i++) SAME(seen[i], i < 100 ? 'x' : 0);
  OK(close(file));
}

static void write_past_end(void) {
  int file = (int)OK(open("a", O_RDWR | O_CREAT, 0644));
  SAME(pwrite(file, "end", 3, 1000000), 3);
  char seen[1000];
  memset(seen, 1, sizeof seen);
  SAME(pread(file, seen, sizeof seen, 500000), sizeof seen);
  for (size_t i = 0; i < sizeof seen; i++) SAME(seen[i], 0);
  OK(fsync(file));
  SAME(status_of("a").st_size, 1000003);
  CHECK(status_of("a").st_blocks < 100);
  OK(close(file));
}

static void over_4_gib(void) {
  const off_t far = (off_t)5 * 1024 * 1024 * 1024 + 17;
  char seen[5] = "";
  int file = (int)OK(open("a", O_RDWR | O_CREAT, 0644));
  SAME(pwrite(file, "here", 4, far), 4);
  SAME(pwrite(file, "low", 3, 17), 3); /* 32-bit arithmetic would put it at the same place */
  OK(close(file));
  SAME(status_of("a").st_size, far + 4);
  file = (int)OK(open("a", O_RDWR));
  SAME(pread(file, seen, 5, far), 4);
  CHECK(memcmp(seen, "here", 4) == 0);
  OK(ftruncate(file, far));
  SAME(status_of("a").st_size, far);
  OK(close(file));
}

static void size_limit(void) {
  struct rlimit limit = {1000, 1000};
  OK(setrlimit(RLIMIT_FSIZE, &limit));
  signal(SIGXFSZ, SIG_IGN);
  char bytes[2000] = {1};
  int file = (int)OK(open("a", O_RDWR | O_CREAT, 0644));
  SAME(write(file, bytes, sizeof bytes), 1000);
  FAILS(write(file, bytes, 1), EFBIG);
  FAILS(ftruncate(file, 1001), EFBIG);
}

static void unlinked_and_open(void) {
  make_file("a", 0644, "kept");
  struct stat status;
  char seen[16];
  int file = (int)OK(open("a", O_RDWR));
  OK(unlink("a"));
  FAILS(open("a", O_RDONLY), ENOENT);
  OK(fstat(file, &status));
  SAME(status.st_nlink, 0);
  SAME(status.st_size, 4);
  SAME(pread(file, seen, sizeof seen, 0), 4);
  SAME(pwrite(file, " and written", 12, 4), 12);
  SAME(pread(file, seen, sizeof seen, 0), 16);
  CHECK(memcmp(seen, "kept and written", 16) == 0);
  OK(ftruncate(file, 2));
  OK(fchmod(file, 0600));
  OK(fsync(file));
  OK(fstat(file, &status));
  SAME(status.st_size, 2);
  SAME(status.st_mode & 07777, 0600);
  make_file("a", 0644, "another");
  SAME(pread(file, seen, sizeof seen, 0), 2);
  OK(close(file));
  TEXT("a", "another");
}

static void removed_directory_still_open(void) {
  OK(mkdir("d", 0755));
  struct stat status;
  int directory = (int)OK(open("d", O_RDONLY | O_DIRECTORY));
  OK(rmdir("d"));
  OK(fstat(directory, &status));
  SAME(status.st_nlink, 0);
  FAILS(openat(directory, "new", O_WRONLY | O_CREAT, 0644), ENOENT);
  FAILS(mkdirat(directory, "new", 0755), ENOENT);
  OK(close(directory));
}

static void synchronizing(void) {
  make_file("a", 0644, "text");
  OK(mkdir("d", 0755));
  int file = (int)OK(open("a", O_RDWR)), directory = (int)OK(open("d", O_RDONLY)), reader = (int)OK(open("a", O_RDONLY));
  SAME(pwrite(file, "TEXT", 4, 0), 4);
  OK(fsync(file));
  OK(fdatasync(file));
  OK(fsync(directory));
  OK(fdatasync(directory));
  OK(fsync(reader));
  OK(syncfs(file));
  SAME(pwrite(file, "more", 4, 4), 4);
  OK(sync_file_range(file, 0, 8, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
  TEXT("a", "TEXTmore");
}

static void synchronous_handle(void) {
  int file = (int)OK(open("a", O_WRONLY | O_CREAT | O_SYNC, 0644));
  SAME(write(file, "one", 3), 3);
  OK(close(file));
  file = (int)OK(open("a", O_WRONLY | O_APPEND | O_DSYNC));
  SAME(write(file, "two", 3), 3);
  TEXT("a", "onetwo");
}

static void wrong_handles(void) {
  make_file("a", 0644, "text");
  char byte = 0;
  int reader = (int)OK(open("a", O_RDONLY)), writer = (int)OK(open("a", O_WRONLY)), directory = (int)OK(open(".", O_RDONLY));
  FAILS(write(reader, &byte, 1), EBADF);
  FAILS(read(writer, &byte, 1), EBADF);
  FAILS(read(directory, &byte, 1), EISDIR);
}

static void handles_see_each_other(void) {
  make_file("a", 0644, "old!");
  char seen[8];
  int reader = (int)OK(open("a", O_RDONLY)), writer = (int)OK(open("a", O_RDWR));
  SAME(pread(reader, seen, 8, 0), 4);
  SAME(pwrite(writer, "new and longer", 14, 0), 14);
  SAME(pread(reader, seen, 8, 0), 8);
  CHECK(memcmp(seen, "new and ", 8) == 0);
  struct stat status;
  OK(fstat(reader, &status));
  SAME(status.st_size, 14);
  OK(truncate("a", 3));
  SAME(pread(reader, seen, 8, 0), 3);
}

static void sending(void) {
  make_file("a", 0644, "sent along");
  int source = (int)OK(open("a", O_RDONLY)), target = (int)OK(open("b", O_RDWR | O_CREAT, 0644)), ends[2];
  SAME(sendfile(target, source, NULL, 100), 10);
  TEXT("b", "sent along");
  OK(pipe(ends));
  off_t from = 5, to = 10;
  SAME(splice(source, &from, ends[1], NULL, 5, 0), 5);
  SAME(splice(ends[0], NULL, target, &to, 5, 0), 5);
  TEXT("b", "sent alongalong");
}

const struct posix_case file_cases[] = {
    {"what is written is read back", ANYONE, write_then_read},
    {"a write in the middle leaves the rest", ANYONE, overwrite_in_the_middle},
    {"positions of lseek, pread and read", ANYONE, positions},
    {"pwritev and preadv", ANYONE, vectors},
    {"O_APPEND writes at the end whatever the position", ANYONE, append},
    {"O_APPEND records of four processes stay whole", ANYONE, append_by_processes},
    {"truncate and ftruncate, shorter and longer", ANYONE, truncate_both_ways},
    {"bytes cut off by truncate do not come back", ANYONE, cut_bytes_do_not_come_back},
    {"a write past the end leaves a hole", ANYONE, write_past_end},
    {"a sparse file over 4 GiB", ANYONE, over_4_gib},
    {"RLIMIT_FSIZE ends writes with EFBIG", ANYONE, size_limit},
    {"an unlinked open file goes on, with nlink 0", ANYONE, unlinked_and_open},
    {"a removed directory that is open takes no names", ANYONE, removed_directory_still_open},
    {"fsync, fdatasync, syncfs and sync_file_range on all kinds of handles", ANYONE, synchronizing},
    {"O_SYNC and O_DSYNC handles", ANYONE, synchronous_handle},
    {"handles opened for the other direction are refused", ANYONE, wrong_handles},
    {"two handles of a file see each other's changes at once", ANYONE, handles_see_each_other},
    {"sendfile and splice", ANYONE, sending},
    {NULL, ANYONE, NULL}};
