// Writes past the page cache, through one descriptor, so that no close or fsync comes between: argv[1] is a file whose second block cannot be read.
// Prints the errno of a write over both blocks, and of one over the first alone.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { kBlock = 4096 };
static char bytes[2 * kBlock] __attribute__((aligned(kBlock)));

static int overwrite(int fd, size_t length) { return pwrite(fd, bytes, length, 0) == (ssize_t)length ? 0 : errno; }

int main(int count, char **arguments) {
  if (count != 2) return 2;
  int fd = open(arguments[1], O_WRONLY | O_DIRECT);
  if (fd < 0) return 1;
  int both = overwrite(fd, 2 * kBlock);
  int first = overwrite(fd, kBlock);
  printf("%s, %s\n", strerrorname_np(both), strerrorname_np(first));
  return close(fd) == 0 ? 0 : 1;
}
