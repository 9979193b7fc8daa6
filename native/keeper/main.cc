// Where the keeper (keeper.h) begins.
#include <stdio.h>

#include "keeper.h"

int main(int count, char** arguments) {
  if (count < 2) {
    fputs("usage: tidemark-keeper PROGRAM ARGUMENT...; `tidemark mount` starts it\n", stderr);
    return 64;
  }
  return tidemark::Keeper(tidemark::Program(arguments + 1, arguments + count)).run();
}
