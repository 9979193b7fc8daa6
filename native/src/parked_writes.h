// Writes whose records are in the log but not yet on the disk: they wait here, without a thread, to act; and the syncs behind them, to be answered.
//
// Invariants:
// 1. First in, first out; add() is called under the inode's change lock, so the writes of an inode act in the order of capture.
// 2. At most one schedule is out: whoever gets `true` from schedule() must call take() until it returns nothing.
// 3. The bytes held stay below kMostBytes, but for one write of each thread that adds: those wait in awaitRoom().
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <vector>

#include "handles.h"
#include "request.h"

namespace tidemark {

struct ParkedWrite {
  enum class Answer {
    // Once it has acted.
    kActed,
    // Before: its bytes are in the log, and who wants them on the disk asks for a sync.
    kGiven,
    // No write at all, but a sync: once all before it have acted.
    kSync,
  };

  Answer answer = Answer::kActed;
  std::shared_ptr<OpenFile> file;
  fuse_write_in in{};
  // Owns the bytes, which may lie somewhere inside.
  RequestBuffer buffer;
  const char* bytes = nullptr;
  ReplyTo to;
  // Of a sync: what it promises a peer to have (Session::promised).
  Txid txid = 0;
  // The log position that has to be on the disk first.
  Lsn target = 0;
};

class ParkedWrites {
 public:
  void add(ParkedWrite write) {
    std::lock_guard<std::mutex> guard(mutex_);
    bytes_ += write.in.size;
    queue_.push_back(std::move(write));
  }

  // true when the caller is to see to the next write, with the log position it waits for.
  bool schedule(Lsn* target) {
    std::lock_guard<std::mutex> guard(mutex_);
    if (scheduled_ || queue_.empty()) return false;
    scheduled_ = true;
    *target = queue_.front().target;
    return true;
  }

  // The next writes of one inode whose log position is durable (or all the same, when `failed`). None: the schedule is
  // over; *next is then the position to schedule again for, or 0.
  std::vector<ParkedWrite> take(Lsn durable, bool failed, Lsn* next) {
    std::lock_guard<std::mutex> guard(mutex_);
    std::vector<ParkedWrite> taken;
    while (!queue_.empty() && taken.size() < kMostTaken && (failed || queue_.front().target <= durable)) {
      if (!taken.empty() && taken.front().file->inode.get() != queue_.front().file->inode.get()) break;
      bytes_ -= queue_.front().in.size;
      taken.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    *next = taken.empty() && !queue_.empty() ? queue_.front().target : 0;
    if (taken.empty() && queue_.empty()) scheduled_ = false;
    if (bytes_ < kMostBytes) room_.notify_all();
    return taken;
  }

  // Nothing waits, and nobody is at it.
  bool isIdle() {
    std::lock_guard<std::mutex> guard(mutex_);
    return queue_.empty() && !scheduled_;
  }

  bool isFull() {
    std::lock_guard<std::mutex> guard(mutex_);
    return bytes_ >= kMostBytes;
  }

  void awaitRoom() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (bytes_ >= kMostBytes) room_.wait(lock);
  }

 private:
  static constexpr uint64_t kMostBytes = 64u << 20;
  // Nobody is answered before all of these have acted.
  static constexpr size_t kMostTaken = 32;

  // Guards the rest. Taken after change locks, before no other.
  std::mutex mutex_;
  std::condition_variable room_;
  std::deque<ParkedWrite> queue_;
  uint64_t bytes_ = 0;
  bool scheduled_ = false;
};

}  // namespace tidemark
