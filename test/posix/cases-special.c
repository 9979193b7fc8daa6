/*
 * Cases: FIFOs, sockets and devices.
 */
#include "harness.h"
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

static void fifos(void) {
  OK(mkfifo("p", 0640));
  CHECK(S_ISFIFO(status_of("p").st_mode));
  SAME(status_of("p").st_mode & 07777, 0640);
  FAILS(mkfifo("p", 0644), EEXIST);
  FAILS(open("p", O_WRONLY | O_NONBLOCK), ENXIO);
  pid_t child = (pid_t)OK(fork());
  if (child == 0) {
    int end = (int)OK(open("p", O_WRONLY));
    SAME(write(end, "through", 7), 7);
    _exit(0);
  }
  char seen[8];
  int end = (int)OK(open("p", O_RDONLY));
  SAME(read(end, seen, 8), 7);
  OK(waitpid(child, NULL, 0));
  OK(rename("p", "q"));
  OK(link("q", "r"));
  SAME(status_of("r").st_nlink, 2);
}

static void sockets(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "s"};
  int server = (int)OK(socket(AF_UNIX, SOCK_STREAM, 0)), client = (int)OK(socket(AF_UNIX, SOCK_STREAM, 0));
  OK(bind(server, (struct sockaddr *)&address, sizeof address));
  CHECK(S_ISSOCK(status_of("s").st_mode));
  OK(listen(server, 1));
  OK(connect(client, (struct sockaddr *)&address, sizeof address));
  int accepted = (int)OK(accept(server, NULL, NULL));
  SAME(write(client, "hello", 5), 5);
  char seen[5];
  SAME(read(accepted, seen, 5), 5);
  FAILS(open("s", O_RDONLY), ENXIO);
  OK(close(server));
  OK(unlink("s"));
}

static void devices(void) {
  OK(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
  OK(mknod("block", S_IFBLK | 0600, makedev(259, 70000)));
  OK(mknod("plain", S_IFREG | 0640, 0));
  struct stat status = status_of("null");
  CHECK(S_ISCHR(status.st_mode));
  SAME(major(status.st_rdev), 1);
  SAME(minor(status.st_rdev), 3);
  status = status_of("block");
  CHECK(S_ISBLK(status.st_mode));
  SAME(major(status.st_rdev), 259);
  SAME(minor(status.st_rdev), 70000);
  CHECK(S_ISREG(status_of("plain").st_mode));
  SAME(status_of("plain").st_mode & 07777, 0640);
  OK(rename("null", "empty"));
  SAME(status_of("empty").st_rdev, makedev(1, 3));
  OK(unlink("block"));
}

static void device_is_opened(void) {
  struct stat status;
  OK(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
  int file = open("null", O_RDWR);
  if (file < 0 && errno == EACCES) skip("mounted with nodev");
  OK(file);
  char byte;
  SAME(write(file, "gone", 4), 4);
  SAME(read(file, &byte, 1), 0);
  OK(fstat(file, &status));
  CHECK(S_ISCHR(status.st_mode));
}

static void devices_are_refused_to_users(void) {
  FAILS(mknod("null", S_IFCHR | 0666, makedev(1, 3)), EPERM);
  OK(mknod("fifo", S_IFIFO | 0644, 0));
  OK(mknod("plain", S_IFREG | 0644, 0));
}

const struct posix_case special_cases[] = {
    {"FIFOs carry bytes", ANYONE, fifos},
    {"sockets are bound, connected and removed", ANYONE, sockets},
    {"device nodes keep their numbers", ROOT, devices},
    {"a device node opens its device", ROOT, device_is_opened},
    {"device nodes are refused to users", ORDINARY, devices_are_refused_to_users},
    {NULL, ANYONE, NULL}};
