#include "credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vector>

namespace tidemark {
namespace {

void setFsIds(uint32_t uid, uint32_t gid) {
  syscall(SYS_setfsgid, gid);
  syscall(SYS_setfsuid, uid);
}

// Changing the file system uid away from 0 takes the file capabilities; this takes one of them back.
void keepDacOverride() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (syscall(SYS_capget, &header, data) != 0) return;
  data[CAP_DAC_OVERRIDE / 32].effective |= 1u << (CAP_DAC_OVERRIDE % 32);
  syscall(SYS_capset, &header, data);
}

std::vector<gid_t> groupsOf(uint32_t pid) {
  std::vector<gid_t> groups;
  char path[40];
  snprintf(path, sizeof path, "/proc/%u/status", pid);
  FILE* file = fopen(path, "re");
  if (file == nullptr) return groups;
  char* line = nullptr;
  size_t size = 0;
  while (getline(&line, &size, file) > 0) {
    if (strncmp(line, "Groups:", 7) != 0) continue;
    char* at = line + 7;
    for (;;) {
      char* end = nullptr;
      const unsigned long group = strtoul(at, &end, 10);
      if (end == at) break;
      groups.push_back(static_cast<gid_t>(group));
      at = end;
    }
    break;
  }
  free(line);
  fclose(file);
  return groups;
}

}  // namespace

ActAs::ActAs(uint32_t uid, uint32_t gid) {
  static const bool isRoot = geteuid() == 0;
  if (!isRoot || (uid == 0 && gid == 0)) return;
  active_ = true;
  setFsIds(uid, gid);
  if (uid != 0) keepDacOverride();
}

ActAs::~ActAs() {
  if (active_) setFsIds(0, 0);
}

namespace {
thread_local bool umaskIsOwn = false;
thread_local uint32_t currentUmask = 0xFFFFFFFF;
}  // namespace

void ownUmask() { umaskIsOwn = unshare(CLONE_FS) == 0; }

uint32_t underUmask(uint32_t mode, uint32_t mask) {
  if (!umaskIsOwn) return mode & ~mask;
  if (mask != currentUmask) umask(static_cast<mode_t>(mask));
  currentUmask = mask;
  return mode;
}

int accessAs(uint32_t uid, uint32_t gid, uint32_t pid, int directoryFd, const char* path, int mask, int flags) {
  static const bool isRoot = geteuid() == 0;
  if (!isRoot || uid == 0) return syscall(SYS_faccessat2, directoryFd, path, mask, flags | AT_EACCESS) == 0 ? 0 : errno;
  const std::vector<gid_t> groups = groupsOf(pid);
  std::vector<gid_t> own(static_cast<size_t>(getgroups(0, nullptr)));
  getgroups(static_cast<int>(own.size()), own.data());
  syscall(SYS_setgroups, groups.size(), groups.data());
  setFsIds(uid, gid);
  const int error = syscall(SYS_faccessat2, directoryFd, path, mask, flags | AT_EACCESS) == 0 ? 0 : errno;
  setFsIds(0, 0);
  syscall(SYS_setgroups, own.size(), own.data());
  return error;
}

}  // namespace tidemark
