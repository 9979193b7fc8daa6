#include "mounting.h"

#include <errno.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <vector>

extern char** environ;

namespace tidemark {
namespace {

constexpr const char* kFsType = "fuse.tidemark";

// Four of the largest requests.
constexpr const char* kReadAheadKib = "4096";

// A program that just ends, or looks a path up in passing, keeps a mount busy for a moment and is nobody to complain of.
constexpr std::chrono::milliseconds kBusyPatience(500);
constexpr std::chrono::milliseconds kBusyPause(10);

int mountAsRoot(const MountRequest& request, UniqueFd* device, std::string* message) {
  device->reset(open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!device->valid()) {
    *message = "/dev/fuse cannot be opened";
    return errno;
  }
  char options[160];
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,default_permissions%s", device->get(), request.allowOther ? ",allow_other" : "");
  if (mount(request.source.c_str(), request.mountpoint.c_str(), kFsType, 0, options) == 0) return 0;
  const int error = errno;
  *message = std::string("mount(2) refused: ") + strerror(error);
  return error;
}

// Runs a helper with stderr captured. Its exit status, or -errno.
int runHelper(const std::vector<std::string>& arguments, int commFd, std::string* said) {
  int pipeFds[2];
  if (pipe2(pipeFds, O_CLOEXEC) != 0) return -errno;
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const std::string comm = "_FUSE_COMMFD=" + std::to_string(commFd);
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; entry++) environment.push_back(*entry);
  if (commFd >= 0) environment.push_back(const_cast<char*>(comm.c_str()));
  environment.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipeFds[1], 2);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  close(pipeFds[1]);
  if (error != 0) {
    close(pipeFds[0]);
    return -error;
  }
  char chunk[512];
  ssize_t count;
  while ((count = read(pipeFds[0], chunk, sizeof chunk)) > 0) said->append(chunk, static_cast<size_t>(count));
  close(pipeFds[0]);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  while (!said->empty() && said->back() == '\n') said->pop_back();
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

int receiveFd(int socket) {
  char byte;
  struct iovec part = {&byte, 1};
  char control[CMSG_SPACE(sizeof(int))];
  struct msghdr message {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) <= 0) return -EIO;
  const struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return -EIO;
  int fd;
  memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

int mountAsUser(const MountRequest& request, UniqueFd* device, std::string* message) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0) return errno;
  UniqueFd ours(sockets[0]);
  UniqueFd theirs(sockets[1]);
  fcntl(ours.get(), F_SETFD, FD_CLOEXEC);
  std::string options = "default_permissions,subtype=tidemark,fsname=" + request.source;
  if (request.allowOther) options += ",allow_other";
  const int status = runHelper({"fusermount3", "-o", options, "--", request.mountpoint}, theirs.get(), message);
  if (status < 0) {
    *message = "fusermount3 cannot be started (Debian package fuse3)";
    return -status;
  }
  if (status != 0) return EPERM;
  const int fd = receiveFd(ours.get());
  if (fd < 0) return -fd;
  device->reset(fd);
  return 0;
}

int tryUnmountFuse(const std::string& mountpoint) {
  if (geteuid() == 0) return umount2(mountpoint.c_str(), UMOUNT_NOFOLLOW) == 0 ? 0 : errno;
  std::string said;
  const int status = runHelper({"fusermount3", "-u", "--", mountpoint}, -1, &said);
  if (status < 0) return -status;
  if (status == 0) return 0;
  return said.find("busy") != std::string::npos ? EBUSY : EPERM;
}

}  // namespace

int mountFuse(const MountRequest& request, UniqueFd* device, std::string* message) {
  return geteuid() == 0 ? mountAsRoot(request, device, message) : mountAsUser(request, device, message);
}

void widenReadAhead(const std::string& mountpoint) {
  struct statx stx;
  if (statx(AT_FDCWD, mountpoint.c_str(), AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, 0, &stx) != 0) return;
  char path[80];
  snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/read_ahead_kb", stx.stx_dev_major, stx.stx_dev_minor);
  const UniqueFd file(open(path, O_WRONLY | O_CLOEXEC));
  if (file.valid() && write(file.get(), kReadAheadKib, strlen(kReadAheadKib)) < 0) errno = 0;
}

int unmountFuse(const std::string& mountpoint) {
  const auto end = std::chrono::steady_clock::now() + kBusyPatience;
  for (;;) {
    const int error = tryUnmountFuse(mountpoint);
    if (error != EBUSY || std::chrono::steady_clock::now() >= end) return error;
    std::this_thread::sleep_for(kBusyPause);
  }
}

}  // namespace tidemark
