// The times of a file that is being written, known without asking for them.
//
// Since kernel 6.13 ext4, xfs and btrfs count time finely, but only for who looks: a file whose times were asked for gets a stamp of its own with its next
// change, and from then on every file system's clock (FUSE's too) shows at least that. To ask between any two writes means that each changes the times
// of the file, of the log, and of the kernel's own inode above us: three inodes to write, and a request to tell us so. Otherwise they change once a tick.
#pragma once

#include <sys/stat.h>

#include <cstdint>

namespace tidemark {

// Guarded by the inode's change lock.
class FileTimes {
 public:
  // As fstat. The mtime is exact if every change of it is told here; atime and ctime may be as old as kTickNs. 0 or an errno.
  int stat(int fd, struct stat* st);
  bool known() const { return readNs_ != 0; }
  // Valid when known.
  const struct timespec& mtime() const { return mtime_; }
  void setMtime(const struct timespec& mtime) { mtime_ = mtime; }
  void forget() { readNs_ = 0; }
  static bool same(const struct timespec& a, const struct timespec& b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

 private:
  // A tick of the clock that stamps files, at the usual 250 a second.
  static constexpr uint64_t kTickNs = 4000000;

  struct timespec atime_{}, mtime_{}, ctime_{};
  uint64_t readNs_ = 0;
};

// With the writeback cache the kernel keeps a file's mtime itself and tells us when it has changed (SETATTR); it does not
// look at ours. What a change of bytes makes of the mtime is therefore undone: both stay the same. (The kernel does not
// tell when the clock still shows the time that the file already has.)
class KernelTimes {
 public:
  KernelTimes(int fd, bool isKernels);
  // The same where the mtime is known.
  KernelTimes(int fd, bool isKernels, const struct timespec& mtime) : fd_(isKernels ? fd : -1), mtime_(mtime) {}
  ~KernelTimes();
  KernelTimes(const KernelTimes&) = delete;
  KernelTimes& operator=(const KernelTimes&) = delete;

 private:
  int fd_;
  struct timespec mtime_{};
};

}  // namespace tidemark
