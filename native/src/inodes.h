// The inodes the kernel knows, and whatever else of ours holds on to: node numbers, names, descriptors, capture state.
//
// Invariants:
// 1. One Inode per file id. It lives while the kernel's lookup count or our own references are above zero; a child
//    holds a reference on the directory it was last seen in.
// 2. A node number given to the kernel stays valid until the kernel has forgotten it as often as it was told of it.
// 3. At most `descriptorLimit` O_PATH descriptors are kept; a descriptor with a lease on it is never closed. Pinned ones
//    (the root, files without a name) never are.
// 4. Whoever changes an inode holds its change lock from before the transaction's begin() until the change has acted,
//    or has counted itself in pendingActs. Several inodes: one ChangeLock names them all (locks are taken in one order).
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "backing.h"
#include "block_set.h"
#include "file_times.h"
#include "kept_table.h"
#include "mass_watch.h"

namespace tidemark {

class KeeperLink;
class Log;

// What an open or changing regular file needs beyond its Inode. Guarded by the inode's change lock.
struct FileState {
  // Capture: valid for transaction `txid` only.
  Txid txid = 0;
  uint64_t sizeAtBarrier = 0;
  bool sparse = false;
  // Blocks (4 KiB) whose pre-image is in the log.
  BlockSet saved;
  // Whoever overwrites a saved block waits until the log is durable up to here.
  Lsn savedLsn = 0;

  FileTimes times;

  // Writes that are in the log but have not acted yet, all of transaction pendingTxid.
  uint32_t pendingActs = 0;
  Txid pendingTxid = 0;
  // Why a write failed that was answered before it acted: what every sync says from then on.
  int actError = 0;

  // The intent log (intents.h). Only where nothing happened since the last sync of the file itself but writes whose bytes are in the log, a sync may be
  // answered from there; `needsFullSync`: an fsync(2), which takes mode, times (unless the log tells them) and all else along, may not.
  bool needsSync = true;
  bool needsFullSync = true;
  uint64_t bytesSinceSync = 0;
  // Syncs of little, one after the other: the next writes are expected to be synced at once, too.
  uint32_t smallSyncs = 0;
  // Behind the newest intent.
  Lsn intentLsn = 0;

  // Allocated blocks (of 512 bytes) as the kernel was last told, from when this state began to be kept.
  bool blocksKnown = false;
  int64_t blocksTold = 0;
  // The session's timer will tell.
  bool blocksOwed = false;

  // For the mass watch: the transaction in which an overwrite was last looked at; and whether it has yet to be seen what the file gets instead of what it had.
  Txid watchedTxid = 0;
  Emptied emptied;

  // Open ones.
  uint32_t handles = 0;
  uint32_t writableHandles = 0;
  // Who opened the first of the writable ones, and what END has to tell when the others are not all his.
  Actor writer;
  uint8_t severalWriters = 0;
};

struct Inode {
  Inode(FileId id, uint32_t type) : id(id), type(type) {}

  const FileId id;
  const uint32_t type;  // mode & S_IFMT

  // Guarded by the table's mutex.
  uint64_t lookups = 0;
  uint32_t references = 0;
  uint32_t slot = 0;
  uint32_t slotGeneration = 0;
  bool inLimbo = false;
  Inode* nextInBucket = nullptr;
  Inode* parent = nullptr;
  std::unique_ptr<char[]> name;  // ends with 0; there may be millions, hence no std::string

  // Guarded by the table's descriptor mutex.
  int fd = -1;
  bool pinned = false;
  bool recentlyUsed = false;
  uint32_t ringIndex = 0;
  std::atomic<int32_t> leases{0};

  // Guarded by the change lock.
  Txid attributesTxid = 0;             // transaction in which the attributes were last saved
  Txid detachedTxid = 0;               // transaction that took it out of the tree
  Lsn bornAt = 0;                      // log position behind the record that made its name, in this mount; 0 = before
  std::unique_ptr<FileState> file;

  std::atomic<Lsn> lastUndo{0};        // behind the newest undo record of any kind
  std::atomic<Lsn> lastDataUndo{0};    // behind the newest EXTENT or HOLE
  std::atomic<uint32_t> givenActs{0};  // writes that were answered, but have yet to act (they are in pendingActs, too)
  std::atomic<bool> placeKnown{false}; // the log says where it is
  std::atomic<bool> detached{false};   // left the tree, lies in objects/
  std::atomic<bool> unnamed{false};    // O_TMPFILE, never linked: in no snapshot
  std::atomic<bool> excluded{false};   // gets no history
  std::atomic<uint32_t> staleChildren{0};  // of a directory: files closed since it was last listed with attributes
  std::atomic<bool> noXattrs{false};   // is known to have none: the kernel asks at every first write and chown
};

// An O_PATH (or pinned) descriptor that stays open for the lease's life.
class FdLease {
 public:
  FdLease() = default;
  FdLease(int fd, std::atomic<int32_t>* leases) : fd_(fd), leases_(leases) {}
  FdLease(FdLease&& other) noexcept : fd_(other.fd_), leases_(other.leases_) { other.leases_ = nullptr; }
  FdLease& operator=(FdLease&&) = delete;
  ~FdLease() {
    if (leases_ != nullptr) leases_->fetch_sub(1, std::memory_order_release);
  }

  // A descriptor, or -errno.
  int fd() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int error() const { return fd_ < 0 ? -fd_ : 0; }
  std::string path() const { return Backing::procPath(fd_); }

 private:
  int fd_ = -1;
  std::atomic<int32_t>* leases_ = nullptr;
};

class Inodes;

// Keeps an Inode in the table.
class InodeRef {
 public:
  InodeRef() = default;
  InodeRef(Inodes* table, Inode* inode) : table_(table), inode_(inode) {}
  InodeRef(InodeRef&& other) noexcept : table_(other.table_), inode_(other.inode_) { other.inode_ = nullptr; }
  InodeRef& operator=(InodeRef&& other) noexcept;
  ~InodeRef() { reset(); }
  void reset();
  Inode* get() const { return inode_; }
  Inode* operator->() const { return inode_; }
  explicit operator bool() const { return inode_ != nullptr; }

 private:
  Inodes* table_ = nullptr;
  Inode* inode_ = nullptr;
};

// Excludes other changes of up to four inodes (null ones are ignored).
class ChangeLock {
 public:
  ChangeLock(Inodes* table, Inode* a, Inode* b = nullptr, Inode* c = nullptr, Inode* d = nullptr);
  ~ChangeLock();
  ChangeLock(const ChangeLock&) = delete;
  ChangeLock& operator=(const ChangeLock&) = delete;

  // true when no write of another transaction than `txid` is still to act on any of the inodes (kNoTxid: none at all).
  bool isQuiet(Txid txid) const;
  // Waits until isQuiet(kNoTxid). All locks are open meanwhile: parked writes need them to act.
  void awaitQuiet();
  // Files of which something changes that is not in the log as an intent: the next sync has to reach the files themselves.
  void needSync();
  // Tells those who wait that a parked write has acted.
  void acted(Inode* inode);
  static constexpr Txid kNoTxid = 0;

 private:
  void lockAll();
  void unlockAll();

  Inodes* const table_;
  unsigned inodeCount_ = 0;
  Inode* inodes_[4];
  unsigned stripeCount_ = 0;
  unsigned stripes_[4];
};

class Inodes {
 public:
  Inodes(const Backing* backing, size_t descriptorLimit);
  ~Inodes();

  static constexpr uint64_t kRootNode = 1;

  Inode* root() const { return root_; }
  // The inode behind a node number; null for numbers never given out (or forgotten).
  Inode* byNode(uint64_t node) const;
  static uint64_t nodeOf(const Inode* inode) { return inode->slot; }

  // Finds or makes the inode and adds one to the kernel's lookup count.
  Inode* remember(FileId id, uint32_t type, Inode* parent, std::string_view name);
  // Takes `count` from the kernel's lookup count.
  void forget(uint64_t node, uint64_t count);
  // Finds or makes the inode and holds it.
  InodeRef hold(FileId id, uint32_t type);
  InodeRef hold(Inode* inode);
  InodeRef find(FileId id);
  // The inode is now known by this name.
  void moved(Inode* inode, Inode* parent, std::string_view name);
  // Its last known name and directory; false for the root or when unknown.
  bool place(Inode* inode, InodeRef* parent, std::string* name);
  // A file was closed: the kernel no longer knows its number of blocks, which whoever lists its directory may want.
  void closed(Inode* inode);
  // Path from the root as last known; false when unknown.
  bool pathOf(Inode* inode, std::string* path);

  // An O_PATH descriptor of the inode.
  FdLease lease(Inode* inode);
  // Keeps `fd` (an O_PATH descriptor, owned from here on) for the inode's whole life.
  void pin(Inode* inode, int fd);

  // The kernel's numbers outlive this process: they are kept in the table; and descriptors of files that have no name by the keeper. Before any is given.
  void keepIn(KeptTable<KeptInode>* kept, KeeperLink* keeper);
  // Makes again what another process has left there.
  void restore();
  // What happened to an inode as a whole is kept, too: to be called after a change of its flags.
  void keepFlags(Inode* inode);
  // Writes of the inode that are answered before they act stand in the log from here on. 0: all have acted.
  void keepGiven(Inode* inode, Lsn from);
  Lsn keptGiven(const Inode* inode);
  // Gives restored inodes the names that they have now in a directory.
  void findNames(Inode* directory);

  // Called by whoever is about to wait for parked writes, on its thread, with no lock.
  void beforeWaiting(std::function<void()> call) { beforeWaiting_ = std::move(call); }

  size_t count() const;

 private:
  friend class ChangeLock;
  friend class InodeRef;

  static constexpr size_t kStripes = 512;
  struct Stripe {
    std::mutex mutex;
    std::condition_variable acted;
  };

  Inode* findLocked(FileId id) const;
  Inode* insertLocked(FileId id, uint32_t type);
  void setPlaceLocked(Inode* inode, Inode* parent, std::string_view name);
  KeptInode* keptLocked(const Inode* inode) { return kept_ == nullptr ? nullptr : kept_->at(inode->slot); }
  void keepLocked(Inode* inode);
  void keepFlagsLocked(Inode* inode);
  void keepParentLocked(Inode* inode);
  Inode* restoreLocked(uint32_t slot, const KeptInode& kept);
  // Those above the inode, and itself, get their names if they were restored. Without locks.
  void findNamesAbove(Inode* inode);
  // Removes the inode (and then its directory, if nothing else holds it) when nobody needs it any more.
  void dropLocked(Inode* inode);
  // Tries again to remove those that were still leased.
  void sweepLimboLocked();
  void release(Inode* inode);
  void grow();
  int openAgain(Inode* inode);
  void evictLocked();
  void leaveRingLocked(Inode* inode);
  unsigned stripeOf(const Inode* inode) const { return static_cast<unsigned>(inode->id.hash() % kStripes); }

  const Backing* const backing_;
  const size_t descriptorLimit_;
  Inode* root_ = nullptr;
  // Set while no requests run.
  std::function<void()> beforeWaiting_;
  std::unique_ptr<Stripe[]> stripes_;  // change locks; taken before every other lock

  // Guards the table, slots and names. Taken after change locks, before the descriptor mutex.
  mutable std::mutex mutex_;
  std::vector<Inode*> buckets_;
  std::vector<Inode*> slots_;
  std::vector<uint32_t> freeSlots_;
  uint32_t nextSlotGeneration_ = 1;
  // The newest data undo of any inode that was dropped: one that comes (back) into the table cannot be taken for unchanged since before.
  Lsn droppedDataUndo_ = 0;
  size_t count_ = 0;
  // Forgotten by the kernel while an answer about them was still on its way out of a lease.
  std::vector<Inode*> limbo_;
  KeptTable<KeptInode>* kept_ = nullptr;
  KeeperLink* keeper_ = nullptr;
  // Restored without their names, by inode number.
  std::unordered_map<uint64_t, Inode*> nameless_;

  // Guards Inode::fd and the ring of inodes that have one. Innermost.
  std::mutex descriptorMutex_;
  std::vector<Inode*> ring_;
  size_t hand_ = 0;
};

}  // namespace tidemark
