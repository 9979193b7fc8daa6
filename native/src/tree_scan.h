// Finds what was changed below a directory since a moment, by looking at every inode, as fast as the machine can.
//
// In: a directory, a time. Out: paths. It knows nothing of history: whose change it was, its caller finds out.
//
// Invariants:
// 1. A path is given when its inode's ctime is younger than `sinceNs`, and only then.
// 2. Other file systems mounted below are not entered; what vanishes meanwhile, or may not be looked at, is passed over.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

namespace tidemark {

class TreeScan {
 public:
  // `root`: how to reach the directory; `skip`: a name in it that is left out, with all below; `most`: no more paths than these.
  TreeScan(std::string root, std::string skip, int64_t sinceNs, size_t most) : root_(std::move(root)), skip_(std::move(skip)), sinceNs_(sinceNs), most_(most) {}

  // Once. 0, or the errno of what could not be read.
  int run();

  // From the root, without a leading slash ("" for it), in the order of their bytes, so that a directory stands before what is in it.
  const std::vector<std::string>& paths() const { return paths_; }

 private:
  struct Entry {
    uint64_t inode;
    std::string name;
  };

  void work();
  // One directory: notes what was changed in it, and hands its directories on. 0 or an errno.
  int scan(const std::string& directory);
  int readEntries(int fd, bool isRoot, std::vector<Entry>* entries) const;
  // 1: changed; 0: not, or not ours; a negative errno. `*isDirectory` is set for directories of this file system.
  int look(int fd, const char* name, int flags, bool* isDirectory) const;
  void note(std::string path);

  const std::string root_;
  const std::string skip_;
  const int64_t sinceNs_;
  const size_t most_;
  uint64_t device_ = 0;

  // Guards all below. Held for moments only.
  std::mutex mutex_;
  std::condition_variable more_;
  std::vector<std::string> waiting_;
  std::vector<std::string> paths_;
  size_t busy_ = 0;
  int error_ = 0;
};

}  // namespace tidemark
