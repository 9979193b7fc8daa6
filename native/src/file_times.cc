#include "file_times.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>

#include "types.h"

namespace tidemark {
namespace {

constexpr unsigned kAllButTimes = STATX_BASIC_STATS & ~static_cast<unsigned>(STATX_ATIME | STATX_MTIME | STATX_CTIME);

}  // namespace

int FileTimes::stat(int fd, struct stat* st) {
  const uint64_t now = monotonicNs();
  if (readNs_ == 0 || now - readNs_ >= kTickNs) {
    if (fstat(fd, st) != 0) return errno;
    atime_ = st->st_atim;
    mtime_ = st->st_mtim;
    ctime_ = st->st_ctim;
    readNs_ = now;
    return 0;
  }
  struct statx stx;
  if (statx(fd, "", AT_EMPTY_PATH, kAllButTimes, &stx) != 0) return errno;
  *st = {};
  st->st_dev = makedev(stx.stx_dev_major, stx.stx_dev_minor);
  st->st_ino = stx.stx_ino;
  st->st_mode = stx.stx_mode;
  st->st_nlink = stx.stx_nlink;
  st->st_uid = stx.stx_uid;
  st->st_gid = stx.stx_gid;
  st->st_size = static_cast<off_t>(stx.stx_size);
  st->st_blocks = static_cast<blkcnt_t>(stx.stx_blocks);
  st->st_blksize = static_cast<blksize_t>(stx.stx_blksize);
  st->st_atim = atime_;
  st->st_mtim = mtime_;
  st->st_ctim = ctime_;
  return 0;
}

KernelTimes::KernelTimes(int fd, bool isKernels) : fd_(-1) {
  struct stat before;
  if (!isKernels || fstat(fd, &before) != 0) return;
  fd_ = fd;
  mtime_ = before.st_mtim;
}

KernelTimes::~KernelTimes() {
  const struct timespec times[2] = {{0, UTIME_OMIT}, mtime_};
  if (fd_ >= 0 && futimens(fd_, times) != 0) return;
}

}  // namespace tidemark
