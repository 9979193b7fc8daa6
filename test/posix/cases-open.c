/*
 * Cases: what open(2) does beyond giving a handle: its flags, O_DIRECT, O_TMPFILE with linkat, O_PATH, executing.
 */
#include "harness.h"
#include <sys/sendfile.h>

static void exclusive(void) {
  make_file("a", 0644, "text");
  OK(symlink("absent", "dangling"));
  FAILS(open("a", O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST);
  FAILS(open("dangling", O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST);
  FAILS(open("absent", O_WRONLY), ENOENT);
  TEXT("a", "text");
  OK(close((int)OK(open("dangling", O_WRONLY | O_CREAT, 0644))));
  CHECK(S_ISREG(status_of("absent").st_mode));
}

static void kinds(void) {
  make_file("a", 0644, "text");
  OK(mkdir("d", 0755));
  OK(symlink("a", "link"));
  OK(symlink("d", "linked"));
  FAILS(open("a", O_RDONLY | O_DIRECTORY), ENOTDIR);
  FAILS(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
  FAILS(open("d", O_WRONLY), EISDIR);
  FAILS(open("d", O_RDWR | O_CREAT, 0644), EISDIR);
  FAILS(open("a/b", O_RDONLY), ENOTDIR);
  FAILS(open("a/", O_RDONLY), ENOTDIR);
  FAILS(open("new/", O_WRONLY | O_CREAT, 0644), EISDIR);
  OK(close((int)OK(open("linked", O_RDONLY | O_DIRECTORY))));
  OK(close((int)OK(open("d/../a", O_RDONLY))));
}

/* A reader that keeps a file open is in nobody's way, large as the file may be, and sees what is written. */
static void reader_first(void) {
  enum { LENGTH = 2 << 20 };
  char seen[4];
  int made = (int)OK(open("a", O_WRONLY | O_CREAT, 0644));
  OK(ftruncate(made, LENGTH));
  OK(close(made));
  int reader = (int)OK(open("a", O_RDONLY));
  SAME(pread(reader, seen, 4, LENGTH - 4), 4);
  int writer = (int)OK(open("a", O_WRONLY));
  SAME(pwrite(writer, "text", 4, LENGTH - 4), 4);
  SAME(pread(reader, seen, 4, LENGTH - 4), 4);
  CHECK(memcmp(seen, "text", 4) == 0);
  OK(close(writer));
  OK(close(reader));
}

static void read_only_creation(void) {
  /* The handle of a creating open may write although the mode forbids it to everyone. */
  int file = (int)OK(open("a", O_RDWR | O_CREAT, 0));
  SAME(write(file, "text", 4), 4);
  OK(close(file));
  SAME(status_of("a").st_mode & 07777, 0);
  SAME(status_of("a").st_size, 4);
}

static void direct(void) {
  enum { BLOCK = 4096, COUNT = 64 };
  unsigned char *written, *seen;
  SAME(posix_memalign((void **)&written, BLOCK, BLOCK * COUNT), 0);
  SAME(posix_memalign((void **)&seen, BLOCK, BLOCK * COUNT), 0);
  fill(written, BLOCK * COUNT, 3);
  int file = (int)OK(open("a", O_RDWR | O_CREAT | O_DIRECT, 0644));
  SAME(pwrite(file, written, BLOCK * COUNT, 0), BLOCK * COUNT);
  SAME(pread(file, seen, BLOCK * COUNT, 0), BLOCK * COUNT);
  CHECK(memcmp(written, seen, BLOCK * COUNT) == 0);
  SAME(pwrite(file, written + BLOCK, BLOCK, 0), BLOCK);
  int cached = (int)OK(open("a", O_RDWR));
  SAME(pread(cached, seen, BLOCK, 0), BLOCK);
  CHECK(memcmp(written + BLOCK, seen, BLOCK) == 0);
  SAME(pwrite(cached, "through the cache", 17, BLOCK), 17);
  SAME(pread(file, seen, BLOCK, BLOCK), BLOCK);
  CHECK(memcmp(seen, "through the cache", 17) == 0);
  CHECK(memcmp(seen + 17, written + BLOCK + 17, BLOCK - 17) == 0);
  SAME(pread(file, seen, BLOCK, BLOCK * COUNT), 0);
  SAME(fcntl(file, F_GETFL) & O_DIRECT, O_DIRECT);
  OK(close(file));
}

static void direct_toggled(void) {
  enum { BLOCK = 4096 };
  unsigned char *page;
  SAME(posix_memalign((void **)&page, BLOCK, BLOCK), 0);
  memset(page, 'p', BLOCK);
  int file = (int)OK(open("a", O_RDWR | O_CREAT, 0644));
  SAME(write(file, "cached", 6), 6);
  OK(fcntl(file, F_SETFL, O_DIRECT));
  SAME(pwrite(file, page, BLOCK, BLOCK), BLOCK);
  OK(fcntl(file, F_SETFL, 0));
  SAME(status_of("a").st_size, 2 * BLOCK);
  char seen[6];
  SAME(pread(file, seen, 6, 0), 6);
  CHECK(memcmp(seen, "cached", 6) == 0);
}

static int unnamed(int flags) {
  int file = open(".", O_TMPFILE | O_RDWR | flags, 0640);
  if (file < 0 && errno == EOPNOTSUPP) skip("no O_TMPFILE in this kernel or file system");
  return (int)OK(file);
}

static void unnamed_file(void) {
  int file = unnamed(0);
  struct stat status;
  SAME(write(file, "hidden", 6), 6);
  OK(fstat(file, &status));
  SAME(status.st_nlink, 0);
  SAME(status.st_mode, S_IFREG | 0640);
  SAME(status.st_uid, geteuid());
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  OK(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
  OK(fstat(file, &status));
  SAME(status.st_nlink, 1);
  SAME(status_of("named").st_ino, status.st_ino);
  TEXT("named", "hidden");
  SAME(write(file, " no more", 8), 8);
  TEXT("named", "hidden no more");
  OK(close(file));
  TEXT("named", "hidden no more");
}

static void unnamed_for_ever(void) {
  int file = unnamed(O_EXCL);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  FAILS(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), ENOENT);
  OK(close(file));
  DIR *directory = opendir(".");
  struct dirent *entry;
  while ((entry = readdir(directory))) CHECK(entry->d_name[0] == '.');
}

static void path_only(void) {
  make_file("a", 0, "text");
  OK(symlink("a", "link"));
  char byte, target[8];
  struct stat status;
  int file = (int)OK(open("a", O_PATH)), link = (int)OK(open("link", O_PATH | O_NOFOLLOW));
  FAILS(read(file, &byte, 1), EBADF);
  OK(fstat(file, &status));
  SAME(status.st_size, 4);
  SAME(readlinkat(link, "", target, sizeof target), 1);
  OK(fchmodat(AT_FDCWD, "a", 0644, 0));
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  int again = (int)OK(open(path, O_RDONLY));
  SAME(read(again, &byte, 1), 1);
}

static void relative_to_handles(void) {
  OK(mkdir("d", 0755));
  int directory = (int)OK(open("d", O_RDONLY | O_DIRECTORY));
  OK(rename("d", "moved"));
  int file = (int)OK(openat(directory, "a", O_WRONLY | O_CREAT, 0644));
  SAME(write(file, "text", 4), 4);
  OK(close(file));
  TEXT("moved/a", "text");
  OK(renameat(directory, "a", AT_FDCWD, "b"));
  OK(linkat(AT_FDCWD, "b", directory, "c", 0));
  OK(symlinkat("c", directory, "s"));
  TEXT("moved/s", "text");
  OK(unlinkat(directory, "c", 0));
  OK(fchdir(directory));
  OK(close((int)OK(open("../b", O_RDONLY))));
}

static void executing(void) {
  int source = (int)OK(open("/bin/true", O_RDONLY)), target = (int)OK(open("program", O_WRONLY | O_CREAT, 0755));
  off_t left = lseek(source, 0, SEEK_END), from = 0;
  while (from < left) OK(sendfile(target, source, &from, (size_t)(left - from)));
  OK(close(target));
  pid_t child = (pid_t)OK(fork());
  if (child == 0) {
    execl("./program", "program", NULL);
    _exit(126);
  }
  int status;
  OK(waitpid(child, &status, 0));
  SAME(status, 0);
}

const struct posix_case open_cases[] = {
    {"O_CREAT and O_EXCL", ANYONE, exclusive},
    {"open of directories, links and paths through files", ANYONE, kinds},
    {"a file open for reading can be opened for writing", ANYONE, reader_first},
    {"a file created with mode 0 can be written through its first handle", ANYONE, read_only_creation},
    {"O_DIRECT reads and writes, coherent with cached handles", ANYONE, direct},
    {"O_DIRECT switched on by fcntl", ANYONE, direct_toggled},
    {"O_TMPFILE gets a name by linkat", ANYONE, unnamed_file},
    {"O_TMPFILE with O_EXCL never gets a name", ANYONE, unnamed_for_ever},
    {"O_PATH handles", ANYONE, path_only},
    {"openat and its kin follow a renamed directory", ANYONE, relative_to_handles},
    {"a program is executed", ANYONE, executing},
    {NULL, ANYONE, NULL}};
