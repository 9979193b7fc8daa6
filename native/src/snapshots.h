// Everything below ".snapshots": passes decisions to JavaScript, serves bytes and listings itself.
//
// A request that needs a decision becomes a SnapshotEvent; its answer comes through one of the reply functions. Reads are
// served from the plan that open was answered with, directories from the listing that opendir was answered with.
//
// Invariants:
// 1. Every event with an id is answered once; the kernel's request behind it then is, too.
// 2. A node is reported forgotten when the kernel has forgotten it and no listing that mentions it is open.
// 3. Nothing below a snapshot can be changed: whatever is not in run()'s list is EROFS.
// 4. The kernel asks for ".snapshots" at each walk. To have it drop what it remembers below, the next answer has another node number. (A notice to the kernel
//    would wait for the live directory's lock. Should the daemon be killed meanwhile, that thread could not die: it would keep the connection open,
//    and whoever holds the lock would wait for ever for an answer.)
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>

#include "handles.h"
#include "keeper_link.h"
#include "pieces.h"
#include "request.h"

namespace tidemark {

enum class SnapshotOperation { kRestore, kRoot, kLookup, kGetattr, kReadlink, kList, kOpen, kReplan, kGetxattr, kListxattr, kForget, kAccessChanged };

// A node that the kernel knows from the last daemon.
struct RestoredNode {
  uint64_t node, parent, snapshot, size;
  FileId file;
  bool isList;
  // Empty: it was too long to be kept.
  std::string name;
};

struct SnapshotEvent {
  SnapshotOperation operation;
  uint32_t id = 0;
  FileId directory;
  uint64_t node = 0;
  std::string name;
  uint32_t uid = 0, gid = 0, pid = 0;
  std::vector<uint64_t> nodes;
  std::vector<RestoredNode> restored;
};

// Delivers events to JavaScript, in order. Called on session threads.
class SnapshotSink {
 public:
  virtual ~SnapshotSink() = default;
  virtual void deliver(std::unique_ptr<SnapshotEvent> event) = 0;
};

struct SnapshotNode {
  uint64_t node = 0;
  uint64_t ino = 0;
  PackedAttributes attributes{};
  uint32_t timeoutMs = 0;
  // What it is: a file as of a snapshot; or, when isList, the ".snapshots" of a live directory. No file: nothing but its number is kept, so that no other gets it.
  uint64_t snapshot = 0;
  FileId file;
  bool isList = false;
};

// Where the bytes of a listed file lie, as of a log position (0: not known). No pieces: they were all still its own.
struct ListedPlan {
  FileId file;
  uint64_t size = 0;
  Lsn plannedAt = 0;
  std::shared_ptr<const std::vector<Piece>> pieces;
};

struct SnapshotEntry : SnapshotNode {
  std::string name;
  ListedPlan plan;
};

struct OpenSnapshotFile {
  uint64_t node = 0;
  // Guards file: replaced as a whole when the plan goes stale.
  std::mutex mutex;
  std::shared_ptr<const PlannedFile> file;
};

struct OpenSnapshotDirectory {
  uint64_t node = 0;
  // Guards the rest, which changes once: a directory that was open when the daemon died is listed again when it is next read.
  std::mutex mutex;
  bool isListed = true;
  std::vector<SnapshotEntry> entries;
};

class Snapshots {
 public:
  static constexpr uint64_t kNodeBit = 1ull << 63;
  static constexpr const char* kName = ".snapshots";

  Snapshots(Volume* volume, SnapshotSink* sink) : volume_(volume), sink_(sink) {}

  // What has to outlive this process (session_resume.cc). 0 or an errno.
  int makeTables();
  bool hasBrokenTables() const { return keptFiles_.isBroken() || keptDirectories_.isBroken() || keptNodes_.isBroken(); }
  int adoptTables(KeeperLink* keeper);
  void keepTables(KeeperLink* keeper);
  // Makes again what the last process had, and tells JavaScript.
  void restore();

  // Nodes that somebody has open now; the same one several times.
  std::vector<uint64_t> openNodes() const;

  static bool isSnapshotNode(uint64_t node) { return (node & kNodeBit) != 0; }
  bool anyKnown() const;

  // LOOKUP of ".snapshots" in a live directory.
  void lookupRoot(Request& request, Inode* directory);
  void run(Request& request);
  void forget(uint64_t node, uint64_t count);
  // Leaves only those nodes that are still forgotten. On the JavaScript thread, where answers could revive them.
  void keepForgotten(std::vector<uint64_t>* nodes) const;
  // The permissions of now have changed somewhere.
  void accessChanged();
  // The next LOOKUP of each ".snapshots" is JavaScript's to answer.
  void forgetRoots();

  // Answers, from the JavaScript thread.
  void replyError(uint32_t id, int error);
  void replyNode(uint32_t id, const SnapshotNode& node);
  void replyData(uint32_t id, const char* bytes, size_t length);
  void replyListing(uint32_t id, std::vector<SnapshotEntry> entries);
  void replyPlan(uint32_t id, Plan plan, const std::string* hint);

 private:
  struct Pending {
    ReplyTo to;
    uint32_t opcode = 0;
    uint64_t node = 0;
    uint32_t size = 0;                          // room the caller gave (getxattr, listxattr), or bytes to read
    uint64_t offset = 0;                        // of the read that met a stale plan
    int whence = 0;                             // of a seek that met no plan
    std::shared_ptr<OpenSnapshotFile> file;     // replan
    std::shared_ptr<OpenSnapshotDirectory> directory;  // listed again, for a read of it
    std::string name;                           // lookup
    uint64_t liveDirectory = 0;                 // root: the directory's node number
  };

  void ask(const Request& request, SnapshotOperation operation, Pending pending, const char* name = "", FileId directory = {});
  // Numbers the question and hands it on.
  void deliver(std::unique_ptr<SnapshotEvent> event, Pending pending);
  bool take(uint32_t id, Pending* pending);
  void open(Request& request);
  // Opens for root what was planned when it was listed. false: JavaScript has to be asked.
  bool openListed(const Request& request);
  void answerOpen(ReplyTo to, uint64_t node, std::shared_ptr<const PlannedFile> planned);
  void read(Request& request);
  void seek(Request& request);
  void readDirectory(Request& request, bool plus);
  void releaseDirectory(Request& request);
  void finishRead(const std::shared_ptr<OpenSnapshotFile>& file, uint64_t offset, uint32_t size, ReplyTo to, uint64_t node);
  // Asks for a plan; `pending`: what is to be done with it.
  void replan(const std::shared_ptr<OpenSnapshotFile>& file, Pending pending);
  void relist(const Request& request, const std::shared_ptr<OpenSnapshotDirectory>& directory);
  void answerEntries(OpenSnapshotDirectory* directory, uint64_t offset, uint32_t size, bool plus, ReplyTo to);
  // Nodes of the directory's entries are listed once more.
  void countListings(const OpenSnapshotDirectory& directory);
  void countLookup(const SnapshotNode& node, uint64_t parent, const std::string& name);
  void reportForgotten(std::vector<uint64_t> nodes);
  void fill(const SnapshotNode& node, fuse_entry_out* entry) const;
  // Answers from roots_. false: JavaScript has to be asked.
  bool answerRoot(ReplyTo to, uint64_t liveDirectory);

  Volume* const volume_;
  SnapshotSink* const sink_;
  KeptTable<KeptHandle> keptFiles_, keptDirectories_;
  HandleTable<OpenSnapshotFile> files_;
  HandleTable<OpenSnapshotDirectory> directories_;

  // Guards everything below.
  mutable std::mutex mutex_;
  uint32_t nextId_ = 1;
  std::unordered_map<uint32_t, Pending> pending_;
  struct Known {
    uint64_t lookups = 0;
    uint32_t listings = 0;
    bool privileged = false;  // setuid or setgid program
    uint64_t rootOf = 0;      // of a ".snapshots": its directory's key in roots_
    size_t slot = 0;          // in keptNodes_; 0: none yet
    ListedPlan plan;
  };
  // With mutex_ held.
  void keepNode(Known* known, const SnapshotNode& node, uint64_t parent, const std::string& name);
  void keepLookups(const Known& known);
  void freeNode(const Known& known);

  KeptTable<KeptSnapshotNode> keptNodes_;
  std::vector<size_t> freeSlots_;
  size_t nextSlot_ = 1;

  std::unordered_map<uint64_t, Known> known_;
  // What was answered of ".snapshots" lately, by the directory's node number; only nodes that are in known_.
  struct Root {
    SnapshotNode node;
    uint64_t untilNs;
  };
  std::unordered_map<uint64_t, Root> roots_;
};

}  // namespace tidemark
