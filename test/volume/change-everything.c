// Tries to change something by every system call that can, and says how each ended: "call errno" lines, "call done" for one that succeeded.
// Usage: change-everything FILE DIRECTORY FRESH LIVE. FILE and DIRECTORY are what must not change, FRESH a name that must not come to be, LIVE a file that may change.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

static void say(const char* call, long result) {
  if (result >= 0) printf("%s done\n", call);
  else printf("%s %s\n", call, strerrorname_np(errno));
}

static void sayOpen(const char* call, int fd) {
  say(call, fd);
  if (fd >= 0) close(fd);
}

#define TRY(call) say(#call, (long)(call))

static const char* acl = "\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff\x04\0\x04\0\xff\xff\xff\xff\x20\0\x04\0\xff\xff\xff\xff";

static void names(const char* path, const char* directory, const char* fresh, const char* live) {
  char beside[4096];
  snprintf(beside, sizeof beside, "%s.stolen", live);
  sayOpen("open(O_WRONLY)", open(path, O_WRONLY));
  sayOpen("open(O_RDWR)", open(path, O_RDWR));
  sayOpen("open(O_WRONLY | O_APPEND)", open(path, O_WRONLY | O_APPEND));
  sayOpen("open(O_RDONLY | O_TRUNC)", open(path, O_RDONLY | O_TRUNC));
  sayOpen("open(O_CREAT)", open(fresh, O_CREAT | O_WRONLY, 0600));
  sayOpen("creat", creat(path, 0600));
  sayOpen("open(O_TMPFILE)", open(directory, O_TMPFILE | O_RDWR, 0600));
  TRY(truncate(path, 0));
  TRY(unlink(path));
  TRY(rmdir(directory));
  TRY(unlinkat(AT_FDCWD, directory, AT_REMOVEDIR));
  TRY(mkdir(fresh, 0700));
  TRY(mknod(fresh, S_IFIFO | 0600, 0));
  TRY(mknod(fresh, S_IFREG | 0600, 0));
  TRY(symlink("anywhere", fresh));
  TRY(link(live, fresh));
  TRY(link(path, beside));
  TRY(rename(path, fresh));
  TRY(rename(path, beside));
  TRY(rename(directory, fresh));
  TRY(rename(directory, beside));
  TRY(rename(live, fresh));
  TRY(rename(live, path));
  TRY(renameat2(AT_FDCWD, live, AT_FDCWD, path, RENAME_EXCHANGE));
  TRY(renameat2(AT_FDCWD, path, AT_FDCWD, live, RENAME_EXCHANGE));
  TRY(renameat2(AT_FDCWD, path, AT_FDCWD, fresh, RENAME_NOREPLACE));
  TRY(renameat2(AT_FDCWD, path, AT_FDCWD, fresh, RENAME_WHITEOUT));
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(fresh) < sizeof address.sun_path) {
    strcpy(address.sun_path, fresh);
    TRY(bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr*)&address, sizeof address));
  }
}

static void attributes(const char* path) {
  const struct timeval times[2] = {{1, 0}, {1, 0}};
  const struct timespec exact[2] = {{1, 0}, {1, 0}};
  const struct utimbuf whole = {1, 1};
  TRY(chmod(path, 0777));
  TRY(fchmodat(AT_FDCWD, path, 0777, 0));
  TRY(chown(path, 1, 1));
  TRY(lchown(path, 1, 1));
  TRY(chown(path, getuid(), getgid()));
  TRY(utime(path, &whole));
  TRY(utimes(path, times));
  TRY(utimensat(AT_FDCWD, path, exact, AT_SYMLINK_NOFOLLOW));
  TRY(utimensat(AT_FDCWD, path, NULL, 0));
  TRY(setxattr(path, "user.x", "y", 1, 0));
  TRY(setxattr(path, "trusted.x", "y", 1, 0));
  TRY(setxattr(path, "user.tidemark", "y", 1, 0));
  TRY(setxattr(path, "trusted.tidemark", "y", 1, 0));
  TRY(setxattr(path, "security.capability", "\1\0\0\2\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20, 0));
  TRY(setxattr(path, "system.posix_acl_access", acl, 28, 0));
  TRY(lsetxattr(path, "user.x", "y", 1, 0));
  TRY(removexattr(path, "user.kept"));
  TRY(lremovexattr(path, "user.kept"));
}

// Through a descriptor that was opened to read.
static void descriptors(const char* path, const char* live) {
  const int fd = open(path, O_RDONLY);
  if (fd < 0) return;
  const int from = open(live, O_RDONLY);
  char again[64];
  snprintf(again, sizeof again, "/proc/self/fd/%d", fd);
  char beside[4096];
  snprintf(beside, sizeof beside, "%s.stolen", live);
  const struct timespec exact[2] = {{1, 0}, {1, 0}};
  loff_t zero = 0;
  TRY(write(fd, "x", 1));
  TRY(pwrite(fd, "x", 1, 0));
  TRY(ftruncate(fd, 0));
  TRY(fallocate(fd, 0, 0, 1 << 20));
  TRY(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
  TRY(copy_file_range(from, NULL, fd, &zero, 4, 0));
  TRY(sendfile(fd, from, NULL, 4));
  TRY(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
  void* mapped = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
  if (mapped != MAP_FAILED) TRY(mprotect(mapped, 4096, PROT_READ | PROT_WRITE));
  TRY(fchmod(fd, 0777));
  TRY(fchown(fd, 1, 1));
  TRY(futimens(fd, exact));
  TRY(fsetxattr(fd, "user.x", "y", 1, 0));
  TRY(fsetxattr(fd, "trusted.tidemark", "y", 1, 0));
  TRY(fremovexattr(fd, "user.kept"));
  TRY(chmod(again, 0777));
  TRY(truncate(again, 0));
  sayOpen("open(/proc/self/fd, O_RDWR)", open(again, O_RDWR));
  TRY(linkat(fd, "", AT_FDCWD, beside, AT_EMPTY_PATH));
  TRY(linkat(AT_FDCWD, again, AT_FDCWD, beside, AT_SYMLINK_FOLLOW));
  long flags = FS_IMMUTABLE_FL;
  TRY(ioctl(fd, FS_IOC_SETFLAGS, &flags));
  struct fsxattr extended = {.fsx_xflags = FS_XFLAG_NODUMP};
  TRY(ioctl(fd, FS_IOC_FSSETXATTR, &extended));
  TRY(ioctl(fd, FICLONE, from));
  struct {
    struct file_dedupe_range range;
    struct file_dedupe_range_info info;
  } same = {{.src_length = 4, .dest_count = 1}, {.dest_fd = fd}};
  if (ioctl(from, FIDEDUPERANGE, &same) == 0 && same.info.status < 0) errno = -same.info.status, say("ioctl(FIDEDUPERANGE)", -1);
  else say("ioctl(FIDEDUPERANGE)", errno == 0 ? 0 : -1);
  struct {
    struct file_handle handle;
    unsigned char bytes[MAX_HANDLE_SZ];
  } known = {.handle = {.handle_bytes = MAX_HANDLE_SZ}};
  int mount;
  if (name_to_handle_at(fd, "", &known.handle, &mount, AT_EMPTY_PATH) == 0) {
    sayOpen("open_by_handle_at(O_RDWR)", open_by_handle_at(fd, &known.handle, O_RDWR));
    sayOpen("open_by_handle_at(O_TRUNC)", open_by_handle_at(fd, &known.handle, O_WRONLY | O_TRUNC));
  }
  close(fd);
}

int main(int count, char** arguments) {
  if (count != 5) return 2;
  names(arguments[1], arguments[2], arguments[3], arguments[4]);
  attributes(arguments[1]);
  attributes(arguments[2]);
  descriptors(arguments[1], arguments[4]);
  descriptors(arguments[2], arguments[4]);
  return 0;
}
