// Capture: before a byte, name or attribute changes, what stood there goes into the log.
//
// Rule: no byte, name or attribute of the live tree changes unless its pre-image is in the log; no overwritten block may
// reach the disk before its pre-image has.
//
// A Change is one request's change: begin (constructor) → save… → commit → act → finish (destructor). Its caller holds the
// ChangeLock of every inode it saves, from before the constructor until it has acted; so the txids of an inode's changes
// are in the order in which they act.
//
// Invariants:
// 1. After commit() returned 0 every saved pre-image is in the log (though not yet synced); when it did not, nothing may act.
// 2. A thing is saved once in a transaction: attributes by Inode::attributesTxid, blocks by FileState::saved.
// 3. Inodes that no snapshot can show (unnamed, excluded) save nothing.
// 4. A block whose new bytes equal the old ones is not saved, and not marked.
#pragma once

#include "sample.h"
#include "volume.h"

namespace tidemark {

class Change {
 public:
  // `lock`: holds every inode that will be saved. Waits first for parked writes on them; a change that is itself a write
  // or of times may join those of its own transaction. All but writes and changes of times ask for a sync of the file itself, and retire its intents before its size or
  // holes change.
  enum class Kind { kOther, kTimes, kWrite };
  Change(Volume* volume, const Actor& actor, ChangeLock* lock, Kind kind = Kind::kOther);
  ~Change();
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;

  Txid txid() const { return batch_.txid(); }
  RecordBatch& batch() { return batch_; }

  // Attributes as they are, unless saved in this transaction. `st`: as just read, or null to read them. 0 or an errno.
  int saveAttributes(Inode* inode, const struct stat* st = nullptr);
  // A new inode: nothing stood there.
  void bornNow(Inode* inode);
  void saveName(Inode* directory, std::string_view name, NameOperation operation, NameTarget before, NameTarget after);
  // The change of a name was refused: the log must not go on telling that it happened.
  void takeBackName(Inode* directory, std::string_view name, NameTarget before);
  // The value of an extended attribute, or its absence. `path`: one that reaches the inode itself.
  int saveXattr(Inode* inode, const std::string& path, const char* name);
  // Where the inode is known to be, ancestors first, unless the log knows.
  void savePlace(Inode* inode);

  // Prepares a regular file for changes of its bytes: attributes, size at the barrier. `fd` must be readable.
  int prepareFile(Inode* inode, int fd);
  // Saves what [start, end) held. `bytes`: what will be written there (from `start`), or null.
  int saveRange(Inode* inode, int fd, uint64_t start, uint64_t end, const char* bytes);
  // What saveRange saves from now on, and what replaces it, is also shown to this one (null: no more).
  void showTo(Sample* sample) { sample_ = sample; }

  // Appends all that was saved. 0 or an errno (then the operation must fail with it).
  int commit();
  // For what tells of something that has happened already: where the disk is full it is owed (Log::appendSurely).
  int commitSurely();
  // The log's end behind this change's records (valid after commit).
  Lsn position() const { return position_; }
  // Waits, in strict mode, until the log is durable up to `target`.
  int awaitDurable(Lsn target);

  // The change acts later, on another thread: that one calls transactions->finish(txid()).
  Txid handOver();

 private:
  int saveRun(Inode* inode, int fd, uint64_t first, uint64_t last, uint64_t start, uint64_t end, const char* bytes);
  struct Extent {
    int sizeClass;
    uint64_t offset;
    uint64_t length;
  };
  int saveExtent(Inode* inode, int fd, const Extent& extent, uint64_t start, uint64_t end, const char* bytes);
  int saveDataRun(Inode* inode, int fd, uint64_t first, uint64_t last, uint64_t start, uint64_t end, const char* bytes);
  void saveHoles(Inode* inode, uint64_t first, uint64_t last);
  void touch(Inode* inode, bool data);
  // The batch did not reach the log: nothing of it counts as saved.
  void forgetSaved();

  int commitBy(int (Log::*append)(const RecordBatch&, Lsn*));
  static Txid begin(Volume* volume, const Actor& actor, ChangeLock* lock, Kind kind);

  Volume* const volume_;
  const Kind kind_;
  RecordBatch batch_;
  Lsn position_ = 0;
  bool handedOver_ = false;
  struct Touched {
    Inode* inode;
    bool data;
  };
  std::vector<Touched> touched_;
  std::vector<Inode*> placed_;
  Sample* sample_ = nullptr;
};

// true when this inode's changes are kept at all.
inline bool isCaptured(const Inode* inode) { return !inode->unnamed && !inode->excluded; }

}  // namespace tidemark
