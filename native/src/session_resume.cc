// A mount that outlives its daemon: what is handed to the keeper, how the next daemon goes on with it, and what it makes of requests that the last one had
// and did not answer.
//
// Invariants:
// 1. Everything the kernel was told (node numbers, handles, what was agreed) stands in kept tables before it is told.
// 2. A request that is sent again may have acted, and recovery may have finished it out of the log. The kernel waits for it with its directories and inodes
//    locked, and nobody else changes the tree: so what it was to leave, and what is there, was left by it. Where that does not tell (exchanges of names, xattrs), it has noted
//    beforehand what it found.
// 3. Before the first request is read, every write that was answered has acted.
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/xattr.h>

#include <algorithm>

#include "file_io.h"
#include "session.h"

namespace tidemark {
namespace {

// More than there are readers, each of which has one at most.
constexpr size_t kAttempts = 64;

constexpr size_t kTries = 4096;
// A request of which so many daemons died is refused, and all others go on. (The keeper would give up later: kMostFailures.)
constexpr uint64_t kMostDeaths = 3;
// It counts when death came so soon after the request.
constexpr uint64_t kSuddenNs = 100000000;

// Interrupts readers that wait for requests. Not one that Node or libuv know.
int interruptSignal() { return SIGRTMIN + 5; }

void ignoreInterrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  sigaction(interruptSignal(), &action, nullptr);
}

}  // namespace

// Without names at hand inodes are found by their ids alone.
bool Session::canBeKept() const { return options_.keeper != nullptr && volume_->backing.opensById(); }

int Session::makeTables() {
  int error = agreement_.create("tidemark-agreement");
  if (error == 0) error = attempts_.create("tidemark-attempts");
  if (error == 0) error = tries_.create("tidemark-tries");
  if (error == 0) error = inodes_.create("tidemark-inodes");
  if (error == 0) error = keptFiles_.create("tidemark-files");
  if (error == 0) error = keptDirectories_.create("tidemark-directories");
  if (error == 0) error = snapshots_.makeTables();
  if (error != 0) return error;
  if (agreement_.at(0) == nullptr || attempts_.at(kAttempts - 1) == nullptr || tries_.at(kTries - 1) == nullptr) return ENOMEM;
  files_.keepIn(&keptFiles_);
  directories_.keepIn(&keptDirectories_);
  volume_->inodes->keepIn(&inodes_, options_.keeper);
  return 0;
}

// After the kernel's INIT. A daemon that followed would not look for what was changed while nothing was mounted.
void Session::keepWhenPossible() {
  if (!isKept_ && canBeKept() && inodes_.exists() && (features_ & abi::kHasResend) != 0 && !volume_->holdsChanges() && !hasBroken()) keepConnection();
}

bool Session::hasBroken() const {
  return inodes_.isBroken() || keptFiles_.isBroken() || keptDirectories_.isBroken() || snapshots_.hasBrokenTables();
}

void Session::leaveKeeperIfBroken() {
  if (!isKept_ || !hasBroken()) return;
  isKept_ = false;
  options_.keeper->drop(KeptKind::kDevice, 0);
}

void Session::keepConnection() {
  KeptAgreement* agreement = agreement_.at(0);
  agreement->layout = kKeptLayout;
  agreement->kernelMinor = kernelMinor_;
  agreement->features = features_;
  agreement->isComplete = 1;
  KeeperLink& keeper = *options_.keeper;
  keeper.keep(KeptKind::kRoot, 0, volume_->backing.rootFd());
  keeper.keep(KeptKind::kAgreement, 0, agreement_.fd());
  keeper.keep(KeptKind::kAttempts, 0, attempts_.fd());
  keeper.keep(KeptKind::kTries, 0, tries_.fd());
  keeper.keep(KeptKind::kInodes, 0, inodes_.fd());
  keeper.keep(KeptKind::kFiles, 0, keptFiles_.fd());
  keeper.keep(KeptKind::kDirectories, 0, keptDirectories_.fd());
  snapshots_.keepTables(&keeper);
  for (const UniqueFd& clone : devices_) {
    const bool looks = (fcntl(clone.get(), F_GETFL) & O_NONBLOCK) != 0;
    keeper.keep(looks ? KeptKind::kLookingClone : KeptKind::kClone, nextClone_++, clone.get());
  }
  // The last: from now on there is something to go on with.
  keeper.keep(KeptKind::kDevice, 0, device_.get());
  isKept_ = keeper.isAlive();
}

int Session::adoptTables() {
  KeeperLink& keeper = *options_.keeper;
  int error = agreement_.adopt(keeper.take(KeptKind::kAgreement));
  const KeptAgreement* agreement = error == 0 ? agreement_.at(0) : nullptr;
  if (agreement == nullptr || agreement->isComplete == 0 || agreement->layout != kKeptLayout) return EPROTO;
  kernelMinor_ = agreement->kernelMinor;
  features_ = agreement->features;
  error = attempts_.adopt(keeper.take(KeptKind::kAttempts));
  if (error == 0) error = tries_.adopt(keeper.take(KeptKind::kTries));
  if (error == 0) error = inodes_.adopt(keeper.take(KeptKind::kInodes));
  if (error == 0) error = keptFiles_.adopt(keeper.take(KeptKind::kFiles));
  if (error == 0) error = keptDirectories_.adopt(keeper.take(KeptKind::kDirectories));
  if (error == 0) error = snapshots_.adoptTables(&keeper);
  return error;
}

void Session::adoptClones() {
  uint64_t number;
  for (UniqueFd clone; (clone = options_.keeper->take(KeptKind::kClone, &number)).valid(); nextClone_ = std::max(nextClone_, number + 1)) spareClones_.push_back(std::move(clone));
  for (UniqueFd clone; (clone = options_.keeper->take(KeptKind::kLookingClone, &number)).valid(); nextClone_ = std::max(nextClone_, number + 1)) spareLookingClones_.push_back(std::move(clone));
}

void Session::adoptPinned() {
  uint64_t slot;
  for (UniqueFd fd; (fd = options_.keeper->take(KeptKind::kPinned, &slot)).valid();) {
    if (Inode* inode = volume_->inodes->byNode(slot)) volume_->inodes->pin(inode, fd.release());
    else options_.keeper->drop(KeptKind::kPinned, slot);
  }
}

void Session::adoptHandles() {
  files_.keepIn(&keptFiles_);
  directories_.keepIn(&keptDirectories_);
  files_.restore([this](const HandleOrigin& origin) -> std::shared_ptr<OpenFile> {
    Inode* inode = volume_->inodes->byNode(origin.node);
    if (inode == nullptr) return nullptr;
    const bool writable = (origin.flags & O_ACCMODE) != O_RDONLY;
    // Readers are opened when they first read.
    UniqueFd fd(writable ? openBacking(inode, O_RDWR | O_CLOEXEC | (static_cast<int>(origin.flags) & O_NOATIME)) : -1);
    if (writable && fd.get() < 0) return nullptr;
    auto file = makeFile(inode, origin.flags, origin.actor, std::move(fd));
    file->written = writable;
    return file;
  });
  directories_.restore([this](const HandleOrigin& origin) -> std::shared_ptr<OpenDirectory> {
    Inode* inode = volume_->inodes->byNode(origin.node);
    if (inode == nullptr) return nullptr;
    const FdLease lease = volume_->inodes->lease(inode);
    return lease.valid() ? makeDirectory(inode, lease) : nullptr;
  });
}

int Session::actIntent(const LoggedIntent& intent, int fd) const {
  std::string body(intent.size, '\0');
  const ssize_t count = volume_->log.read(intent.position + sizeof(RecordHeader), body.data(), body.size());
  if (count != static_cast<ssize_t>(body.size())) return count < 0 ? static_cast<int>(-count) : EIO;
  const KernelTimes times(fd, options_.writeback);
  return writeFully(fd, body.data(), body.size(), intent.offset);
}

void Session::replayGiven() {
  Inodes& inodes = *volume_->inodes;
  std::vector<InodeRef> written;
  for (const LoggedIntent& intent : volume_->recovery.intents) {
    InodeRef inode = intent.kind == IntentKind::kBytes ? inodes.find(intent.file) : InodeRef();
    const Lsn from = inode ? inodes.keptGiven(inode.get()) : 0;
    if (from == 0 || intent.position < from) continue;
    const UniqueFd fd(openBacking(inode.get(), O_RDWR | O_CLOEXEC));
    const int error = fd.valid() ? actIntent(intent, fd.get()) : -fd.get();
    if (error != 0 && inode->file != nullptr) inode->file->actError = error;
    written.push_back(std::move(inode));
  }
  for (const InodeRef& inode : written)
    if (inode->file == nullptr || inode->file->actError == 0) inodes.keepGiven(inode.get(), 0);
  volume_->recovery.intents.clear();
}

int Session::resume(std::string* message) {
  KeeperLink& keeper = *options_.keeper;
  *message = "the mount that the last daemon left cannot be gone on with";
  if (const int error = adoptTables()) return error;
  device_ = keeper.take(KeptKind::kDevice);
  adoptClones();
  volume_->inodes->keepIn(&inodes_, options_.keeper);
  volume_->inodes->restore();
  for (const FileId id : volume_->recovery.removed) {
    InodeRef inode = volume_->inodes->find(id);
    if (!inode || !volume_->backing.isObject(id)) continue;
    inode->detached = true;
    volume_->inodes->keepFlags(inode.get());
  }
  adoptPinned();
  adoptHandles();
  snapshots_.restore();
  replayGiven();
  startWaiting();
  fuse_out_header resend{};
  resend.len = sizeof resend;
  resend.error = abi::kNotifyResend;
  if (write(device_.get(), &resend, sizeof resend) < 0) return errno;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    isKept_ = true;
    initialized_ = true;
    addTurn();
  }
  startHelpers();
  return 0;
}

int Session::handOver(const std::string& program) {
  // That it has died is noticed by who says something.
  if (isKept_) options_.keeper->say(KeeperWord::kAlive);
  if (!isKept()) return ENOTSUP;
  // What closing the volume would wait for while nobody answers.
  volume_->intents->retireAll();
  if (const int error = volume_->log.waitDurable(volume_->log.end())) return error;
  stopHelpers();
  options_.keeper->say(KeeperWord::kHandOver, program);
  if (!options_.keeper->isAlive()) {
    restartHelpers();
    return ENOTSUP;
  }
  stopReaders();
  for (std::thread& reader : readers_) reader.join();
  readers_.clear();
  waiting_.leave();
  volume_->peerGate.leave();
  while (!parked_.isIdle()) {
    actNext();
    usleep(500);
  }
  // There is no way back. What fails from here on the next daemon finds in the log, as after a kill.
  volume_->transactions->settle(Reason::kUnmount);
  return 0;
}

void Session::stopReaders() {
  ignoreInterrupts();
  stopsReading_ = true;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    ended_ = true;
    turnFree_.notify_all();
  }
  // One that was just about to wait misses a signal; hence again and again.
  while (liveReaders_.load() > 0) {
    {
      std::lock_guard<std::mutex> guard(mutex_);
      for (std::thread& reader : readers_) pthread_kill(reader.native_handle(), interruptSignal());
    }
    usleep(1000);
  }
}

int Session::adoptNode(Inode* directory, const char* name, const struct stat& st, FileId id, Change* change, UniqueFd* fd, fuse_entry_out* entry) {
  if (S_ISREG(st.st_mode)) {
    const int opened = volume_->backing.openById(id, O_RDWR | O_CLOEXEC);
    if (opened < 0) return -opened;
    fd->reset(opened);
  }
  Inode* made = fillEntry(directory, name, st, id, entry);
  if (change == nullptr) return 0;
  change->batch().place(id, made->type, directory->id, name);
  if (const int error = change->commit()) return error;
  made->placeKnown = true;
  volume_->inodes->keepFlags(made);
  return 0;
}

int Session::adoptRename(const Rename& rename, int toFd) {
  struct stat st;
  FileId id;
  if (const int error = volume_->backing.identify(toFd, rename.targetName, &st, &id)) return error;
  InodeRef moved = volume_->inodes->hold(id, st.st_mode & S_IFMT);
  volume_->inodes->moved(moved.get(), rename.targetDirectory, rename.targetName);
  if (S_ISDIR(st.st_mode)) accessChanged();
  return 0;
}

UniqueFd Session::madeBefore(const fuse_in_header& header) {
  const auto file = files_.get(openedBefore(files_, header));
  return UniqueFd(file == nullptr ? -1 : fcntl(file->fd.get(), F_DUPFD_CLOEXEC, 3));
}

bool Session::exchangedBefore(const Rename& rename, int fromFd, FileId moved) {
  KeptAttempt found;
  if (!isResent(rename.unique) || !attemptOf(rename.unique, &found)) {
    noteAttempt(rename.unique, moved, 0);
    return false;
  }
  if (FileId{found.inode, found.generation} == moved) return false;
  Inode* const directories[] = {rename.directory, rename.targetDirectory};
  const char* const names[] = {rename.name, rename.targetName};
  for (int i = 0; i < 2; i++) {
    struct stat st;
    FileId id;
    const FdLease lease = volume_->inodes->lease(directories[i]);
    if (!lease.valid() || volume_->backing.identify(lease.fd(), names[i], &st, &id) != 0) continue;
    InodeRef inode = volume_->inodes->hold(id, st.st_mode & S_IFMT);
    volume_->inodes->moved(inode.get(), directories[i], names[i]);
  }
  return true;
}

bool Session::xattrChangedBefore(const fuse_in_header& header, FileId file, bool exists) {
  KeptAttempt found;
  if (isResent(header.unique) && attemptOf(header.unique, &found)) return (found.fact != 0) != exists;
  noteAttempt(header.unique, file, exists ? 1 : 0);
  return false;
}

bool Session::attemptOf(uint64_t unique, KeptAttempt* found) {
  std::lock_guard<std::mutex> guard(attemptsMutex_);
  for (size_t i = 0; attempts_.exists() && i < kAttempts; i++) {
    const KeptAttempt* attempt = attempts_.at(i);
    if (attempt == nullptr || attempt->unique != firstUnique(unique)) continue;
    found->inode = attempt->inode;
    found->generation = attempt->generation;
    found->fact = attempt->fact;
    return true;
  }
  return false;
}

void Session::noteAttempt(uint64_t unique, FileId file, uint32_t fact) {
  std::lock_guard<std::mutex> guard(attemptsMutex_);
  if (!attempts_.exists()) return;
  // A free one; else the oldest: its request has long been answered.
  KeptAttempt* free = attempts_.at(0);
  for (size_t i = 1; free != nullptr && free->unique != 0 && i < kAttempts; i++) {
    KeptAttempt* attempt = attempts_.at(i);
    if (attempt->unique < free->unique) free = attempt;
  }
  if (free == nullptr) return;
  free->unique = 0;
  free->inode = file.inode;
  free->generation = file.generation;
  free->fact = fact;
  free->unique = firstUnique(unique);
}

bool Session::isDeadly(uint64_t unique) {
  KeptTries* tries = tries_.exists() ? tries_.at(firstUnique(unique) / 2 % kTries) : nullptr;
  if (tries == nullptr) return false;
  if (tries->unique != unique) {
    tries->deaths = 0;
    tries->takenUpNs = 0;
    tries->unique = unique;
  }
  const uint64_t diedNs = options_.keeper->start().diedNs;
  const uint64_t before = tries->takenUpNs.exchange(monotonicNs());
  if (diedNs >= before && diedNs - before < kSuddenNs) tries->deaths++;
  return tries->deaths >= kMostDeaths;
}

void Session::forgetAttempt(uint64_t unique) {
  std::lock_guard<std::mutex> guard(attemptsMutex_);
  for (size_t i = 0; attempts_.exists() && i < kAttempts; i++) {
    KeptAttempt* attempt = attempts_.at(i);
    if (attempt != nullptr && attempt->unique == firstUnique(unique)) attempt->unique = 0;
  }
}

}  // namespace tidemark
