// Open files and directories, by the handle numbers that the kernel carries for us.
#pragma once

#include <dirent.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "inodes.h"

namespace tidemark {

struct OpenFile {
  // Of readers it may not be open yet: Session::descriptorOf.
  UniqueFd fd;
  std::atomic<bool> isOpen{true};
  std::mutex openMutex;  // guards the opening
  int flags = 0;
  InodeRef inode;
  Actor actor;
  bool writable = false;
  std::atomic<bool> written{false};
};

struct OpenDirectory {
  UniqueFd fd;
  InodeRef inode;
  // Guards the rest: the kernel may read one handle from two threads.
  std::mutex mutex;
  int64_t position = 0;
  std::vector<char> entries;  // of getdents64
  size_t used = 0;
  size_t length = 0;
};

// Numbers start at 1. Entries are shared: a handle that is being released may still be in use by a parked request.
template <typename T>
class HandleTable {
 public:
  uint64_t add(std::shared_ptr<T> item) {
    std::lock_guard<std::mutex> guard(mutex_);
    count_++;
    if (!free_.empty()) {
      const uint64_t number = free_.back();
      free_.pop_back();
      items_[number] = std::move(item);
      return number;
    }
    items_.push_back(std::move(item));
    return items_.size() - 1;
  }
  std::shared_ptr<T> get(uint64_t number) const {
    std::lock_guard<std::mutex> guard(mutex_);
    return number < items_.size() ? items_[number] : nullptr;
  }
  std::shared_ptr<T> remove(uint64_t number) {
    std::lock_guard<std::mutex> guard(mutex_);
    if (number >= items_.size() || items_[number] == nullptr) return nullptr;
    count_--;
    free_.push_back(number);
    return std::move(items_[number]);
  }
  // Those that are open now, in no order.
  std::vector<std::shared_ptr<T>> all() const {
    std::lock_guard<std::mutex> guard(mutex_);
    std::vector<std::shared_ptr<T>> open;
    for (const auto& item : items_)
      if (item != nullptr) open.push_back(item);
    return open;
  }
  size_t count() const {
    std::lock_guard<std::mutex> guard(mutex_);
    return count_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<T>> items_{nullptr};
  std::vector<uint64_t> free_;
  size_t count_ = 0;
};

}  // namespace tidemark
