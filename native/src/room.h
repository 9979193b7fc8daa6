// Room on the disk: whether a request that takes some may go ahead, has to wait while history is given up, or is refused; and the reserve, a file of the store that is given
// up when the disk is full, so that what gives history up (records of the log, the index, packed segments) has room to begin.
//
// In: what requests may take, what somebody who gives history up answers (the keeper; engine/room-keeper.ts). Out: verdicts.
//
// Threads: readers and whoever acts for them ask admit() and done(); whoever appends to the log asks giveSlice(); the keeper's thread calls state(), answer(), makeReserve(),
// giveReserve().
//
// Invariants:
// 1. What is admitted leaves free what the reserve lacks, what the index has yet to write, and a floor: the disk is not filled by us.
// 2. What was admitted counts until done().
// 3. As long as no keeper has looked nothing waits and nothing is refused: nobody would make room.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>

#include "backing.h"
#include "types.h"

namespace tidemark {

struct RoomNeed {
  enum class Kind {
    // Of bytes alone.
    kBytes,
    // Of an inode besides.
    kInode,
    // So little that it may have the floor: it removes something, or tells what has been done.
    kLittle,
  };
  // At most; 0: none.
  uint64_t bytes = 0;
  Kind kind = Kind::kBytes;
};

struct RoomState {
  // What may be taken before anything has to wait; negative: what is missing.
  int64_t availableBytes = 0;
  uint64_t totalBytes = 0;
  uint64_t reserveBytes = 0;
  uint64_t reserveWanted = 0;
  bool lacksInodes = false;
  bool isShort = false;
  bool isRefusing = false;
  uint64_t waiting = 0;
  uint64_t largestWaiting = 0;
  uint64_t refused = 0;
};

class Room {
 public:
  enum class Verdict { kGo, kWait, kRefuse };

  // `storeFd`: of the store, which outlives this. To be called by who has the store's lock. Gives the reserve up when the disk is almost full. 0 or an errno.
  int open(int storeFd);
  // How long segments of the log are to be: a small disk has small ones, which are given back sooner.
  uint64_t segmentBytes() const;

  bool isGuarded() const { return guarded_.load(std::memory_order_relaxed); }
  Verdict admit(const RoomNeed& need);
  // Counts what an admitted request will take later, on another thread.
  void hold(uint64_t bytes) { inFlight_.fetch_add(bytes, std::memory_order_relaxed); }
  void done(uint64_t bytes) { inFlight_.fetch_sub(bytes, std::memory_order_relaxed); }
  // The disk was full though the request had been admitted. true: it may wait.
  bool failed();
  void countRefused() { refused_.fetch_add(1, std::memory_order_relaxed); }
  void setWaiting(uint64_t count, uint64_t largest);

  // Gives up a part of the reserve. false: there is none left.
  bool giveSlice();
  void giveReserve();
  // Makes it whole again, as far as it goes. 0 or an errno.
  int makeReserve();

  // `unread`: bytes of the log that the index has not read. From now on requests may wait.
  RoomState state(uint64_t unread);
  // Requests that wait for up to so many bytes may try again; 0: nothing more can be given up.
  void answer(uint64_t mostBytes);
  // Called with the answer, one call at a time; an empty function: nobody waits any more.
  void onAnswer(std::function<void(uint64_t)> call);

 private:
  enum class Mode { kOpen, kShort, kRefusing };

  // Asks the file system, and sets the budget anew. What is left when all that is in flight has been taken.
  int64_t look();
  Verdict tooMuch();
  // Cuts the reserve to so many bytes. With mutex_.
  bool cutReserve(uint64_t bytes);

  int storeFd_ = -1;
  uint64_t totalBytes_ = 0;
  std::atomic<bool> guarded_{false};
  std::atomic<Mode> mode_{Mode::kOpen};
  // What may be admitted without looking. Stale by what others take meanwhile, which the floor is for.
  std::atomic<int64_t> budget_{0};
  std::atomic<uint64_t> inFlight_{0};
  std::atomic<uint64_t> freeBytes_{0};
  std::atomic<uint64_t> unread_{0};
  std::atomic<bool> lacksInodes_{false};
  std::atomic<uint64_t> waiting_{0};
  std::atomic<uint64_t> largestWaiting_{0};
  std::atomic<uint64_t> refused_{0};
  std::atomic<uint64_t> reserveBytes_{0};
  std::atomic<uint64_t> reserveWanted_{0};

  // Guards the reserve's file. Taken last of all.
  std::mutex mutex_;
  UniqueFd reserve_;

  // Guards onAnswer_, and is held while it runs.
  std::mutex answerMutex_;
  std::function<void(uint64_t)> onAnswer_;
};

}  // namespace tidemark
