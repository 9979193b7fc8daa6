/*
 * Threads that open, write, sync, unlink and close files in one directory, change the permissions of that directory and look its .snapshots up, for ever:
 * each holds or wants the directory's lock nearly all the time. Ends when the daemon has ended: with the first call that fails in every thread.
 * Usage: walkers DIRECTORY
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { THREADS = 6 };

static const char *directory;

static int once(long thread, long round) {
  char file[4096], snapshots[4096], bytes[4096];
  struct stat st;
  snprintf(file, sizeof file, "%s/%ld-%ld", directory, thread, round % 7);
  snprintf(snapshots, sizeof snapshots, "%s/.snapshots", directory);
  memset(bytes, 'a' + (int)thread, sizeof bytes);
  int fd = open(file, O_CREAT | O_RDWR, 0644);
  if (fd < 0) return -1;
  int bad = pwrite(fd, bytes, sizeof bytes, round % 5 * 4096) < 0 || (round % 3 == 0 && fsync(fd) != 0) || (round % 2 == 0 && unlink(file) != 0);
  bad = close(fd) != 0 || bad;
  if (round % 5 == 0) bad = stat(snapshots, &st) != 0 || chmod(directory, 0700 + (mode_t)(round % 64)) != 0 || bad;
  return bad ? -1 : 0;
}

static void *walk(void *thread) {
  for (long round = 0; once((long)thread, round) == 0; round++)
    ;
  return NULL;
}

int main(int count, char **arguments) {
  if (count != 2) {
    fprintf(stderr, "usage: walkers DIRECTORY\n");
    return 2;
  }
  directory = arguments[1];
  pthread_t threads[THREADS];
  for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, walk, (void *)i);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  return 0;
}
