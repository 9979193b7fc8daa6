// An opened volume: the backing directory, its log, its transactions, the inodes known. What a session and the addon work on.
//
// Lock order, over all files: change locks (Inodes) → session maps → transactions → log append → log segments;
// inode table → descriptors; the log's sync mutex and the one of its run tables are held together with none of them.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "inodes.h"
#include "intents.h"
#include "log.h"
#include "transactions.h"

namespace tidemark {

struct VolumeOptions {
  std::string directory;
  bool strict = true;
  std::vector<std::string> exclude;
};

class Volume {
 public:
  ~Volume();

  // Opens or makes the store, takes its lock, recovers the log. 0; an errno; EWOULDBLOCK: another process has it; EILSEQ: a store this version cannot read.
  int open(const VolumeOptions& options, const uint8_t (&id)[16]);
  // Ends what is open, writes the clean mark, syncs, gives the lock back. 0 or an errno.
  int close();

  Backing backing;
  Log log;
  std::unique_ptr<Transactions> transactions;
  std::unique_ptr<Inodes> inodes;
  std::unique_ptr<Intents> intents;
  LogRecovery recovery;
  bool strict = true;
  // Requests that mounts have read: how busy they are.
  std::atomic<uint64_t> requestCount{0};

  // true when a name in a directory gets no history.
  bool isExcluded(Inode* directory, std::string_view name);

  // Opens an inode by id wherever it is; `hint`: its path from the root as its history knows it, or null. A descriptor or -errno.
  int openInode(FileId id, const std::string* hint, int flags);

  // The command name of a process, as /proc has it; remembered for a moment.
  void fillCommand(Actor* actor);

 private:
  int takeLock();
  // Finishes changes of names that a crash cut between their record and their act.
  int rollForward();
  // The log goes on to tell what the tree shows, when a change that it told cannot be finished.
  int takeBackUnlessDone(const UnfinishedName& change);

  std::vector<std::string> exclude_;
  UniqueFd lockFd_;
  bool open_ = false;

  struct Remembered {
    uint32_t pid = 0;
    int64_t atNs = 0;
    char command[16] = {};
  };
  // Guards commands_, a direct-mapped memory of recent processes.
  std::mutex commandsMutex_;
  Remembered commands_[64];
};

}  // namespace tidemark
