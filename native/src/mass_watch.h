// Notices when somebody rewrites, removes or renames many files at once, as ransomware does, and a slip of the hand.
//
// In: each file that loses what it was, as the operations of a session see it. Out: one MassChange for each attacker, at the moment at which his changes become too many.
//
// Who: changes count together that come from one user in one session (getsid(2)): that is one program, and a shell with all that it starts.
// What: files whose bytes were overwritten by what looks like noise; files that lost their last name or all their bytes; files that got another name. A file that
// was overwritten weighs 3, another one 2, and `limit` * 3 in kWindowNs are too many.
// Which: a file counts only if it was made before the first change in the window, so whoever makes temporary files and removes them all the time counts one in ten
// seconds. (A fixed age would be wrong in both directions: what was restored a minute ago is as dear as the rest.)
// A name that is made again soon after it was removed is no removal: what is written there decides (git, tar and many editors replace files that way).
//
// Callers may hold change locks. The mutex is taken after these, and before the inode table's.
//
// Invariants:
// 1. A group is told of once until it has been quiet for kQuietNs, however long it goes on.
// 2. Nothing waits for JavaScript longer than kLongestBrakeNs, nor on more than kMostBraked threads.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "types.h"

namespace tidemark {

enum class MassKind : uint8_t { kOverwritten, kRemoved, kRenamed };
constexpr unsigned kMassKinds = 3;

// A file that lost what it was.
struct LostFile {
  MassKind kind;
  FileId file;
  Txid txid = 0;
  // When it was made, as the backing file system knows (wall clock); of one that replaces another: when that one was.
  int64_t bornNs = 0;
  // Of a removed one: its name, by nameOf, and whether it held bytes.
  uint64_t name = 0;
  bool hadBytes = false;
};

// A file that has been emptied, or made again; what is written next decides.
struct Emptied {
  int64_t bornNs = 0;  // 0: it was not
  Txid txid = 0;
};

// What is told of a group.
struct MassChange {
  uint32_t uid = 0;
  uint32_t session = 0;
  // Who made the change that was one too many.
  Actor last;
  uint32_t counts[kMassKinds] = {};
  // The transaction before the oldest change is the last one with all files as they were.
  Txid firstTxid = 0;
  int64_t firstNs = 0;
  int64_t lastNs = 0;
  // Threads or processes that made the changes, latest first.
  std::vector<uint32_t> pids;
  // Paths from the root, as they were.
  std::vector<std::string> examples;
};

class MassWatch {
 public:
  static constexpr int64_t kWindowNs = 10ll * 1000000000;
  static constexpr int64_t kQuietNs = 60ll * 1000000000;
  static constexpr uint64_t kLongestBrakeNs = 500ull * 1000000;
  static constexpr unsigned kMostBraked = 8;

  // `tell` is called on the thread of the change, with the mutex held: it must only hand on.
  explicit MassWatch(std::function<void(MassChange)> tell) : tell_(std::move(tell)) {}

  // How many overwritten files are too many; 0: nothing is watched.
  void limit(uint32_t files) { limit_ = files; }
  bool enabled() const { return limit_.load(std::memory_order_relaxed) != 0; }

  // `path`: gives the file's path; called now, or not at all.
  void note(const Actor& actor, const LostFile& lost, int64_t nowNs, const std::function<std::string()>& path);
  static uint64_t nameOf(FileId directory, std::string_view name);
  // A file is made where one may have been removed: that is no removal then.
  Emptied takeBack(uint64_t name, int64_t nowNs);
  // Whether takeBack may find something: a glance without a lock.
  bool hasRemovals() const { return removals_.load(std::memory_order_relaxed) != 0; }

  // A group was told of and JavaScript has not seen to it: the group's changes wait a moment, so that its damage does not depend on how busy JavaScript is.
  bool isBraking() const { return braking_.load(std::memory_order_relaxed) != 0; }
  void awaitSeen(const Actor& actor);
  void seen(uint32_t uid, uint32_t session);

  // The group is allowed to go on; it is told of again when it has been quiet.
  void allow(uint32_t uid, uint32_t session, int64_t nowNs);
  // How many files the group has changed since it was told of; 0 when it is not known.
  uint32_t countOf(uint32_t uid, uint32_t session) const;

 private:
  struct Entry {
    LostFile lost;
    int64_t atNs;
    uint32_t pid;
    std::string path;
  };
  struct Group {
    uint64_t key = 0;
    std::list<Entry> window;  // oldest first
    std::unordered_map<FileId, std::list<Entry>::iterator, FileIdHash> files;
    // Of the window; from the moment at which it was told, of all since.
    uint32_t counts[kMassKinds] = {};
    uint32_t weight = 0;  // of the window
    bool isTold = false;
    int64_t lastNs = 0;
    bool isSeen = true;
    uint64_t toldAtNs = 0;  // monotonic
  };
  using Groups = std::unordered_map<uint64_t, Group>;

  static uint64_t keyOf(uint32_t uid, uint32_t session) { return uint64_t{uid} << 32 | session; }
  static uint32_t weightOf(MassKind kind) { return kind == MassKind::kOverwritten ? 3 : 2; }

  // All with mutex_ held.
  Group* groupOf(uint64_t key, int64_t nowNs);
  void add(Group* group, Entry entry);
  // Takes an entry out of the window; it stays in the counts.
  void leave(Group* group, std::list<Entry>::iterator entry);
  // It was no loss, or a greater one.
  void takeOut(Group* group, std::list<Entry>::iterator entry);
  void expire(Group* group, int64_t nowNs);
  void forgetQuiet(int64_t nowNs);
  MassChange describe(const Group& group, const Actor& actor) const;
  void release(Group* group);

  const std::function<void(MassChange)> tell_;
  std::atomic<uint32_t> limit_{0};
  std::atomic<uint32_t> removals_{0};
  std::atomic<uint32_t> braking_{0};

  // Guards the rest.
  mutable std::mutex mutex_;
  std::condition_variable seen_;
  unsigned braked_ = 0;
  Groups groups_;
  struct Removal {
    uint64_t group;
    FileId file;
  };
  // Names removed within the windows.
  std::unordered_map<uint64_t, Removal> names_;
};

}  // namespace tidemark
