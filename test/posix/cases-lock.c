/*
 * Cases: flock, POSIX record locks and open-file-description locks, each between two processes.
 */
#include "harness.h"
#include <sys/file.h>

/* A record lock over [start, start + length). */
static struct flock record(short type, off_t start, off_t length) {
  return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
}

static int lock(int file, int command, short type, off_t start, off_t length) {
  struct flock wanted = record(type, start, length);
  return fcntl(file, command, &wanted);
}

static void try_flock(void) {
  int file = (int)OK(open("a", O_RDWR));
  FAILS(flock(file, LOCK_EX | LOCK_NB), EWOULDBLOCK);
  FAILS(flock(file, LOCK_SH | LOCK_NB), EWOULDBLOCK);
}
static void share_flock(void) {
  int file = (int)OK(open("a", O_RDONLY));
  OK(flock(file, LOCK_SH | LOCK_NB));
  FAILS(flock(file, LOCK_EX | LOCK_NB), EWOULDBLOCK);
}
static void take_flock(void) {
  OK(flock((int)OK(open("a", O_RDWR)), LOCK_EX | LOCK_NB));
}

static void whole_file(void) {
  make_file("a", 0644, "");
  int file = (int)OK(open("a", O_RDWR));
  OK(flock(file, LOCK_EX));
  in_child(try_flock);
  OK(flock(file, LOCK_SH));
  in_child(share_flock);
  OK(flock(file, LOCK_UN));
  in_child(take_flock);
  OK(flock(file, LOCK_EX));
  OK(close(file));
  in_child(take_flock);
}

static void try_records(void) {
  int file = (int)OK(open("a", O_RDWR));
  FAILS(lock(file, F_SETLK, F_WRLCK, 5, 1), EAGAIN);
  FAILS(lock(file, F_SETLK, F_RDLCK, 0, 100), EAGAIN);
  OK(lock(file, F_SETLK, F_WRLCK, 10, 5));
  OK(lock(file, F_SETLK, F_RDLCK, 50, 5));
  struct flock seen = record(F_WRLCK, 0, 100);
  OK(fcntl(file, F_GETLK, &seen));
  SAME(seen.l_type, F_WRLCK);
  SAME(seen.l_start, 0);
  SAME(seen.l_len, 10);
  SAME(seen.l_pid, getppid());
}
static void take_all_records(void) {
  OK(lock((int)OK(open("a", O_RDWR)), F_SETLK, F_WRLCK, 0, 0));
}

static void records(void) {
  make_file("a", 0644, "some bytes");
  int file = (int)OK(open("a", O_RDWR));
  OK(lock(file, F_SETLK, F_WRLCK, 0, 10));
  OK(lock(file, F_SETLK, F_RDLCK, 50, 10));
  in_child(try_records);
  OK(lock(file, F_SETLK, F_UNLCK, 0, 0));
  in_child(take_all_records);
  OK(lock(file, F_SETLK, F_WRLCK, 0, 10));
  /* POSIX: closing any handle of the file gives up the process's locks. */
  OK(close((int)OK(open("a", O_RDONLY))));
  in_child(take_all_records);
}

static void split_records(void) {
  make_file("a", 0644, "");
  int file = (int)OK(open("a", O_RDWR));
  OK(lock(file, F_SETLK, F_WRLCK, 0, 100));
  OK(lock(file, F_SETLK, F_UNLCK, 40, 20));
  pid_t child = (pid_t)OK(fork());
  if (child == 0) {
    int own = (int)OK(open("a", O_RDWR));
    OK(lock(own, F_SETLK, F_WRLCK, 40, 20));
    FAILS(lock(own, F_SETLK, F_WRLCK, 39, 1), EAGAIN);
    FAILS(lock(own, F_SETLK, F_WRLCK, 60, 1), EAGAIN);
    _exit(0);
  }
  int status;
  OK(waitpid(child, &status, 0));
  SAME(status, 0);
}

static void waiting(void) {
  make_file("a", 0644, "");
  int file = (int)OK(open("a", O_RDWR));
  OK(lock(file, F_SETLK, F_WRLCK, 0, 1));
  pid_t child = (pid_t)OK(fork());
  if (child == 0) {
    int own = (int)OK(open("a", O_RDWR));
    OK(lock(own, F_SETLKW, F_WRLCK, 0, 1));
    _exit(0);
  }
  OK(usleep(100000));
  int status;
  SAME(waitpid(child, &status, WNOHANG), 0);
  OK(lock(file, F_SETLK, F_UNLCK, 0, 1));
  OK(waitpid(child, &status, 0));
  SAME(status, 0);
}

static void waiting_flock(void) {
  make_file("a", 0644, "");
  int file = (int)OK(open("a", O_RDWR));
  OK(flock(file, LOCK_EX));
  pid_t child = (pid_t)OK(fork());
  if (child == 0) {
    OK(flock((int)OK(open("a", O_RDWR)), LOCK_EX));
    _exit(0);
  }
  OK(usleep(100000));
  int status;
  SAME(waitpid(child, &status, WNOHANG), 0);
  OK(flock(file, LOCK_UN));
  OK(waitpid(child, &status, 0));
  SAME(status, 0);
}

static void by_description(void) {
  make_file("a", 0644, "");
  int first = (int)OK(open("a", O_RDWR)), second = (int)OK(open("a", O_RDWR));
  OK(lock(first, F_OFD_SETLK, F_WRLCK, 0, 10));
  FAILS(lock(second, F_OFD_SETLK, F_WRLCK, 5, 1), EAGAIN);
  OK(close((int)OK(open("a", O_RDONLY))));
  FAILS(lock(second, F_OFD_SETLK, F_WRLCK, 5, 1), EAGAIN);
  OK(close(first));
  OK(lock(second, F_OFD_SETLK, F_WRLCK, 0, 10));
}

static void lock_needs_the_right_handle(void) {
  make_file("a", 0644, "");
  int reader = (int)OK(open("a", O_RDONLY)), writer = (int)OK(open("a", O_WRONLY));
  FAILS(lock(reader, F_SETLK, F_WRLCK, 0, 1), EBADF);
  FAILS(lock(writer, F_SETLK, F_RDLCK, 0, 1), EBADF);
}

static void die_holding(void) {
  OK(lock((int)OK(open("a", O_RDWR)), F_SETLK, F_WRLCK, 0, 0));
  OK(flock((int)OK(open("b", O_RDWR)), LOCK_EX));
}

static void released_by_death(void) {
  make_file("a", 0644, "");
  make_file("b", 0644, "");
  in_child(die_holding);
  OK(lock((int)OK(open("a", O_RDWR)), F_SETLK, F_WRLCK, 0, 0));
  OK(flock((int)OK(open("b", O_RDWR)), LOCK_EX | LOCK_NB));
}

const struct posix_case lock_cases[] = {
    {"flock, exclusive and shared", ANYONE, whole_file},
    {"POSIX record locks", ANYONE, records},
    {"POSIX record locks are split", ANYONE, split_records},
    {"F_SETLKW waits", ANYONE, waiting},
    {"flock waits", ANYONE, waiting_flock},
    {"open-file-description locks", ANYONE, by_description},
    {"locks need a handle of their direction", ANYONE, lock_needs_the_right_handle},
    {"locks end with their process", ANYONE, released_by_death},
    {NULL, ANYONE, NULL}};
