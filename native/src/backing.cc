#include "backing.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <atomic>
#include <memory>

namespace tidemark {
namespace {

// Handle layouts, as the kernel's export operations write them (fs/ext4, fs/xfs, fs/btrfs, mm/shmem).
constexpr int kInode32 = 1;        // ext4, f2fs: u32 inode, u32 generation (8 bytes); tmpfs: u32 generation, u64 inode (12 bytes)
constexpr int kXfsInode64 = 0x81;  // u64 inode, u32 generation (12 bytes)
constexpr int kBtrfs = 0x4d;       // u64 object, u64 root, u32 generation (20 bytes)

struct Handle {
  struct file_handle head;
  unsigned char bytes[MAX_HANDLE_SZ];
};

template <typename T>
T load(const unsigned char* p) {
  T value;
  memcpy(&value, p, sizeof value);
  return value;
}

template <typename T>
void store(unsigned char* p, T value) {
  memcpy(p, &value, sizeof value);
}

bool handleOf(int directoryFd, const char* name, int flags, Handle* handle) {
  int mountId;
  handle->head.handle_bytes = MAX_HANDLE_SZ;
  return name_to_handle_at(directoryFd, name, &handle->head, &mountId, flags) == 0;
}

int64_t bornOf(const struct statx& st) {
  const struct statx_timestamp& time = (st.stx_mask & STATX_BTIME) != 0 ? st.stx_btime : st.stx_ctime;
  return time.tv_sec * 1000000000 + time.tv_nsec;
}

}  // namespace

void UniqueFd::reset(int fd) {
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
}

std::string Backing::procPath(int fd) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return path;
}

int Backing::learnHandles() {
  Handle handle;
  if (!handleOf(rootFd_.get(), "", AT_EMPTY_PATH, &handle)) return 0;
  const unsigned bytes = handle.head.handle_bytes;
  const int type = handle.head.handle_type;
  const bool known = (type == kInode32 && (bytes == 8 || bytes == 12)) || (type == kXfsInode64 && bytes == 12) || (type == kBtrfs && bytes == 20);
  if (!known) return 0;
  handleType_ = type;
  handleBytes_ = bytes;
  if (type == kBtrfs) btrfsRoot_ = load<uint64_t>(handle.bytes + 8);
  UniqueFd again(open_by_handle_at(rootFd_.get(), &handle.head, O_PATH | O_CLOEXEC));
  opensById_ = again.valid();
  return 0;
}

int Backing::open(const std::string& directory) {
  directory_ = directory;
  rootFd_.reset(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!rootFd_.valid()) return errno;
  struct stat st;
  if (fstat(rootFd_.get(), &st) != 0) return errno;
  device_ = st.st_dev;
  learnHandles();
  if (const int error = identify(rootFd_.get(), &st, &rootId_)) return error;
  if (mkdirat(rootFd_.get(), kStoreName, 0700) != 0 && errno != EEXIST) return errno;
  storeFd_.reset(openat(rootFd_.get(), kStoreName, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!storeFd_.valid()) return errno;
  if (fstat(storeFd_.get(), &st) != 0) return errno;
  storeInode_ = st.st_ino;
  if (mkdirat(storeFd_.get(), "log", 0700) != 0 && errno != EEXIST) return errno;
  if (mkdirat(storeFd_.get(), "objects", 0700) != 0 && errno != EEXIST) return errno;
  logFd_.reset(openat(storeFd_.get(), "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  objectsFd_.reset(openat(storeFd_.get(), "objects", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!logFd_.valid() || !objectsFd_.valid()) return errno;
  for (int i = 0; i < 256; i++) {
    char name[4];
    snprintf(name, sizeof name, "%02x", i);
    if (mkdirat(objectsFd_.get(), name, 0700) != 0 && errno != EEXIST) return errno;
  }
  return 0;
}

uint32_t Backing::generationOf(int directoryFd, const char* name, int flags) const {
  Handle handle;
  if (handleType_ == 0 || !handleOf(directoryFd, name, flags, &handle)) return 0;
  if (handle.head.handle_type != handleType_ || handle.head.handle_bytes != handleBytes_) return 0;
  switch (handleType_) {
    case kInode32: return load<uint32_t>(handle.bytes + (handleBytes_ == 8 ? 4 : 0));
    case kXfsInode64: return load<uint32_t>(handle.bytes + 8);
    default: return load<uint32_t>(handle.bytes + 16);
  }
}

int Backing::changeMode(int fd, mode_t mode) {
  // fchmodat2 (kernel 6.6) takes the descriptor itself; a path through /proc costs twice as much.
  constexpr long kFchmodat2 = 452;
  static std::atomic<bool> hasFchmodat2{true};
  if (hasFchmodat2) {
    if (syscall(kFchmodat2, fd, "", mode, AT_EMPTY_PATH) == 0) return 0;
    // A sandbox that does not know the call may say EPERM: the path then tells.
    if (errno != ENOSYS && errno != EPERM) return errno;
    hasFchmodat2 = errno != ENOSYS;
  }
  return chmod(procPath(fd).c_str(), mode) == 0 ? 0 : errno;
}

int Backing::identify(int directoryFd, const char* name, struct stat* st, FileId* id) const {
  if (fstatat(directoryFd, name, st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) return errno;
  if (st->st_dev != device_) return EXDEV;
  if (st->st_ino == storeInode_) return ENOENT;
  id->inode = st->st_ino;
  id->generation = generationOf(directoryFd, name, 0);
  return 0;
}

int Backing::identify(int fd, struct stat* st, FileId* id) const {
  if (fstatat(fd, "", st, AT_EMPTY_PATH) != 0) return errno;
  if (st->st_dev != device_) return EXDEV;
  id->inode = st->st_ino;
  id->generation = generationOf(fd, "", AT_EMPTY_PATH);
  hideStore(*id, st);
  return 0;
}

int Backing::lookAt(int directoryFd, const char* name, struct stat* st, int64_t* bornNs) {
  constexpr unsigned kAttributes = STATX_BASIC_STATS;
  struct statx now;
  if (statx(directoryFd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, kAttributes | STATX_BTIME, &now) != 0) return errno;
  *st = {};
  st->st_dev = makedev(now.stx_dev_major, now.stx_dev_minor);
  st->st_ino = now.stx_ino;
  st->st_mode = now.stx_mode;
  st->st_nlink = now.stx_nlink;
  st->st_uid = now.stx_uid;
  st->st_gid = now.stx_gid;
  st->st_rdev = makedev(now.stx_rdev_major, now.stx_rdev_minor);
  st->st_size = static_cast<off_t>(now.stx_size);
  st->st_blksize = now.stx_blksize;
  st->st_blocks = static_cast<blkcnt_t>(now.stx_blocks);
  st->st_atim = {now.stx_atime.tv_sec, now.stx_atime.tv_nsec};
  st->st_mtim = {now.stx_mtime.tv_sec, now.stx_mtime.tv_nsec};
  st->st_ctim = {now.stx_ctime.tv_sec, now.stx_ctime.tv_nsec};
  *bornNs = bornOf(now);
  return 0;
}

int64_t Backing::bornNs(int directoryFd, const char* name, int flags) {
  struct statx now;
  if (statx(directoryFd, name, flags | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BTIME | STATX_CTIME, &now) != 0) return 0;
  return bornOf(now);
}

int Backing::openById(FileId id, int flags) const {
  if (id == rootId_) {
    const int fd = openat(rootFd_.get(), ".", flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
  }
  if (!opensById_) {
    const int fd = openObject(id, flags);
    return fd == -ENOENT ? -ENOSYS : fd;
  }
  Handle handle;
  handle.head.handle_type = handleType_;
  handle.head.handle_bytes = handleBytes_;
  switch (handleType_) {
    case kInode32:
      if (handleBytes_ == 8) {
        store(handle.bytes, static_cast<uint32_t>(id.inode));
        store(handle.bytes + 4, id.generation);
      } else {
        store(handle.bytes, id.generation);
        store(handle.bytes + 4, id.inode);
      }
      break;
    case kXfsInode64:
      store(handle.bytes, id.inode);
      store(handle.bytes + 8, id.generation);
      break;
    default:
      store(handle.bytes, id.inode);
      store(handle.bytes + 8, btrfsRoot_);
      store(handle.bytes + 16, id.generation);
  }
  const int fd = open_by_handle_at(rootFd_.get(), &handle.head, flags | O_CLOEXEC);
  if (fd >= 0) return fd;
  return errno == ESTALE ? -ENOENT : -errno;
}

int Backing::openByPath(std::string_view path, FileId id, int flags) const {
  const std::string relative = path.empty() ? "." : std::string(path);
  const int fd = openat(rootFd_.get(), relative.c_str(), flags | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -errno;
  struct stat st;
  FileId found;
  const int error = identify(fd, &st, &found);
  if (error == 0 && found == id) return fd;
  close(fd);
  return error != 0 ? -error : -ESTALE;
}

std::string Backing::objectName(FileId id) {
  char name[64];
  snprintf(name, sizeof name, "%02x/%llx.%x", static_cast<unsigned>(id.inode & 0xFF), static_cast<unsigned long long>(id.inode), id.generation);
  return name;
}

int Backing::openObject(FileId id, int flags) const {
  const int fd = openat(objectsFd_.get(), objectName(id).c_str(), flags | O_NOFOLLOW | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

int Backing::moveToObjects(int directoryFd, const char* name, FileId id) const {
  return renameat(directoryFd, name, objectsFd_.get(), objectName(id).c_str()) == 0 ? 0 : errno;
}

bool Backing::isObject(FileId id) const { return faccessat(objectsFd_.get(), objectName(id).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0; }

}  // namespace tidemark
