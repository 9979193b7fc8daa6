/*
 * Reads one command a line, words separated by tabs, names escaped as %XX; answers each with one line.
 *   describe mount|twin|PATH   lines of describe.c, then "end ERRNO" (PATH from the mount's root: below .snapshots)
 *   anything else              an operation of operations.c on both trees: "done ERRNO-MOUNT ERRNO-TWIN TIME"
 * TIME is the real time in ns when the operation had returned.
 * Usage: worker MOUNT TWIN.
 *
 * 1. The twin goes first: when the mount's daemon dies in the middle, the twin shows the state after.
 */
#include "worker.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void unescape(char *text) {
  char *out = text;
  for (const char *in = text; *in; in++) {
    if (*in != '%') {
      *out++ = *in;
      continue;
    }
    char digits[3] = {in[1], in[2], 0};
    *out++ = (char)strtol(digits, NULL, 16);
    in += 2;
  }
  *out = 0;
}

static struct words split(char *line) {
  struct words words = {0};
  line[strcspn(line, "\n")] = 0;
  for (char *word = strtok(line, "\t"); word && words.count < ARGUMENTS; word = strtok(NULL, "\t")) {
    unescape(word);
    words.text[words.count++] = word;
  }
  return words;
}

static void describe_which(struct side *sides, const char *which) {
  int error = 0;
  if (strcmp(which, "mount") == 0) error = describe(sides[MOUNT].root);
  else if (strcmp(which, "twin") == 0) error = describe(sides[TWIN].root);
  else {
    int directory = openat(sides[MOUNT].root, which, O_RDONLY | O_DIRECTORY);
    error = directory < 0 ? errno : describe(directory);
    if (directory >= 0) close(directory);
  }
  printf("end %d\n", error);
}

static void operate_on_both(struct side *sides, const char *operation, const struct words *words) {
  int twin = operate(&sides[TWIN], operation, words);
  int mount = operate(&sides[MOUNT], operation, words);
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  printf("done %d %d %lld%09ld\n", mount, twin, (long long)now.tv_sec, now.tv_nsec);
}

int main(int count, char **arguments) {
  if (count != 3) {
    fprintf(stderr, "usage: worker MOUNT TWIN\n");
    return 2;
  }
  struct side sides[SIDES];
  for (int i = 0; i < SIDES; i++) {
    sides[i].root = open(arguments[1 + i], O_RDONLY | O_DIRECTORY);
    if (sides[i].root < 0) {
      perror(arguments[1 + i]);
      return 1;
    }
    for (int slot = 0; slot < SLOTS; slot++) sides[i].slots[slot] = -1;
  }
  umask(022);
  char line[32768];
  while (fgets(line, sizeof line, stdin)) {
    struct words words = split(line);
    if (words.count == 0) continue;
    struct words rest = {.count = words.count - 1};
    memcpy(rest.text, words.text + 1, sizeof(char *) * (size_t)rest.count);
    if (strcmp(words.text[0], "describe") == 0 && rest.count == 1) describe_which(sides, rest.text[0]);
    else operate_on_both(sides, words.text[0], &rest);
    fflush(stdout);
  }
  return 0;
}
