// Transactions: which txid a change belongs to, and when a transaction has its END.
//
// In: begin/finish around every change, barriers from the kernel requests that end a transaction. Out: END records.
//
// Invariants:
// 1. A change's undo records carry the txid that begin() gave it, and the change has acted before finish().
// 2. END n is appended after every change of n has finished, and in the order of txids, without gaps.
// 3. A barrier never waits: the open txid moves on, and the last finishing change of the closed one appends its END.
// 4. END times grow strictly, also when the wall clock steps back.
// 5. All changes of a transaction are of one user and program, the actor of its END; where that could not be had (a transaction held open, a file
//    that several had open for writing, whose cached pages the kernel writes in the name of any of them), the END says so by its flags.
// 6. Following another volume, txids and ENDs are that volume's: nothing but endFollowed ends a transaction, and txids may leave gaps.
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
  // `follows`: what was open stays open, until it is opened once more and ended as the volume that is followed says.
  int start(Txid lastEnded, Txid lastSeen, int64_t lastTimeNs, bool follows);

  // Whose a change is. kKernels: of times that the kernel hands back, in the name of whoever made it do so; it belongs to what was written before.
  enum class Whose { kActors, kKernels };

  // The change joins the open transaction; one of another user or program begins a new one.
  Txid begin(const Actor& actor, Whose whose = Whose::kActors);
  // Changes of a transaction that has not finished may be others', too: `flags` as in END.
  void addFlags(Txid txid, uint8_t flags);
  void finish(Txid txid);

  // Flag of an END: right after a sync or a close, while no other file was open for writing.
  static constexpr uint8_t kFlagQuiescent = 8;

  // Ends the open transaction if it has changes. Returns its txid, or 0.
  Txid barrier(Reason reason, uint8_t flags = 0);

  // Ends the open transaction and waits until all before it have their ENDs. 0, or the errno that keeps an END from the log.
  int settle(Reason reason);

  // Between hold and release barriers end nothing.
  void hold();
  void release(const Actor& actor);

  // Changes belong to transaction `txid` of the volume that is followed, from now on. Ends what is open, if nobody was followed until now. 0, EINVAL for a txid that has ended
  // or lies before the open one, or the errno that keeps an END from the log.
  int openFollowed(Txid txid);
  // Ends it, when its last change has finished, whether it has any or not. 0, EINVAL when another one is open, or what keeps the END from the log; then it stays open.
  int endFollowed(Txid txid, const Actor& actor, Reason reason, uint8_t flags, int64_t timeNs);
  // From now on this volume's own transactions follow, from `next` on. 0, or EINVAL while one of the other's has changes, or when `next` has been.
  int stopFollowing(Txid next);

  EndedPosition ended() const;
  // The last transaction that a barrier has closed, whether it has its END yet or not.
  Txid closed() const;

 private:
  struct Closing {
    Txid txid;
    // As openFrom_.
    Lsn from;
    uint32_t pending;
    Actor actor;
    Reason reason;
    uint8_t flags;
  };

  // Appends ENDs from the front of closing_ as far as nothing is pending. Called with mutex_ held.
  int appendEnds();
  // Appends END of the transaction in front. Called with mutex_ held.
  int appendEnd(const Closing& closing, int64_t timeNs);
  // The log is to know where the oldest transaction without END begins. Called with mutex_ held.
  void tellOpen();
  Txid close(Reason reason, uint8_t flags);

  static constexpr int64_t kLongestHoldNs = 600ll * 1000000000;

  Log* const log_;
  const bool relaxed_;

  // Guards everything below. Taken before the log's append mutex.
  mutable std::mutex mutex_;
  std::condition_variable ends_;
  Txid open_ = 1;
  // The log's end when the open transaction's first change began.
  Lsn openFrom_ = 0;
  uint32_t openPending_ = 0;
  bool openChanged_ = false;
  // Of the open transaction: who changed something last, whether that was the kernel alone until now, flags of its END.
  Actor openActor_;
  Whose openWhose_ = Whose::kActors;
  uint8_t openFlags_ = 0;
  std::deque<Closing> closing_;
  EndedPosition ended_;
  bool follows_ = false;
  uint32_t holds_ = 0;
  int64_t heldSinceNs_ = 0;
  int appendError_ = 0;
};

}  // namespace tidemark
