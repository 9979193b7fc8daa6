// An opened volume: the backing directory, its log, its transactions, the inodes known. What a session and the addon work on.
//
// Lock order, over all files: change locks (Inodes) → session maps → transactions → log append → log segments;
// the mass watch (after change locks) → inode table → descriptors; the log's sync mutex and the one of its run tables are held together with none of them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "inodes.h"
#include "intents.h"
#include "log.h"
#include "peer_gate.h"
#include "room.h"
#include "transactions.h"

namespace tidemark {

struct VolumeOptions {
  std::string directory;
  bool strict = true;
  bool exact = false;
  bool follows = false;
  std::vector<std::string> exclude;
  // A session goes on with a mount that another process has left.
  bool resumes = false;
};

class Volume {
 public:
  ~Volume();

  // Opens or makes the store, takes its lock, recovers the log. 0; an errno; EWOULDBLOCK: another process has it; EILSEQ: a store this version cannot read.
  int open(const VolumeOptions& options, const uint8_t (&id)[16]);
  // Ends what is open, writes the clean mark, syncs, gives the lock back. 0 or an errno.
  int close();

  Backing backing;
  // Outlives the log, which asks it for room.
  Room room;
  // Syncs of sessions wait here, where a pair is in sync mode.
  PeerGate peerGate;
  Log log;
  std::unique_ptr<Transactions> transactions;
  std::unique_ptr<Inodes> inodes;
  std::unique_ptr<Intents> intents;
  LogRecovery recovery;
  // What destroys bytes, moves names or changes permissions waits until the log is durable; every change does (then strict is set, too).
  bool strict = true;
  bool exact = false;
  bool resumes = false;
  // Requests that mounts have read: how busy they are.
  std::atomic<uint64_t> requestCount{0};

  // From hold to release requests that would change the live tree wait; those that only look do not.
  void holdChanges();
  void releaseChanges();
  bool holdsChanges() const { return holdsChanges_.load(std::memory_order_acquire); }
  void awaitChanges();

  // true when a name in a directory gets no history.
  bool isExcluded(Inode* directory, std::string_view name);

  // Opens an inode by id wherever it is; `hint`: its path from the root as its history knows it, or null. A descriptor or -errno.
  int openInode(FileId id, const std::string* hint, int flags);

  // The process of a thread, its command name and session, as /proc has them; remembered for a moment.
  void fillCommand(Actor* actor);

 private:
  int takeLock();
  // Finishes changes of names that a crash cut between their record and their act.
  int rollForward();
  // Has the log tell of inodes that left the tree when the power took its record of that.
  int recoverDepartures();
  // What the name that was lost leads to now: it may have been made again. Type 0: nothing.
  NameTarget targetOf(const Departure& departure) const;
  // The log goes on to tell what the tree shows, when a change that it told cannot be finished.
  int takeBackUnlessDone(const UnfinishedName& change);

  std::vector<std::string> exclude_;
  UniqueFd lockFd_;
  bool open_ = false;

  // Guards the moment at which holdsChanges_ becomes false.
  std::mutex holdMutex_;
  std::condition_variable released_;
  std::atomic<bool> holdsChanges_{false};

  struct Remembered {
    uint32_t pid = 0;
    uint32_t session = 0;
    uint32_t process = 0;
    int64_t atNs = 0;
    char command[16] = {};
  };
  // Guards commands_, a direct-mapped memory of recent processes.
  std::mutex commandsMutex_;
  Remembered commands_[64];
};

}  // namespace tidemark
