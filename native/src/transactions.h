// Transactions: which txid a change belongs to, and when a transaction has its END.
//
// In: begin/finish around every change, barriers from the kernel requests that end a transaction. Out: END records.
//
// Invariants:
// 1. A change's undo records carry the txid that begin() gave it, and the change has acted before finish().
// 2. END n is appended after every change of n has finished, and in the order of txids, without gaps.
// 3. A barrier never waits: the open txid moves on, and the last finishing change of the closed one appends its END.
// 4. END times grow strictly, also when the wall clock steps back.
//
// So a snapshot n is never seen with half a change of n, and two changes of one inode have txids in the order in which
// they act as long as their callers hold that inode's lock from before begin() until they have acted.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>

#include "log.h"

namespace tidemark {

struct EndedPosition {
  Txid txid = 0;
  int64_t timeNs = 0;
};

class Transactions {
 public:
  Transactions(Log* log, bool relaxed) : log_(log), relaxed_(relaxed) {}

  // Continues after `last`; transactions seen without END up to `lastSeen` are ended by recovery. 0 or an errno.
  int start(Txid lastEnded, Txid lastSeen, int64_t lastTimeNs);

  // The change joins the open transaction.
  Txid begin(const Actor& actor);
  void finish(Txid txid);

  // Ends the open transaction if it has changes. Returns its txid, or 0.
  Txid barrier(const Actor* actor, Reason reason, uint8_t flags = 0);

  // Ends the open transaction and waits until all before it have their ENDs. 0, or the errno that keeps an END from the log.
  int settle(Reason reason);

  // Between hold and release barriers end nothing.
  void hold();
  void release(const Actor& actor);

  EndedPosition ended() const;

 private:
  struct Closing {
    Txid txid;
    uint32_t pending;
    Actor actor;
    Reason reason;
    uint8_t flags;
  };

  // Appends ENDs from the front of closing_ as far as nothing is pending. Called with mutex_ held.
  int appendEnds();
  Txid close(const Actor* actor, Reason reason, uint8_t flags);

  static constexpr int64_t kLongestHoldNs = 600ll * 1000000000;

  Log* const log_;
  const bool relaxed_;

  // Guards everything below. Taken before the log's append mutex.
  mutable std::mutex mutex_;
  std::condition_variable ends_;
  Txid open_ = 1;
  uint32_t openPending_ = 0;
  bool openChanged_ = false;
  Actor openActor_;
  std::deque<Closing> closing_;
  EndedPosition ended_;
  uint32_t holds_ = 0;
  int64_t heldSinceNs_ = 0;
  int appendError_ = 0;
};

}  // namespace tidemark
