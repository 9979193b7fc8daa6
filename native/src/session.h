// One mount: the connection to the kernel, the threads that read it, and one function per kernel request.
//
// Threads: readers run every operation; another runs those again that waited for room on the disk (WaitingRequests); the timer ends
// transactions that wait for no barrier; the pusher asks the kernel for its dirty pages; the retirer syncs the files that the intent log answered for. The JavaScript thread calls
// start, unmount, the replies of Snapshots, and reads state.
//
// Readers take turns: one at a time waits for requests, so that the same warm thread answers one after the other (with
// several waiting the kernel wakes them in turn, which was measured to take twice the processor time). Before what may block
// it hands its turn over (mayBlock), and rests afterwards until a turn is free. There is more than one turn only while
// requests queue up, on machines with processors to spare, or when the relief thread found nobody reading.
//
// Invariants:
// 1. No handle is passed through to its backing file: what is written is seen.
// 2. What a request changed is in the log before it acts (Change), and its answer is sent after it acted.
// 3. A node number with the top bit set belongs to Snapshots and changes nothing: EROFS.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include "capture.h"
#include "choices.h"
#include "handles.h"
#include "keeper_link.h"
#include "mass_watch.h"
#include "parked_writes.h"
#include "request.h"
#include "snapshots.h"
#include "waiting_requests.h"
#include "wakefulness.h"

namespace tidemark {

struct SessionOptions {
  std::string mountpoint;
  std::string source;
  // The kernel keeps written pages and the times of files.
  bool writeback = true;
  // Each write is a transaction of its own.
  bool everyWrite = false;
  unsigned intervalMs = 1000;
  bool snapshotsVisible = false;
  bool allowOther = true;
  bool keepAwake = true;
  // Somebody changes many files at once (MassWatch says on which thread this is called). Empty: nobody is told.
  std::function<void(MassChange)> onMassChange;
  // Holds the connection while this process lives, and longer. Null: the mount ends with this process.
  KeeperLink* keeper = nullptr;
};

class Session {
 public:
  static constexpr unsigned kOperations = 64;
  // A file that was synced after so little so often in a row is expected to be synced so again: its writes go into the log as intents.
  static constexpr uint32_t kSmallSyncs = 1;

  Session(Volume* volume, SessionOptions options, SnapshotSink* sink);
  ~Session();

  // Mounts, or goes on with the mount that the keeper has, and starts the threads. 0 or an errno; *message says more where an errno cannot.
  int start(std::string* message);
  // Whether the mount outlives this process. (Not while it is looked for what was changed when nothing was mounted: only who began that can end it.)
  bool isKept() const { return isKept_ && options_.keeper->isAlive(); }
  // Ends all threads, with nothing left to be done, but not the mount: the keeper starts `program` (arguments, each ended by a NUL), which goes on. The
  // volume is to be closed, and this process to end, at once. 0 or an errno (ENOTSUP: it is not kept).
  int handOver(const std::string& program);
  // Begins without a connection: requests come by dispatch() alone, from whoever made the mount, in the kernel's protocol 7.`minor`.
  void serve(uint32_t minor);
  // No more requests will come.
  void connectionEnded();
  // Flushes, ends the open transaction, unmounts, joins the threads. 0 or an errno (EBUSY: in use).
  int unmount();
  // Blocks until the kernel has ended the connection.
  void awaitEnd();
  // The same; false when it lasts longer.
  bool awaitEndFor(std::chrono::milliseconds most);

  Snapshots& snapshots() { return snapshots_; }
  MassWatch& massWatch() { return massWatch_; }

  std::string protocol() const;
  std::vector<std::string> features() const;
  size_t handleCount() const { return files_.count() + directories_.count(); }
  // How long requests of this kind took from when they were read until they were answered.
  const LatencyHistogram& latency(unsigned opcode) const { return latencies_[opcode]; }

  // Parses and runs one request: one that was read, one of Calls, or the fuzzer's.
  void dispatch(Request& request);

 private:
  friend class Snapshots;

  // session.cc
  // What one reader thread keeps: the descriptor it sleeps on, one that answers at once, and whether that pays.
  struct Reader {
    int blocking;
    int looking = -1;
    SpinAdvice advice;
    bool hasTurn = false;
    // The last request was not there yet when this reader began to read.
    bool waited = false;
    // Requests read since something was parked that nobody has been told of yet (0: nothing was): the writes that are queued already share its flush.
    unsigned owed = 0;
    // Has just seen to what was parked: whom that answered may ask again at once, and is heard without anybody being woken. It looks for requests once,
    // with a turn or without.
    bool warm = false;
  };
  void readLoop(int blocking);
  // A descriptor of the same connection, or -1. Called with mutex_ held.
  int cloneDevice(int flags);
  // Whether it would change the live tree.
  static bool mayChange(const Request& request);
  // Waits for the next request and reads it from the descriptor *device. Its length, or -errno.
  ssize_t nextRequest(Reader* reader, char* buffer, int* device);
  void startReader();
  // Returns when the reader has a turn; gives a surplus one up. false when the session has ended.
  bool awaitTurn(Reader* reader);
  void addTurn();
  void handOver(Reader* reader);
  // Has another thread see to what this one, a reader, has parked.
  void settleOwed();
  // Sees to it itself.
  void actOwed(Reader* reader);
  // Unless there are `most` turns already.
  void addExtraTurn(unsigned most);
  void reliefLoop();
  void retireLoop();
  void startHelpers();
  void startWaiting();
  void stopHelpers();
  // Ends the threads that read requests, though the kernel has not ended the connection. They are to be joined.
  void stopReaders();
  void restartHelpers();
  void handleInit(Request& request);

  // session_room.cc
  // Runs a request that changes the live tree, or lets it wait for room on the disk. `failures`: as WaitingRequest's.
  void runWithRoom(Request& request, unsigned failures);
  RoomNeed needOf(const Request& request) const;
  uint64_t bytesOf(uint64_t node) const;
  void waitForRoom(Request& request, uint64_t bytes, unsigned failures);
  void timerLoop();
  void pusherLoop();
  void run(Request& request);
  void runOnSnapshot(Request& request);
  void forgetOne(uint64_t node, uint64_t count);
  void handleForget(Request& request);

  // ops_attributes.cc
  void handleLookup(Request& request);
  void handleGetattr(Request& request);
  // What GETATTR and SETATTR are answered with.
  void answerAttributes(Request& request, Inode* inode);
  void answerAttributes(Request& request, Inode* inode, const struct stat& st);
  void handleStatx(Request& request);
  void handleSetattr(Request& request);
  // Commits, and where every change waits for the log, waits. `inode`: one that the change saved.
  int commitAhead(Change* change, const Inode* inode);
  // Commits a change of times; where an fsync(2) is expected that the log could answer, the log tells the new mtime, too. Under the change lock.
  int commitMtime(Change* change, Inode* inode, const struct timespec& mtime);
  // `same`: set to the attributes when they are already as asked for.
  int applySetattr(Inode* inode, const fuse_setattr_in& in, const Actor& actor, std::optional<struct stat>* same);
  // As fstat, sparing the file its times where they are known (FileTimes). Under the change lock.
  static int attributesNow(Inode* inode, int fd, struct stat* st);
  int changeSize(Inode* inode, int fd, uint64_t size, Change* change);
  int changeAttributes(int fd, int sizeFd, const fuse_setattr_in& in);
  void handleReadlink(Request& request);
  void handleStatfs(Request& request);
  // true when the inode has no xattrs at all, which is then remembered.
  bool learnNoXattrs(Inode* inode, const FdLease& lease);
  void handleGetxattr(Request& request);
  void handleListxattr(Request& request);
  void handleSetxattr(Request& request);
  void handleRemovexattr(Request& request);
  int changeXattr(Inode* inode, const fuse_in_header& header, const char* name, const char* value, size_t size, uint32_t flags, bool killSgid);

  // ops_names.cc
  void handleCreate(Request& request);
  void handleMknod(Request& request);
  void handleMkdir(Request& request);
  void handleSymlink(Request& request);
  void handleLink(Request& request);
  void handleUnlink(Request& request);
  void handleRmdir(Request& request);
  void handleTmpfile(Request& request);
  struct NewNode {
    uint32_t mode = 0;
    uint32_t umask = 0;
    uint64_t rdev = 0;
    const char* target = nullptr;
    int openFlags = 0;
    NameOperation operation = NameOperation::kCreate;
  };
  // Makes a name; for regular files *fd is an open descriptor.
  int makeNode(const fuse_in_header& header, const char* name, const NewNode& wanted, UniqueFd* fd, fuse_entry_out* entry);
  int makeOnBacking(int directoryFd, const char* name, const NewNode& wanted, const fuse_in_header& header, UniqueFd* fd);
  int removeName(Inode* directory, const char* name, const fuse_in_header& header, bool isDirectory);

  // ops_rename.cc
  struct Rename {
    Inode* directory;
    const char* name;
    Inode* targetDirectory;
    const char* targetName;
    uint32_t flags;
    uint64_t unique;
  };
  void handleRename(Request& request, size_t fixed, uint64_t targetNode, uint32_t flags);
  int renameNode(const Rename& rename, const Actor& actor);
  int actRename(const Rename& rename, int fromFd, int toFd, bool replaces, FileId replacedId, const struct stat& replaced, bool history);

  // ops_open.cc
  void handleOpen(Request& request);
  void handleRelease(Request& request);
  // A descriptor of the inode's bytes, or -errno.
  int openBacking(Inode* inode, int flags);
  // The handle's descriptor, opened if need be; or -errno.
  int descriptorOf(OpenFile* file);
  // The inode is about to leave the tree for good, and handles may have yet to open it. Under its change lock.
  void keepForHandles(Inode* inode);
  // Without `fd` the handle is opened when it is first needed, to read.
  fuse_open_out openFile(Inode* inode, uint32_t flags, const fuse_in_header& header, UniqueFd fd);
  std::shared_ptr<OpenFile> makeFile(Inode* inode, uint32_t flags, const Actor& actor, UniqueFd fd);
  void countHandle(Inode* inode, const OpenFile& file);
  void uncountHandle(Inode* inode, const OpenFile& file);

  // ops_data.cc
  void handleRead(Request& request);
  void handleFsync(Request& request);
  // The transaction that a sync promises; 0 where nobody waits for a peer. Right behind its barrier.
  Txid promised() const { return volume_->peerGate.isClosed() ? volume_->transactions->closed() : 0; }
  // Answers a sync, when the peer has what it promises.
  void answerSync(const ReplyTo& to, int error, Txid promised);
  // Syncs the file itself, and retires its intents.
  int syncFile(const OpenFile& file, bool dataOnly);
  // Syncs a descriptor of the backing tree, and the log up to `target`. 0 or an errno.
  int syncBoth(int fd, bool dataOnly, Lsn target);
  void handleFallocate(Request& request);
  void handleLseek(Request& request);
  void handleCopyFileRange(Request& request);
  ssize_t copyStep(const OpenFile& source, uint64_t sourceOffset, const OpenFile& target, uint64_t offset, uint64_t length, uint32_t flags);

  // ops_write.cc
  void handleWrite(Request& request);
  void runWrite(Request& request);
  // How far the log has to be durable before a write may act. Under the change lock.
  Lsn awaitedBy(const Inode& inode, bool overwrites) const;
  // Whether a write goes into the log as an intent; counts it. Under the change lock.
  bool intends(FileState* state, const fuse_write_in& in) const;
  // What little is changed now will be synced soon, and the log may tell it.
  bool expectsSync(const FileState& state) const;
  // Commits a batch that holds an intent of the file. Under the change lock.
  int commitIntent(Change* change, Inode* inode);
  // Puts into the log what a write destroys, and perhaps the write itself. Under the change lock.
  int capture(Change* change, OpenFile* file, const fuse_write_in& in, const char* bytes, bool* isIntent);
  // true: the log is enough for this sync, and answers it.
  bool syncFromLog(Request& request, const std::shared_ptr<OpenFile>& file, bool dataOnly, Txid promised);
  // Sees to what is parked, on another thread, when no more requests are queued.
  void actSoon();
  // The same at once.
  void actNext();
  // Waits until what was answered has acted.
  void awaitGiven(Inode* inode);
  // Under the change lock.
  int actNow(const OpenFile& file, const fuse_write_in& in, const char* bytes);
  // Lets the disk begin with a stream before somebody syncs it.
  void beginToSync(const OpenFile& file, const fuse_write_in& in);
  // The bytes alone: times are the caller's.
  int actWrite(const OpenFile& file, const fuse_write_in& in, const char* bytes);
  // A parked write cannot be tried again: the reserve makes room for it.
  int actAdmitted(const ParkedWrite& write);
  // Clears setuid and setgid, as any change of a program's bytes does.
  int dropPrivilegeBits(const OpenFile& file);
  void answerWrite(const OpenFile& file, uint32_t size, ReplyTo to, int error);
  // Lets the write wait for the log. Under the inode's change lock.
  void park(Request& request, ParkedWrite::Answer answer, std::shared_ptr<OpenFile> file, const fuse_write_in& in, const char* bytes, Txid txid);
  // Acts on what waited for the log, as far as that is durable; called by the log.
  void runParked(int failed);
  void actParked(std::vector<ParkedWrite> parked, int failed);
  // The error that syncs of the file are answered with.
  int countActed(const std::vector<ParkedWrite>& parked, const std::vector<int>& errors, const struct timespec& mtime);
  struct timespec knownMtime(Inode* inode);
  // Waits until what the kernel has sent of the inode's bytes has acted.
  void awaitWrites(Inode* inode);

  // ops_directories.cc
  std::shared_ptr<OpenDirectory> makeDirectory(Inode* inode, const FdLease& lease);
  void handleOpendir(Request& request);
  void handleReaddir(Request& request, bool plus);
  void handleReleasedir(Request& request);
  struct DirectoryEntry {
    uint64_t ino;
    int64_t next;
    uint8_t type;
    const char* name;
  };
  static bool nextEntries(OpenDirectory* directory);
  // false when the entry does not fit into `room` bytes.
  bool appendEntry(std::vector<char>* out, size_t room, OpenDirectory* directory, const DirectoryEntry& entry, bool plus);
  void handleFsyncdir(Request& request);

  // ops_watch.cc: what operations tell the mass watch. Under the change lock of the file, but for awaitWatch.
  // Of a write: `sample` was shown what it destroys.
  void watchWrite(const OpenFile& file, const Sample& sample, const fuse_write_in& in, const char* bytes, Txid txid);
  // An emptied file gets bytes again.
  void watchRefill(const Actor& actor, Inode* inode, const Sample& filled);
  // Of a copy into a file: its bytes are in `sourceFd`.
  void watchCopy(const OpenFile& file, const Sample& sample, int sourceFd, uint64_t offset, uint64_t length, Txid txid);
  // A file, open as `fd`, gets another size.
  void watchSize(const Actor& actor, Inode* inode, int fd, uint64_t size, Txid txid);
  // Bytes were punched out.
  void watchPunch(const OpenFile& file, const Sample& sample, Txid txid);
  // The last handle is closed.
  void watchClose(const Actor& actor, Inode* inode);
  // `bornNs`: 0 for what is not watched.
  void watchRemoval(const Actor& actor, const Inode* directory, const char* name, Inode* removed, const struct stat& st, int64_t bornNs, Txid txid);
  // Of a file that was just made, and is open.
  void watchCreation(FileId directory, const char* name, Inode* made);
  // How a rename looks before it acts.
  struct RenameSeen {
    int64_t movedBornNs = 0;
    int64_t replacedBornNs = 0;
    bool isEmpty = false;
    Sample sample;
  };
  RenameSeen seeRename(const Rename& rename, int fromFd, int toFd, const struct stat& moved, const struct stat* replaced);
  void watchRename(const Actor& actor, const RenameSeen& seen, Inode* moved, Inode* replaced, Txid txid);
  void noteLost(const Actor& actor, Inode* inode, MassKind kind, int64_t bornNs, Txid txid);
  void noteLost(const Actor& actor, Inode* inode, const LostFile& lost);
  // Before a change acts, with no lock: whoever has just been told of waits until JavaScript has seen to it, or for a moment.
  void awaitWatch(const Actor& actor) {
    if (!massWatch_.isBraking()) return;
    mayBlock();
    massWatch_.awaitSeen(actor);
  }

  // session_resume.cc
  bool canBeKept() const;
  // Tables for what has to outlive this process, before the mount. 0 or an errno.
  int makeTables();
  // Hands the connection to the keeper, once nothing stands against it. Called with mutex_ held.
  void keepWhenPossible();
  void keepConnection();
  bool hasBroken() const;
  // There was no memory for what the kernel was told: nobody may go on from the rest.
  void leaveKeeperIfBroken();
  // Goes on with a mount that another process has left. 0 or an errno.
  int resume(std::string* message);
  int adoptTables();
  void adoptPinned();
  void adoptHandles();
  void adoptClones();
  // Writes the bytes that stand in the log to their file. 0 or an errno.
  int actIntent(const LoggedIntent& intent, int fd) const;
  // Writes that were answered act, if they have not.
  void replayGiven();
  // The handle that a request which is sent again has opened; 0: none.
  template <typename T>
  static uint64_t openedBefore(const HandleTable<T>& table, const fuse_in_header& header) {
    return isResent(header.unique) ? table.openedBy(firstUnique(header.unique)) : 0;
  }
  // A name that is there already was made by this very request: the kernel lets no other change the directory until it is answered.
  static bool hasActed(const fuse_in_header& header, const struct stat& st, const NewNode& wanted) {
    return isResent(header.unique) && (st.st_mode & S_IFMT) == (wanted.mode & S_IFMT);
  }
  // The rest of makeNode. `change`: null for what has no history. 0 or an errno.
  int adoptNode(Inode* directory, const char* name, const struct stat& st, FileId id, Change* change, UniqueFd* fd, fuse_entry_out* entry);
  int adoptRename(const Rename& rename, int toFd);
  // The file without a name that this request has made already; invalid: it has made none.
  UniqueFd madeBefore(const fuse_in_header& header);
  // Of requests that cannot be told from what they left. Each notes what it found before it acts.
  bool exchangedBefore(const Rename& rename, int fromFd, FileId moved);
  bool xattrChangedBefore(const fuse_in_header& header, FileId file, bool exists);
  bool attemptOf(uint64_t unique, KeptAttempt* found);
  void noteAttempt(uint64_t unique, FileId file, uint32_t fact);
  void forgetAttempt(uint64_t unique);
  // true: so many daemons died of this request that it is to be refused.
  bool isDeadly(uint64_t unique);

  // Shared by operations.
  // Called before what may sleep: somebody else answers the kernel meanwhile.
  void mayBlock() {
    Reader* reader = ownReader_;
    settleOwed();
    if (reader != nullptr && reader->hasTurn && idleReaders_.load(std::memory_order_relaxed) == 0) handOver(reader);
  }
  Actor actorOf(const fuse_in_header& header);
  Inode* inodeOf(const Request& request) { return volume_->inodes->byNode(request.node()); }
  void barrier(Reason reason) { volume_->transactions->barrier(reason); }
  // As `barrier`, after a sync or a close; `ownWriters`: writable handles that belong to it. Without any other, nobody was in the middle of something.
  void quietBarrier(Reason reason, uint32_t ownWriters) {
    volume_->transactions->barrier(reason, writers_.load() <= ownWriters ? Transactions::kFlagQuiescent : 0);
  }
  // The entry for a name that exists; counts a lookup.
  Inode* fillEntry(Inode* directory, std::string_view name, const struct stat& st, FileId id, fuse_entry_out* entry);
  void fillAttributes(const Inode* inode, const struct stat& st, fuse_attr* attr) const;
  bool isReserved(const Inode* directory, const char* name) const;
  static bool isEmptyDirectory(int directoryFd, const char* name);
  // Descriptor of an inode for reading and writing, for operations that have no handle.
  UniqueFd openForChange(Inode* inode, int* error);
  void accessChanged();
  // Makes the kernel send every dirty page that it holds, and waits until they have been read. Not on the thread that has to serve them alone.
  void pushDirtyPages();
  // The kernel does not see its own writes allocate blocks: tells it to ask again when they did.
  void tellBlocks(Inode* inode, int fd);
  // The same for a file that has just been synced. Of one that is synced all the time the kernel is told once an interval: it then asks for
  // all attributes again, and for security.capability, before the next write.
  void tellBlocksOfSynced(Inode* inode, int fd);
  void tellBlocksOwed();
  // Has the kernel ask for an inode's attributes again.
  void invalidateAttributes(Inode* inode);

  Volume* const volume_;
  const SessionOptions options_;
  // What outlives this process. Before what uses them.
  KeptTable<KeptAgreement> agreement_;
  KeptTable<KeptAttempt> attempts_;
  KeptTable<KeptTries> tries_;
  KeptTable<KeptInode> inodes_;
  KeptTable<KeptHandle> keptFiles_, keptDirectories_;
  std::mutex attemptsMutex_;  // guards attempts_
  std::atomic<bool> isKept_{false};
  Snapshots snapshots_;
  MassWatch massWatch_;
  Wakefulness wakefulness_;
  const Choices choices_ = choicesOfEnvironment();
  HandleTable<OpenFile> files_;
  ParkedWrites parked_;
  WaitingRequests waiting_;
  HandleTable<OpenDirectory> directories_;
  LatencyHistogram latencies_[kOperations];

  UniqueFd device_;
  uint32_t kernelMinor_ = 0;
  uint64_t features_ = 0;
  std::atomic<uint32_t> writers_{0};
  // WRITE requests that a reader is at (parked ones are counted by their inode).
  std::atomic<uint32_t> writesInHand_{0};

  // Guards threads, readerCount_, devices_, ended_, stopping_, resting readers and free turns.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::thread> readers_;
  std::vector<UniqueFd> devices_;
  // Clones that the last process has left, and nobody here reads yet.
  std::vector<UniqueFd> spareClones_, spareLookingClones_;
  uint64_t nextClone_ = 1;
  // Readers end after the request they are at.
  std::atomic<bool> stopsReading_{false};
  // Here; copies elsewhere may be in use still. Of the thread that unmounts.
  bool isUnmounted_ = false;
  std::atomic<unsigned> liveReaders_{0};
  std::atomic<bool> hasServed_{false};
  unsigned readerCount_ = 0;
  bool initialized_ = false;
  bool ended_ = false;
  bool stopping_ = false;
  unsigned restingReaders_ = 0;
  unsigned freeTurns_ = 0;
  std::condition_variable turnFree_;
  // Turns beyond the first. Changed with mutex_ held.
  std::atomic<unsigned> extraTurns_{0};
  // Readers inside nextRequest.
  std::atomic<unsigned> idleReaders_{0};
  static thread_local Reader* ownReader_;
  std::thread timer_;
  std::thread pusher_;
  std::thread relief_;
  std::thread retirer_;
  std::atomic<bool> helpersStop_{false};

  // Guards blocksOwed_. Taken after change locks.
  std::mutex blocksMutex_;
  std::vector<InodeRef> blocksOwed_;

  // Guards the numbers of pushes.
  std::mutex pushMutex_;
  std::condition_variable pushChanged_;
  uint64_t pushesWanted_ = 0;
  uint64_t pushesBegun_ = 0;
  uint64_t pushesDone_ = 0;
  bool pushStop_ = false;
};

}  // namespace tidemark
