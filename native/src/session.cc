#include "session.h"

#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>

#include <algorithm>

#include "credentials.h"
#include "mounting.h"

namespace tidemark {
namespace {

constexpr unsigned kMostReaders = 16;
// Where it is not one at a time.
constexpr unsigned kUnboundReaders = 4;

// A read of the device that took no longer than this found a request waiting; so many in a row mean a queue.
constexpr uint64_t kNoWaitNs = 2000;
constexpr unsigned kQueueLength = 16;

// Readers that work off a queue side by side. Applications want the other processors.
unsigned mostTurns() { return std::max(1u, std::thread::hardware_concurrency() / 2); }

// After so many small syncs in a row a file is one that is synced all the time.
constexpr uint32_t kOftenSynced = 16;

// So many writes and syncs are read at most before what was parked is seen to.
constexpr unsigned kMostOwed = 32;

// How long a reader looks for the next request before it sleeps, where that pays (SpinAdvice).
constexpr uint64_t kSpinNs = 15000;

// How long files that the log answers for wait for their own sync.
constexpr std::chrono::seconds kRetireEvery{5};
// What the kernel takes to end a connection that nobody has a mount of is far less.
constexpr std::chrono::milliseconds kEndsSoon{1000};

// How often the relief thread looks whether the only reader is stuck: while requests come, and while none do.
constexpr long kReliefNs = 2000000;
constexpr long kQuietReliefNs = 20000000;

}  // namespace

Session::Session(Volume* volume, SessionOptions options, SnapshotSink* sink) : volume_(volume), options_(std::move(options)), snapshots_(volume, sink), massWatch_(options_.onMassChange), wakefulness_(options_.keepAwake) {
  volume_->inodes->beforeWaiting([this] { settleOwed(); });
}

Session::~Session() { volume_->inodes->beforeWaiting({}); }

int Session::start(std::string* message) {
  if (options_.keeper != nullptr && options_.keeper->resumes()) return resume(message);
  if (canBeKept()) {
    if (const int error = makeTables()) return error;
  }
  if (!choices_.unknown.empty()) {
    *message = "TIDEMARK_WITHOUT: there is nothing called " + choices_.unknown + "; native/src/choices.h names what can be left out";
    return EINVAL;
  }
  if (const int error = mountFuse({options_.mountpoint, options_.source, options_.allowOther}, &device_, message)) return error;
  startWaiting();
  std::unique_lock<std::mutex> lock(mutex_);
  addTurn();
  while (!choices_.oneReader && readerCount_ < kUnboundReaders) addTurn();
  while (!initialized_ && !ended_) changed_.wait(lock);
  if (ended_) return EIO;
  keepWhenPossible();
  lock.unlock();
  if (choices_.readAhead) widenReadAhead(options_.mountpoint);
  startHelpers();
  return 0;
}

void Session::serve(uint32_t minor) {
  startWaiting();
  std::lock_guard<std::mutex> guard(mutex_);
  kernelMinor_ = minor;
  initialized_ = true;
  startHelpers();
}

void Session::startWaiting() {
  waiting_.start(&volume_->room, [this](WaitingRequest waiting) {
    Request request(waiting.device, &waiting.bytes, waiting.length);
    request.measure(waiting.latency, waiting.startNs);
    request.answerTo(waiting.sink);
    runWithRoom(request, waiting.failures);
  });
}

int Session::cloneDevice(int flags) {
  std::vector<UniqueFd>& spare = flags == 0 ? spareClones_ : spareLookingClones_;
  UniqueFd clone;
  if (spare.empty()) {
    clone.reset(open("/dev/fuse", O_RDWR | O_CLOEXEC | flags));
    uint32_t source = static_cast<uint32_t>(device_.get());
    if (!clone.valid() || ioctl(clone.get(), FUSE_DEV_IOC_CLONE, &source) != 0) return -1;
    // Were it closed, the kernel would fail all that was read through it.
    if (isKept_) options_.keeper->keep(flags == 0 ? KeptKind::kClone : KeptKind::kLookingClone, nextClone_++, clone.get());
  } else {
    clone = std::move(spare.back());
    spare.pop_back();
  }
  devices_.push_back(std::move(clone));
  return devices_.back().get();
}

// Called with mutex_ held.
void Session::startReader() {
  int fd = device_.get();
  if (readerCount_ > 0) {
    const int clone = cloneDevice(0);
    if (clone >= 0) fd = clone;
  }
  readerCount_++;
  liveReaders_++;
  readers_.emplace_back([this, fd] { readLoop(fd); });
}

thread_local Session::Reader* Session::ownReader_ = nullptr;

bool Session::awaitTurn(Reader* reader) {
  // A surplus turn is given up as soon as somebody else waits for requests.
  if (reader->hasTurn && (extraTurns_.load(std::memory_order_relaxed) == 0 || idleReaders_.load(std::memory_order_relaxed) == 0)) return true;
  settleOwed();
  std::unique_lock<std::mutex> lock(mutex_);
  if (reader->hasTurn) {
    if (extraTurns_ == 0) return !ended_;
    extraTurns_--;
    reader->hasTurn = false;
  }
  restingReaders_++;
  while (freeTurns_ == 0 && !ended_) turnFree_.wait(lock);
  restingReaders_--;
  if (ended_) return false;
  freeTurns_--;
  reader->hasTurn = true;
  return true;
}

// Called with mutex_ held.
void Session::addTurn() {
  freeTurns_++;
  if (restingReaders_ >= freeTurns_) turnFree_.notify_one();
  else if (readerCount_ < kMostReaders && !ended_) startReader();
}

void Session::handOver(Reader* reader) {
  std::lock_guard<std::mutex> guard(mutex_);
  reader->hasTurn = false;
  addTurn();
}

void Session::settleOwed() {
  Reader* reader = ownReader_;
  if (reader == nullptr || reader->owed == 0) return;
  reader->owed = 0;
  actNext();
}

void Session::actOwed(Reader* reader) {
  reader->owed = 0;
  Lsn target;
  if (!parked_.schedule(&target)) return;
  if (reader->hasTurn) handOver(reader);
  volume_->log.whenDurable(target, [this](int failed) { runParked(failed); });
  reader->warm = wakefulness_.awake();
}

void Session::addExtraTurn(unsigned most) {
  std::lock_guard<std::mutex> guard(mutex_);
  // One that nobody has taken yet is enough.
  if (freeTurns_ > 0 || extraTurns_ + 1 >= most) return;
  extraTurns_++;
  addTurn();
}

ssize_t Session::nextRequest(Reader* reader, char* buffer, int* device) {
  if (reader->owed > 0) {
    const ssize_t length = reader->owed < kMostOwed ? read(reader->looking, buffer, kRequestBytes) : -1;
    if (length >= 0) {
      reader->owed++;
      const uint32_t opcode = reinterpret_cast<const fuse_in_header*>(buffer)->opcode;
      if (opcode != FUSE_WRITE && opcode != FUSE_FSYNC) settleOwed();
      *device = reader->looking;
      return length;
    }
    return -EAGAIN;
  }
  const uint64_t start = monotonicNs();
  if (choices_.spinning && (reader->warm || (wakefulness_.awake() && reader->advice.shouldSpin()))) {
    if (reader->looking < 0) {
      std::lock_guard<std::mutex> guard(mutex_);
      reader->looking = cloneDevice(O_NONBLOCK);
    }
    *device = reader->looking;
    reader->waited = false;
    do {
      const ssize_t length = read(reader->looking, buffer, kRequestBytes);
      if (length >= 0 || (errno != EAGAIN && errno != EBADF)) {
        if (!reader->warm) reader->advice.spun(true);
        return length >= 0 ? length : -errno;
      }
      reader->waited = true;
    } while (monotonicNs() - start < kSpinNs);
    if (reader->warm) {
      reader->warm = false;
      return -EAGAIN;
    }
    reader->advice.spun(false);
  }
  *device = reader->blocking;
  const ssize_t length = read(reader->blocking, buffer, kRequestBytes);
  const int error = errno;
  reader->waited = monotonicNs() - start >= kNoWaitNs;
  return length >= 0 ? length : -error;
}

void Session::readLoop(int blocking) {
  ownUmask();
  preferThread();
  RequestBuffer buffer;
  Reader reader{blocking};
  ownReader_ = &reader;
  const unsigned most = mostTurns();
  unsigned queued = 0;
  while (!stopsReading_ && (reader.warm || awaitTurn(&reader))) {
    if (buffer == nullptr) buffer = newRequestBuffer();
    const unsigned idle = reader.warm ? 0 : 1;
    idleReaders_.fetch_add(idle);
    int device = blocking;
    const ssize_t length = nextRequest(&reader, buffer.get(), &device);
    idleReaders_.fetch_sub(idle);
    // Nothing was read: there is no more queued, or whom a warm reader answered did not ask again.
    if (length == -EAGAIN) {
      if (reader.owed > 0) actOwed(&reader);
      continue;
    }
    if (volume_->requestCount.fetch_add(1, std::memory_order_relaxed) % Wakefulness::kReportEvery == 0) wakefulness_.report(monotonicNs());
    queued = reader.waited ? 0 : queued + 1;
    if (queued >= kQueueLength) {
      queued = 0;
      addExtraTurn(most);
    }
    if (length < 0) {
      if (length == -EINTR || length == -ENOENT) continue;
      break;
    }
    if (static_cast<size_t>(length) < sizeof(fuse_in_header)) continue;
    Request request(device, &buffer, static_cast<size_t>(length));
    dispatch(request);
    if (isKept_ && !hasServed_.load(std::memory_order_relaxed) && !hasServed_.exchange(true)) options_.keeper->say(KeeperWord::kServed);
  }
  settleOwed();
  liveReaders_--;
  connectionEnded();
}

void Session::connectionEnded() {
  std::lock_guard<std::mutex> guard(mutex_);
  ended_ = true;
  changed_.notify_all();
  turnFree_.notify_all();
}

void Session::dispatch(Request& request) {
  const uint32_t opcode = request.header().opcode;
  const bool forgets = opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET;
  if (opcode < kOperations) request.measure(&latencies_[opcode]);
  if (isResent(request.header().unique) && isDeadly(request.header().unique)) return request.error(EIO);
  if (Snapshots::isSnapshotNode(request.node()) && !forgets) runOnSnapshot(request);
  else runWithRoom(request, 0);
  // All others were recorded with their answer, or will be: it may have been given by another thread, and the bytes be gone.
  if (forgets) request.to().recordLatency();
}

void Session::runOnSnapshot(Request& request) {
  if (request.header().opcode == FUSE_STATFS) return handleStatfs(request);
  snapshots_.run(request);
}

bool Session::mayChange(const Request& request) {
  switch (request.header().opcode) {
    case FUSE_SETATTR:
    case FUSE_SETXATTR:
    case FUSE_REMOVEXATTR:
    case FUSE_CREATE:
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_SYMLINK:
    case FUSE_LINK:
    case FUSE_UNLINK:
    case FUSE_RMDIR:
    case FUSE_TMPFILE:
    case FUSE_RENAME:
    case FUSE_RENAME2:
    case FUSE_WRITE:
    case FUSE_FALLOCATE:
    case FUSE_COPY_FILE_RANGE:
      return true;
    case FUSE_OPEN: {
      const auto* in = request.body<fuse_open_in>();
      return in != nullptr && (in->flags & O_TRUNC) != 0;
    }
    default:
      return false;
  }
}

void Session::run(Request& request) {
  if (volume_->holdsChanges() && mayChange(request)) {
    mayBlock();
    volume_->awaitChanges();
  }
  switch (request.header().opcode) {
    case FUSE_INIT: return handleInit(request);
    case FUSE_LOOKUP: return handleLookup(request);
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET: return handleForget(request);
    case FUSE_GETATTR: return handleGetattr(request);
    case abi::kStatxOpcode: return handleStatx(request);
    case FUSE_SETATTR: return handleSetattr(request);
    case FUSE_READLINK: return handleReadlink(request);
    case FUSE_STATFS: return handleStatfs(request);
    case FUSE_GETXATTR: return handleGetxattr(request);
    case FUSE_LISTXATTR: return handleListxattr(request);
    case FUSE_SETXATTR: return handleSetxattr(request);
    case FUSE_REMOVEXATTR: return handleRemovexattr(request);
    case FUSE_CREATE: return handleCreate(request);
    case FUSE_MKNOD: return handleMknod(request);
    case FUSE_MKDIR: return handleMkdir(request);
    case FUSE_SYMLINK: return handleSymlink(request);
    case FUSE_LINK: return handleLink(request);
    case FUSE_UNLINK: return handleUnlink(request);
    case FUSE_RMDIR: return handleRmdir(request);
    case FUSE_TMPFILE: return handleTmpfile(request);
    case FUSE_RENAME: {
      const auto* in = request.body<fuse_rename_in>();
      return in == nullptr ? request.error(EINVAL) : handleRename(request, sizeof *in, in->newdir, 0);
    }
    case FUSE_RENAME2: {
      const auto* in = request.body<fuse_rename2_in>();
      return in == nullptr ? request.error(EINVAL) : handleRename(request, sizeof *in, in->newdir, in->flags);
    }
    case FUSE_OPEN: return handleOpen(request);
    case FUSE_RELEASE: return handleRelease(request);
    case FUSE_READ: return handleRead(request);
    case FUSE_WRITE: return handleWrite(request);
    case FUSE_FSYNC: return handleFsync(request);
    case FUSE_FALLOCATE: return handleFallocate(request);
    case FUSE_LSEEK: return handleLseek(request);
    case FUSE_COPY_FILE_RANGE: return handleCopyFileRange(request);
    case FUSE_OPENDIR: return handleOpendir(request);
    case FUSE_READDIR: return handleReaddir(request, false);
    case FUSE_READDIRPLUS: return handleReaddir(request, true);
    case FUSE_RELEASEDIR: return handleReleasedir(request);
    case FUSE_FSYNCDIR: return handleFsyncdir(request);
    case FUSE_IOCTL: return request.error(ENOTTY);
    case FUSE_DESTROY: return request.error(0);
    // Unanswered on purpose elsewhere: FLUSH would cost every close a round trip. The kernel writes dirty pages before it,
    // and RELEASE is the barrier. Locks stay in the kernel, which is the only one who sees this mount.
    case FUSE_FLUSH: return request.error(choices_.flush ? ENOSYS : 0);
    default: return request.error(ENOSYS);
  }
}

void Session::handleInit(Request& request) {
  const auto* in = request.body<fuse_init_in>();
  if (in == nullptr || in->major != 7) return request.error(EPROTO);
  kernelMinor_ = std::min(in->minor, abi::kMinor);
  const uint64_t offered = in->flags | ((in->flags & FUSE_INIT_EXT) != 0 ? uint64_t{in->flags2} << 32 : 0);
  uint64_t wanted = choices_.features;
  if (!options_.writeback) wanted &= ~uint64_t{FUSE_WRITEBACK_CACHE};
  features_ = offered & wanted;
  abi::InitOut out{};
  out.major = 7;
  out.minor = kernelMinor_;
  out.maxReadahead = std::max<uint32_t>(in->max_readahead, kMaxWrite);
  out.flags = static_cast<uint32_t>(features_);
  out.flags2 = static_cast<uint32_t>(features_ >> 32);
  // Dirty pages come one request each when they are scattered: the more wait for the log together, the fewer flushes.
  out.maxBackground = 1024;
  out.congestionThreshold = 768;
  out.maxWrite = (features_ & FUSE_MAX_PAGES) != 0 ? kMaxWrite : 128 << 10;
  out.maxPages = kMaxWrite / 4096;
  out.timeGranularity = 1;
  request.value(out);
  std::lock_guard<std::mutex> guard(mutex_);
  initialized_ = true;
  changed_.notify_all();
}

void Session::forgetOne(uint64_t node, uint64_t count) {
  if (Snapshots::isSnapshotNode(node)) snapshots_.forget(node, count);
  else volume_->inodes->forget(node, count);
}

void Session::handleForget(Request& request) {
  beforeForget();
  if (request.header().opcode == FUSE_FORGET) {
    const auto* in = request.body<fuse_forget_in>();
    if (in != nullptr) forgetOne(request.node(), in->nlookup);
    return;
  }
  const auto* in = request.body<fuse_batch_forget_in>();
  if (in == nullptr) return;
  for (uint32_t i = 0; i < in->count; i++) {
    const char* at = request.bytes(sizeof *in + i * sizeof(fuse_forget_one), sizeof(fuse_forget_one));
    if (at == nullptr) return;
    fuse_forget_one one;
    memcpy(&one, at, sizeof one);
    forgetOne(one.nodeid, one.nlookup);
  }
}

void Session::stopHelpers() {
  {
    std::lock_guard<std::mutex> guard(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  {
    std::lock_guard<std::mutex> guard(pushMutex_);
    pushStop_ = true;
    pushChanged_.notify_all();
  }
  helpersStop_ = true;
  for (std::thread* helper : {&timer_, &pusher_, &relief_, &retirer_})
    if (helper->joinable()) helper->join();
}

void Session::restartHelpers() {
  std::lock_guard<std::mutex> guard(mutex_);
  stopping_ = false;
  pushStop_ = false;
  helpersStop_ = false;
  startHelpers();
}

void Session::startHelpers() {
  timer_ = std::thread([this] { timerLoop(); });
  retirer_ = std::thread([this] { retireLoop(); });
  // Without a connection of our own there is no reader to relieve, and without the writeback cache there are no pages to ask for.
  if (!device_.valid()) return;
  pusher_ = std::thread([this] { pusherLoop(); });
  relief_ = std::thread([this] { reliefLoop(); });
}

void Session::retireLoop() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stopping_ && !ended_) {
    const auto next = std::chrono::steady_clock::now() + kRetireEvery;
    while (!stopping_ && !ended_ && changed_.wait_until(lock, next) != std::cv_status::timeout) continue;
    if (stopping_ || ended_) break;
    lock.unlock();
    // What could not be synced stays outstanding, and the next sync of the file is told why.
    volume_->intents->retireAll();
    lock.lock();
  }
}

void Session::reliefLoop() {
  uint64_t last = 0;
  long pauseNs = kReliefNs;
  while (!helpersStop_.load()) {
    const struct timespec pause = {0, pauseNs};
    nanosleep(&pause, nullptr);
    const uint64_t read = volume_->requestCount.load(std::memory_order_relaxed);
    if (read == last && idleReaders_.load() == 0) addExtraTurn(kMostReaders);
    wakefulness_.look(read != last, monotonicNs());
    pauseNs = read == last ? std::min(pauseNs * 2, kQuietReliefNs) : kReliefNs;
    last = read;
  }
}

void Session::timerLoop() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stopping_ && !ended_) {
    changed_.wait_for(lock, std::chrono::milliseconds(options_.intervalMs));
    if (stopping_ || ended_) break;
    keepWhenPossible();
    leaveKeeperIfBroken();
    lock.unlock();
    if (writers_.load() > 0 && options_.writeback) pushDirtyPages();
    volume_->transactions->barrier(Reason::kTimer);
    tellBlocksOwed();
    // The log never lags the disk by more than an interval, also when nobody asks for it. The error is kept by the log.
    volume_->log.waitDurable(volume_->log.end());
    lock.lock();
  }
}

void Session::pushDirtyPages() {
  std::unique_lock<std::mutex> lock(pushMutex_);
  // A push under way may have passed the caller's pages already: the one that begins after now counts.
  const uint64_t wanted = pushesBegun_ + 1;
  pushesWanted_ = std::max(pushesWanted_, wanted);
  pushChanged_.notify_all();
  while (pushesDone_ < wanted && !pushStop_) pushChanged_.wait(lock);
}

void Session::pusherLoop() {
  // This thread waits inside the kernel for our own answers. With a descriptor table of its own it does not keep the
  // connection open when the other threads are killed: their exit closes the device, and that wakes it.
  const bool own = unshare(CLONE_FILES) == 0;
  if (own) syscall(SYS_close_range, 3u, ~0u, 0u);
  std::unique_lock<std::mutex> lock(pushMutex_);
  while (!pushStop_) {
    if (pushesWanted_ <= pushesBegun_) {
      pushChanged_.wait(lock);
      continue;
    }
    const uint64_t push = ++pushesBegun_;
    lock.unlock();
    const int fd = own ? open(options_.mountpoint.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
      // It begins to write every dirty page, and for FUSE waits for none. A request of our own then stands behind theirs.
      struct statfs behind;
      if (syncfs(fd) == 0 && fstatfs(fd, &behind) != 0) errno = 0;
      close(fd);
    }
    lock.lock();
    pushesDone_ = push;
    pushChanged_.notify_all();
  }
}

int Session::unmount() {
  stopHelpers();
  bool ended;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    ended = ended_;
  }
  if (!ended && !isUnmounted_) {
    if (const int error = unmountFuse(options_.mountpoint)) {
      restartHelpers();
      return error;
    }
    isUnmounted_ = true;
  }
  // Another mount namespace may have a copy of the mount, without knowing it. Nobody misses that unless somebody there has something of it open.
  if (!awaitEndFor(kEndsSoon)) {
    if (handleCount() > 0 || !snapshots_.openNodes().empty()) {
      restartHelpers();
      return EBUSY;
    }
    stopReaders();
  }
  for (std::thread& reader : readers_) reader.join();
  readers_.clear();
  waiting_.stop();
  volume_->peerGate.end(EIO);
  return volume_->transactions->settle(Reason::kUnmount);
}

void Session::awaitEnd() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!ended_) changed_.wait(lock);
}

bool Session::awaitEndFor(std::chrono::milliseconds most) {
  std::unique_lock<std::mutex> lock(mutex_);
  return changed_.wait_for(lock, most, [this] { return ended_; });
}

Actor Session::actorOf(const fuse_in_header& header) {
  Actor actor;
  actor.uid = header.uid;
  actor.gid = header.gid;
  actor.pid = header.pid;
  volume_->fillCommand(&actor);
  return actor;
}

void Session::accessChanged() { snapshots_.accessChanged(); }

void Session::tellBlocks(Inode* inode, int fd) {
  struct statx now;
  {
    ChangeLock lock(volume_->inodes.get(), inode);
    if (inode->file == nullptr || !inode->file->blocksKnown) return;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BLOCKS | STATX_NLINK, &now) != 0 || static_cast<int64_t>(now.stx_blocks) == inode->file->blocksTold) return;
    // The kernel may be about to forget it, and keeps a notice waiting until it has: as snapshots.h says of the names (invariant 4).
    if (now.stx_nlink == 0) return;
    inode->file->blocksTold = static_cast<int64_t>(now.stx_blocks);
  }
  invalidateAttributes(inode);
}

void Session::tellBlocksOfSynced(Inode* inode, int fd) {
  {
    ChangeLock lock(volume_->inodes.get(), inode);
    FileState* state = inode->file.get();
    if (state == nullptr || state->blocksOwed) return;
    if (state->smallSyncs >= kOftenSynced) {
      state->blocksOwed = true;
      std::lock_guard<std::mutex> guard(blocksMutex_);
      return blocksOwed_.push_back(volume_->inodes->hold(inode));
    }
  }
  tellBlocks(inode, fd);
}

void Session::tellBlocksOwed() {
  std::vector<InodeRef> owed;
  {
    std::lock_guard<std::mutex> guard(blocksMutex_);
    owed.swap(blocksOwed_);
  }
  for (const InodeRef& inode : owed) {
    {
      ChangeLock lock(volume_->inodes.get(), inode.get());
      if (inode->file != nullptr) inode->file->blocksOwed = false;
    }
    const FdLease lease = volume_->inodes->lease(inode.get());
    if (lease.valid()) tellBlocks(inode.get(), lease.fd());
  }
}

void Session::invalidateAttributes(Inode* inode) {
  // A negative offset: none of its pages.
  constexpr int64_t kNoPages = -1;
  const struct {
    fuse_out_header header;
    fuse_notify_inval_inode_out out;
  } notice = {{sizeof notice, FUSE_NOTIFY_INVAL_INODE, 0}, {Inodes::nodeOf(inode), kNoPages, 0}};
  // ENOENT: the kernel does not know it, which is as good.
  if (write(device_.get(), &notice, sizeof notice) < 0) return;
}

std::string Session::protocol() const { return "7." + std::to_string(kernelMinor_); }

std::vector<std::string> Session::features() const {
  std::vector<std::string> names = featureNames(features_);
  if (wakefulness_.available()) names.emplace_back("keep-awake");
  return names;
}

}  // namespace tidemark
