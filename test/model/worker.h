/*
 * The worker of the model test: one process that makes system calls on two trees at once, the mount and its twin on
 * the bare file system. worker.c reads commands, operations.c makes the calls, describe.c tells what a tree looks like.
 */
#ifndef TIDEMARK_MODEL_WORKER_H
#define TIDEMARK_MODEL_WORKER_H

#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>

enum { SLOTS = 4, MOUNT = 0, TWIN = 1, SIDES = 2, ARGUMENTS = 8 };

/* One of the two trees: its root and the files that commands keep open. */
struct side {
  int root;
  int slots[SLOTS];
};

/* A command's words after its name: paths are relative to the root. */
struct words {
  int count;
  char *text[ARGUMENTS];
};

/* Makes one operation on one side; returns 0 or the errno. Returns -1 for an operation that does not exist. */
int operate(struct side *side, const char *operation, const struct words *words);

/* Prints one line for each name below the directory, in order; returns 0 or the errno. */
int describe(int directory);

#endif
