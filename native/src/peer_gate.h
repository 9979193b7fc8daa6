// Where syncs wait for a peer: while the gate is closed, the answer to a sync is kept until the peer has, on its disk, the transaction that the sync
// promises. Parked answers need no thread.
//
// Invariants:
// 1. An answer that was taken is given once: when the peer has its transaction, when the gate is opened, or at the end of the session; or, when the mount
//    goes on without this process, by the next one (the kernel asks again).
// 2. While the gate is open nobody waits, and a sync costs one relaxed look more.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "request.h"

namespace tidemark {

class PeerGate {
 public:
  bool isClosed() const { return closed_.load(std::memory_order_acquire); }
  // Syncs wait from now on, and who waits already goes on to. The peer has all up to `had`. `onWaiting`: told, on the thread of the sync and under this gate's lock, of each that begins to wait; it
  // must not call back.
  void close(Txid had, std::function<void()> onWaiting);
  // Nobody waits any more.
  void open() { end(0); }
  // The peer has all up to here. Answers whoever waited for no more.
  void acknowledged(Txid txid);
  // Takes the answer; false: it is to be given at once, for the peer has the transaction, or nobody waits.
  bool park(Txid txid, const ReplyTo& to);
  size_t waiting() const;
  // The gate is open, and all that wait get this answer.
  void end(int error);
  // The gate is open, and what waits stays unanswered.
  void leave();

 private:
  std::vector<ReplyTo> takeUpTo(Txid txid);

  std::atomic<bool> closed_{false};
  // Guards the rest. Taken last.
  mutable std::mutex mutex_;
  std::multimap<Txid, ReplyTo> waiting_;
  std::function<void()> onWaiting_;
  Txid had_ = 0;
};

}  // namespace tidemark
