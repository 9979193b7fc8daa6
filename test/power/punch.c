/* Punches a hole and does nothing else: fallocate(1) would sync the file. argv: path, offset, length. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

int main(int count, char **arguments) {
  if (count != 4) return 2;
  int file = open(arguments[1], O_WRONLY);
  if (file >= 0 && fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, atoll(arguments[2]), atoll(arguments[3])) == 0) return 0;
  perror(arguments[1]);
  return 1;
}
