// Open files and directories, by the handle numbers that the kernel carries for us.
#pragma once

#include <dirent.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "inodes.h"
#include "kept_table.h"

namespace tidemark {

// In the number of a request that the kernel sends again, to another daemon than the one that had it (FUSE_UNIQUE_RESEND).
constexpr uint64_t kResentBit = 1ull << 63;

inline bool isResent(uint64_t unique) { return (unique & kResentBit) != 0; }
inline uint64_t firstUnique(uint64_t unique) { return unique & ~kResentBit; }

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

// Handles by number. A number is an index with a count above it, so that it is never given twice: a RELEASE that the kernel repeats to a daemon that came
// later (session_resume.cc) cannot take another handle away. Entries are shared: a handle that is being released may still be in use by a parked request.
template <typename T>
class HandleTable {
 public:
  // Where the handles outlive the process. Before the first one.
  void keepIn(KeptTable<KeptHandle>* kept) { kept_ = kept; }

  uint64_t add(std::shared_ptr<T> item, const HandleOrigin& origin) {
    std::lock_guard<std::mutex> guard(mutex_);
    count_++;
    size_t index = items_.size();
    if (free_.empty()) {
      items_.emplace_back();
    } else {
      index = free_.back();
      free_.pop_back();
    }
    items_[index] = {std::move(item), nextCount_++ << kIndexBits | index};
    if (KeptHandle* last = kept_ == nullptr ? nullptr : kept_->at(0)) last->number = items_[index].number;
    keep(index, origin);
    return items_[index].number;
  }
  std::shared_ptr<T> get(uint64_t number) const {
    std::lock_guard<std::mutex> guard(mutex_);
    const size_t index = number & kIndexMask;
    return index < items_.size() && items_[index].number == number ? items_[index].item : nullptr;
  }
  std::shared_ptr<T> remove(uint64_t number) {
    std::lock_guard<std::mutex> guard(mutex_);
    const size_t index = number & kIndexMask;
    if (index >= items_.size() || items_[index].number != number || items_[index].item == nullptr) return nullptr;
    count_--;
    free_.push_back(index);
    if (KeptHandle* kept = kept_ == nullptr ? nullptr : kept_->at(index)) kept->number = 0;
    items_[index].number = 0;
    return std::move(items_[index].item);
  }
  // Makes again what another process has left. `make`: the handle of an origin; null: it cannot be had any more.
  template <typename Make>
  void restore(Make make) {
    std::lock_guard<std::mutex> guard(mutex_);
    items_.resize(std::max<size_t>(1, kept_->size()));
    // Of those that were closed, too: one of them may be closed once more.
    if (kept_->size() > 0) nextCount_ = (kept_->at(0)->number >> kIndexBits) + 1;
    for (size_t index = items_.size(); index-- > 1;) {
      const KeptHandle* kept = kept_->at(index);
      const uint64_t number = kept->number;
      std::shared_ptr<T> item = number == 0 ? nullptr : make(kept->origin);
      if (item == nullptr) {
        free_.push_back(index);
        continue;
      }
      items_[index] = {std::move(item), number};
      byUnique_[kept->origin.unique] = number;
      count_++;
    }
  }
  // The handle that a request opened which was never answered; 0: none.
  uint64_t openedBy(uint64_t unique) const {
    std::lock_guard<std::mutex> guard(mutex_);
    const auto found = byUnique_.find(unique);
    return found == byUnique_.end() ? 0 : found->second;
  }
  // Those that are open now, in no order.
  std::vector<std::shared_ptr<T>> all() const {
    std::lock_guard<std::mutex> guard(mutex_);
    std::vector<std::shared_ptr<T>> open;
    for (const Entry& entry : items_)
      if (entry.item != nullptr) open.push_back(entry.item);
    return open;
  }
  size_t count() const {
    std::lock_guard<std::mutex> guard(mutex_);
    return count_;
  }

 private:
  static constexpr unsigned kIndexBits = 24;
  static constexpr uint64_t kIndexMask = (1u << kIndexBits) - 1;
  struct Entry {
    std::shared_ptr<T> item;
    uint64_t number = 0;
  };

  // Called with mutex_ held.
  void keep(size_t index, const HandleOrigin& origin) {
    KeptHandle* kept = kept_ == nullptr ? nullptr : kept_->at(index);
    if (kept == nullptr) return;
    kept->origin = origin;
    kept->number = items_[index].number;
  }

  mutable std::mutex mutex_;
  std::vector<Entry> items_{1};
  std::vector<size_t> free_;
  uint64_t nextCount_ = 1;
  size_t count_ = 0;
  KeptTable<KeptHandle>* kept_ = nullptr;
  // Of those that were restored.
  std::unordered_map<uint64_t, uint64_t> byUnique_;
};

}  // namespace tidemark
