#include "tree_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "backing.h"

namespace tidemark {
namespace {

constexpr unsigned kMostThreads = 8;
constexpr size_t kEntriesBytes = 256 << 10;

struct linux_dirent64 {
  uint64_t d_ino;
  int64_t d_off;
  unsigned short d_reclen;
  unsigned char d_type;
  char d_name[];
};

// What others may do at any time, or what is not for this user to see.
bool isPassedOver(int error) { return error == ENOENT || error == ENOTDIR || error == EACCES || error == ESTALE; }

}  // namespace

int TreeScan::run() {
  struct stat st;
  if (stat((root_ + "/.").c_str(), &st) != 0) return errno;
  device_ = st.st_dev;
  bool isDirectory = false;
  const int changed = look(AT_FDCWD, (root_ + "/.").c_str(), 0, &isDirectory);
  if (changed < 0) return -changed;
  if (changed == 1) paths_.emplace_back();
  waiting_.emplace_back();
  // The disk is waited for as often as the processor: more threads than processors pay where inodes are not in memory.
  std::vector<std::thread> threads;
  const unsigned count = std::min(kMostThreads, 2 * std::max(1u, std::thread::hardware_concurrency()));
  for (unsigned i = 1; i < count; i++) threads.emplace_back([this] { work(); });
  work();
  for (std::thread& thread : threads) thread.join();
  std::sort(paths_.begin(), paths_.end());
  return error_;
}

void TreeScan::work() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    more_.wait(lock, [this] { return !waiting_.empty() || busy_ == 0 || error_ != 0; });
    if (waiting_.empty() || error_ != 0 || paths_.size() >= most_) break;
    const std::string directory = std::move(waiting_.back());
    waiting_.pop_back();
    busy_++;
    lock.unlock();
    const int error = scan(directory);
    lock.lock();
    busy_--;
    if (error != 0 && error_ == 0) error_ = error;
    if (busy_ == 0 || error_ != 0) more_.notify_all();
  }
  more_.notify_all();
}

int TreeScan::scan(const std::string& directory) {
  UniqueFd fd(open((root_ + "/" + directory).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return isPassedOver(errno) || errno == ELOOP ? 0 : errno;
  std::vector<Entry> entries;
  if (const int error = readEntries(fd.get(), directory.empty(), &entries)) return error;
  // A directory lists names in the order of their hashes; inodes that stand side by side on the disk are read together.
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.inode < b.inode; });
  for (const Entry& entry : entries) {
    bool isDirectory = false;
    const int changed = look(fd.get(), entry.name.c_str(), AT_SYMLINK_NOFOLLOW, &isDirectory);
    if (changed < 0) return -changed;
    if (changed == 0 && !isDirectory) continue;
    std::string path = directory.empty() ? entry.name : directory + "/" + entry.name;
    if (changed == 1) note(path);
    if (!isDirectory) continue;
    std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(std::move(path));
    more_.notify_one();
  }
  return 0;
}

int TreeScan::readEntries(int fd, bool isRoot, std::vector<Entry>* entries) const {
  std::vector<char> bytes(kEntriesBytes);
  for (;;) {
    const long length = syscall(SYS_getdents64, fd, bytes.data(), bytes.size());
    if (length < 0) return isPassedOver(errno) ? 0 : errno;
    if (length == 0) return 0;
    for (long at = 0; at < length;) {
      const auto* entry = reinterpret_cast<const linux_dirent64*>(bytes.data() + at);
      at += entry->d_reclen;
      if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || (isRoot && skip_ == entry->d_name)) continue;
      entries->push_back({entry->d_ino, entry->d_name});
    }
  }
}

int TreeScan::look(int fd, const char* name, int flags, bool* isDirectory) const {
  struct statx found;
  if (statx(fd, name, flags | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_CTIME, &found) != 0) return isPassedOver(errno) ? 0 : -errno;
  if (makedev(found.stx_dev_major, found.stx_dev_minor) != device_) return 0;
  *isDirectory = S_ISDIR(found.stx_mode);
  return found.stx_ctime.tv_sec * int64_t{1000000000} + found.stx_ctime.tv_nsec > sinceNs_ ? 1 : 0;
}

void TreeScan::note(std::string path) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (paths_.size() < most_) paths_.push_back(std::move(path));
}

}  // namespace tidemark
