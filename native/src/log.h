// The extent log: append-only segments below .tidemark/log, the truth of all history (docs/FORMAT.md).
//
// In: batches of records from capture, names, transactions. Out: log positions, durability, payload bytes.
//
// Invariants:
// 1. A batch is in the page cache (written, though not synced) when append() returns: a killed process loses none of it.
// 2. end() only ever covers whole records; a failed append leaves no byte behind end().
// 3. durable() ≤ end(); everything below durable() was synced, in every segment it lies in.
// 4. Once a sync has failed no later one may claim success: the error is kept and every wait returns it.
// 5. A callback given to whenDurable runs exactly once, never under a lock of the log, nor on a thread that waits in
//    waitDurable (which may hold the very lock that the callback needs).
// 6. Every closed segment from recoveryStart_ on is as it was written; only those before may have been packed.
#pragma once

#include <condition_variable>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "packed.h"
#include "record.h"

namespace tidemark {

struct Segment {
  int fd = -1;
  uint64_t number = 0;
  Lsn base = 0;
  // Of a packed segment: the positions that it stands for. 0: it is none.
  uint64_t packedBytes = 0;
  // Bytes whose pages were dropped from the page cache. Of the thread that syncs.
  uint64_t dropped = 0;
  ~Segment();
};

// A change of a name that a transaction without END has in the log.
struct UnfinishedName {
  Txid txid;
  FileId directory;
  std::string name;
  NameOperation operation;
  NameTarget before, after;
};

// New bytes, or a new mtime, of a file that may not have reached it.
struct LoggedIntent {
  Lsn position;
  FileId file;
  IntentKind kind;
  uint64_t offset;
  uint64_t size;
};

struct LogRecovery {
  bool clean = true;
  uint64_t tornBytes = 0;
  uint64_t recoveredCount = 0;
  std::vector<Lsn> damagedAt;
  int64_t lastTimeNs = 0;
  Txid lastEnded = 0;
  // Transactions seen in undo records without an END.
  Txid lastSeen = 0;
  // Changes of names in transactions that may lack their END (those above lastEnded do), in log order.
  std::vector<UnfinishedName> names;
  // Inodes of which the log tells that they lost a name.
  std::vector<FileId> unlinked;
  // The log says what was synced.
  bool tellsDurable = false;
  // The greatest length that the newest segment's file has to keep.
  uint64_t lengthNeeded = 0;
  // Inodes that changes of names which had not ended took out of the tree, perhaps.
  std::vector<FileId> removed;
  // Intents that no RETIRED note covers, in log order.
  std::vector<LoggedIntent> intents;
};

class Log {
 public:
  // A segment that has reached this is closed, at the latest.
  static constexpr uint64_t kSegmentBytes = 64ull << 20;
  // So much of the newest segment stays in the page cache, more or less, once it is on the disk.
  static constexpr uint64_t kCachedBytes = 4ull << 20;
  static constexpr uint64_t kDropBytes = 1ull << 20;
  // After so many syncs of less than kSmallStep each, zeros are written ahead: kZeroBytes at a time, again when less than kZerosLeft are left.
  static constexpr unsigned kSmallSyncs = 8;
  static constexpr uint64_t kSmallStep = 64ull << 10;
  static constexpr uint64_t kZeroBytes = 1ull << 20;
  static constexpr uint64_t kZerosLeft = 128ull << 10;

  ~Log();

  // Opens all segments below the directory, scans the tail, cuts a torn end, and stands ready to append. 0 or an errno (EILSEQ: not our log or a newer format).
  int open(int directoryFd, const uint8_t (&volumeId)[16], LogRecovery* found);

  // Before open(): how long segments are to be, at most kSegmentBytes; and who is asked for room when the disk is full (with a lock of the log; true: there is some now).
  void setLimits(uint64_t segmentBytes, std::function<bool()> more);

  // Appends the whole batch. Returns 0 and sets `*position` to the log's end behind it, or an errno.
  int append(const RecordBatch& batch, Lsn* position);

  // The same for what tells of something that has happened already: while the disk is full it is kept here, and stands before whatever is appended next. Then `*position`
  // is left alone. (A crash before that is a crash between a record and the next, which recovery knows.)
  int appendSurely(const RecordBatch& batch, Lsn* position);

  // Whether large extents may share blocks with the file they come from (reflink); found out by trying.
  bool clones() const { return clones_.load(std::memory_order_relaxed); }
  // Appends a batch of one extent whose bytes also stand at `offset` of `source`: its body shares the blocks there instead of
  // being written. As append(); EOPNOTSUPP: the file system cannot, and nothing was appended.
  int appendCloned(const RecordBatch& extent, int source, uint64_t offset, Lsn* position);

  Lsn end() const { return end_.load(std::memory_order_acquire); }
  Lsn durable() const { return durable_.load(std::memory_order_acquire); }
  // Records appended since open().
  uint64_t recordCount() const { return recordCount_.load(std::memory_order_relaxed); }

  // Intents from here on may be needed by recovery (0: none); each new segment tells so, or where the oldest transaction without END begins, if that is before.
  void setFloor(Lsn floor) { floor_.store(floor); }
  // Transactions that have no END yet have their records from here on (0: there are none).
  void setOpenFrom(Lsn from) { openFrom_.store(from); }
  void lowerFloor(Lsn floor) {
    if (floor_.load() == 0) floor_.store(floor);
  }

  // Blocks until everything below `target` is on the disk. 0 or the error of the sync that failed.
  int waitDurable(Lsn target);

  // Begins to sync up to `target` on another thread, unless that is under way; waitDurable then finds it done, or helps.
  void beginSync(Lsn target);

  // Runs `done(0 or errno)` when everything below `target` is on the disk: at once, or later on another thread. Callbacks run
  // one at a time, in the order of their targets (of equal targets: of the calls). The caller holds no lock.
  void whenDurable(Lsn target, std::function<void(int)> done);

  // The same, but never on this thread.
  void soonDurable(Lsn target, std::function<void(int)> done);

  // Nothing more will be appended. 0 or an errno.
  int finish();

  // Reads payload bytes; short only at the log's end, and where a packed segment left something out. Bytes read, or -errno (ENOENT: what stood there
  // was left out; EIO: nobody can tell).
  ssize_t read(Lsn position, void* bytes, size_t length) const;

  // Segments that end at or below this position may be packed: recovery will not read them.
  Lsn packableBelow() const { return recoveryStart_.load(std::memory_order_acquire); }
  // The file of this segment has been replaced: from now on it is read. Who is reading goes on in the old one. 0 or an errno; EBUSY: not packable;
  // EINVAL: there is no such segment, or what replaced it stands for other positions; EILSEQ: it is none of ours, or damaged. Then the old one is kept.
  int replaceSegment(uint64_t number);

 private:

  int openSegments();
  // 0 or an errno; ENODATA: the file has no sound header.
  int openSegment(uint64_t number, std::shared_ptr<Segment>* opened) const;
  int recoverTail(LogRecovery* found);
  // Reads a whole segment; `*good`: where the last sound record ends, `*bytes`: the file's length. In the newest, what stands behind a gap that was not
  // synced does not count.
  int scan(const Segment& segment, LogRecovery* found, uint64_t* good, uint64_t* bytes) const;
  int scanPacked(const std::shared_ptr<Segment>& segment, LogRecovery* found) const;
  static void noteHeader(const SegmentHeader& header, LogRecovery* found);
  static void noteRecord(const char* record, Lsn position, LogRecovery* found);
  static void noteIntent(const RecordHeader& header, Lsn position, LogRecovery* found);
  // The base of the first segment that recovery has to read when the newest tells this floor (0: none).
  Lsn recoveryStart(Lsn floor) const;
  // The floor that the newest segment tells, or 0.
  Lsn toldFloor() const;
  static void noteName(const RecordHeader& header, const char* body, LogRecovery* found);
  int createSegment();
  int rollIfFull();
  int syncOnce();
  // A log that many small syncs follow writes over zeros: the file then does not grow with each, which its file system's journal would have to
  // tell. Of the thread that syncs, with appendMutex_.
  void zeroAhead();
  // The newest segment gets no more records: all of it is synced, and it ends where they do. With appendMutex_. 0 or an errno.
  int endSegment();
  // Takes off what the newest segment's file has behind its records. With appendMutex_. 0 or an errno.
  int trimZeros();
  // What has to be said before `batch`. With appendMutex_. 0 or an errno.
  int preface(const RecordBatch& batch, RecordBatch* notes);
  // With appendMutex_, as all below.
  int appendDue();
  int appendWithRoom(const RecordBatch& batch, Lsn* position);
  int appendOnce(const RecordBatch& batch, Lsn* position);
  int writeBoth(const RecordBatch& first, const RecordBatch& second, uint64_t offset);
  // What was written of a batch that failed must not be taken for records. With appendMutex_. Returns `error`, or EIO when even that fails.
  int takeBack(uint64_t offset, size_t length, int error);
  // Behind the end of the newest segment its file has more, zeros and holes. With appendMutex_.
  bool isAhead() const { return fileLength_ > end_.load(std::memory_order_relaxed) - current_->base; }
  // Pages of the log that are on the disk make room for the application's, and the next records find them warm.
  static void dropCached(Segment& segment, Lsn target);
  // The calling thread syncs once, if nobody else does. Enters and leaves with `lock` held.
  void syncLocked(std::unique_lock<std::mutex>& lock);
  // Runs parked callbacks, syncing for them, until none is left; for one thread at a time.
  void drainParked(std::unique_lock<std::mutex>& lock);
  void completerLoop();
  std::shared_ptr<Segment> segmentAt(Lsn position) const;

  int directoryFd_ = -1;
  uint64_t segmentBytes_ = kSegmentBytes;
  std::function<bool()> more_;
  uint8_t volumeId_[16] = {};

  // Taken by append for the length of one write. Guards the newest segment, unsynced_, and what stands below up to segmentsMutex_.
  mutable std::mutex appendMutex_;
  std::shared_ptr<Segment> current_;
  std::vector<std::shared_ptr<Segment>> unsynced_;
  Txid lastTxid_ = 0;
  // Of the newest END.
  Txid endedTxid_ = 0;
  // What is owed, in order.
  std::deque<RecordBatch> due_;
  // Where the zeros that were written ahead end in the newest segment's file.
  uint64_t zeroedUntil_ = 0;
  // Of that file: where records, zeros and lengthening end. Never less than the disk may have.
  uint64_t fileLength_ = 0;
  unsigned smallSyncs_ = 0;
  Lsn toldDurable_ = 0;
  // The last transaction that changed more than bytes and times of files.
  Txid metadataTxid_ = 0;

  // Guards segments_. Taken after appendMutex_.
  mutable std::mutex segmentsMutex_;
  std::map<Lsn, std::shared_ptr<Segment>> segments_;
  mutable RunTables tables_;

  // Guards all below, but the atomics. Never held together with appendMutex_.
  std::mutex syncMutex_;
  std::condition_variable synced_;
  std::multimap<Lsn, std::function<void(int)>> parked_;
  bool syncing_ = false;
  bool draining_ = false;
  bool stopping_ = false;
  Lsn syncWanted_ = 0;
  int syncError_ = 0;
  std::condition_variable parkedChanged_;
  // Takes over parked callbacks when whoever synced could not run them.
  std::thread completer_;

  std::atomic<bool> clones_{true};
  std::atomic<uint64_t> recordCount_{0};
  std::atomic<Lsn> floor_{0};
  std::atomic<Lsn> openFrom_{0};
  std::atomic<Lsn> recoveryStart_{0};
  std::atomic<Lsn> end_{0};
  std::atomic<Lsn> durable_{0};
};

}  // namespace tidemark
