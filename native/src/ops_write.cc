// write: capture, then act; overwrites that have to wait for the log are parked and act in batches.
#include <algorithm>

#include "failpoint.h"
#include "file_io.h"
#include "session.h"

namespace tidemark {
namespace {

// Writes up to this go on on the same thread, unless they have to wait for the log.
constexpr uint32_t kSmallWrite = 64 << 10;

// A sync after no more than this is a small one.
constexpr uint64_t kSmallSync = 64 << 10;

// Writes from this on are a stream on its way to the disk: the disk begins as soon as so much of it is there.
constexpr uint32_t kStreamWrite = 512 << 10;
constexpr uint64_t kStreamStep = 8 << 20;

}  // namespace

int Session::dropPrivilegeBits(const OpenFile& file) {
  struct stat st;
  const int fd = file.fd.get();
  if (fstat(fd, &st) != 0) return errno;
  const mode_t mode = Backing::withoutPrivilegeBits(st.st_mode);
  if (mode == st.st_mode) return 0;
  if (fchmod(fd, mode & 07777) != 0) return errno;
  invalidateAttributes(file.inode.get());
  return 0;
}

int Session::actWrite(const OpenFile& file, const fuse_write_in& in, const char* bytes) {
  if (const int error = writeFully(file.fd.get(), bytes, in.size, in.offset)) return error;
  if ((in.write_flags & FUSE_WRITE_KILL_SUIDGID) != 0) {
    if (const int error = dropPrivilegeBits(file)) return error;
  }
  failpoint("after-act");
  return 0;
}

void Session::answerWrite(const OpenFile& file, uint32_t size, ReplyTo to, int error) {
  if (options_.everyWrite) barrier(Reason::kWrite);
  if (error != 0) to.error(error);
  else to.value(fuse_write_out{size, 0});
}

int Session::actAdmitted(const ParkedWrite& write) {
  for (;;) {
    const int error = actWrite(*write.file, write.in, write.bytes);
    if (error != ENOSPC || !volume_->room.giveSlice()) return error;
  }
}

void Session::actParked(std::vector<ParkedWrite> parked, int failed) {
  using Answer = ParkedWrite::Answer;
  Inode* inode = parked.front().file->inode.get();
  std::vector<int> errors(parked.size(), failed);
  const auto writes = std::stable_partition(parked.begin(), parked.end(), [](const ParkedWrite& one) { return one.answer != Answer::kSync; }) - parked.begin();
  // Without the change lock, so that captures go on: whatever else touches these blocks or the size of the inode
  // waits until nothing is pending (ChangeLock::awaitQuiet), or parks behind these. The log runs one callback at a time.
  const struct timespec mtime = knownMtime(inode);
  if (writes > 0 && failed == 0) {
    const KernelTimes times(parked[0].file->fd.get(), options_.writeback, mtime);
    for (ptrdiff_t i = 0; i < writes; i++) errors[i] = actAdmitted(parked[i]);
  }
  const int syncError = countActed(parked, errors, mtime);
  for (size_t i = 0; i < parked.size(); i++) {
    const ParkedWrite& one = parked[i];
    if (one.answer == Answer::kSync) {
      tellBlocksOfSynced(inode, one.file->fd.get());
      answerSync(one.to, failed != 0 ? failed : syncError, one.txid);
      continue;
    }
    volume_->room.done(one.in.size);
    volume_->transactions->finish(one.txid);
    if (one.answer == Answer::kActed) answerWrite(*one.file, one.in.size, one.to, errors[i]);
  }
}

struct timespec Session::knownMtime(Inode* inode) {
  ChangeLock lock(volume_->inodes.get(), inode);
  return inode->file->times.mtime();
}

int Session::countActed(const std::vector<ParkedWrite>& parked, const std::vector<int>& errors, const struct timespec& mtime) {
  Inode* inode = parked.front().file->inode.get();
  ChangeLock lock(volume_->inodes.get(), inode);
  FileState& state = *inode->file;
  // The kernel told another one meanwhile.
  if (options_.writeback && !FileTimes::same(mtime, state.times.mtime())) const KernelTimes newer(parked.front().file->fd.get(), true, state.times.mtime());
  Lsn actedUntil = 0;
  for (size_t i = 0; i < parked.size(); i++) {
    if (parked[i].answer == ParkedWrite::Answer::kSync) continue;
    state.pendingActs--;
    if (parked[i].answer != ParkedWrite::Answer::kGiven) continue;
    inode->givenActs--;
    if (errors[i] != 0) state.actError = errors[i];
    actedUntil = parked[i].target;
  }
  // Before anything else may change what they wrote: the next daemon would write it again.
  if (actedUntil != 0 && state.actError == 0) volume_->inodes->keepGiven(inode, inode->givenActs > 0 ? actedUntil : 0);
  lock.acted(inode);
  return state.actError;
}

void Session::runParked(int failed) {
  Lsn next = 0;
  for (;;) {
    std::vector<ParkedWrite> writes = parked_.take(volume_->log.durable(), failed != 0, &next);
    if (writes.empty()) break;
    actParked(std::move(writes), failed);
  }
  if (next != 0) volume_->log.whenDurable(next, [this](int error) { runParked(error); });
}

void Session::handleWrite(Request& request) {
  writesInHand_++;
  runWrite(request);
  writesInHand_--;
}

void Session::awaitGiven(Inode* inode) {
  if (inode->givenActs.load() == 0) return;
  mayBlock();
  ChangeLock lock(volume_->inodes.get(), inode);
  lock.awaitQuiet();
}

void Session::awaitWrites(Inode* inode) {
  // Bounded, because other files' writes are counted too.
  for (int poll = 0; poll < 200 && writesInHand_.load() > 0; poll++) usleep(500);
  ChangeLock lock(volume_->inodes.get(), inode);
  lock.awaitQuiet();
}

void Session::park(Request& request, ParkedWrite::Answer answer, std::shared_ptr<OpenFile> file, const fuse_write_in& in, const char* bytes, Txid txid) {
  ParkedWrite write;
  write.answer = answer;
  if (in.size <= kSmallWrite) {
    write.buffer.reset(new char[in.size]);
    memcpy(write.buffer.get(), bytes, in.size);
    write.bytes = write.buffer.get();
  } else {
    write.buffer = request.takeBuffer();
    write.bytes = bytes;
  }
  write.in = in;
  write.to = request.to();
  write.txid = txid;
  FileState& state = *file->inode->file;
  write.target = answer == ParkedWrite::Answer::kGiven ? state.intentLsn : awaitedBy(*file->inode.get(), true);
  state.pendingActs++;
  // The record stands right before the position; what stands further before, of this inode, has acted or is parked.
  if (answer == ParkedWrite::Answer::kGiven && file->inode->givenActs++ == 0) volume_->inodes->keepGiven(file->inode.get(), write.target - align8(sizeof(RecordHeader) + in.size));
  state.pendingTxid = txid;
  write.file = std::move(file);
  volume_->room.hold(in.size);
  parked_.add(std::move(write));
}

Lsn Session::awaitedBy(const Inode& inode, bool overwrites) const {
  if (volume_->exact) return std::max(inode.lastUndo.load(), inode.file->savedLsn);
  return overwrites ? inode.file->savedLsn : 0;
}

bool Session::intends(FileState* state, const fuse_write_in& in) const {
  state->bytesSinceSync += in.size;
  const bool drops = (in.write_flags & FUSE_WRITE_KILL_SUIDGID) != 0;
  if (!drops && expectsSync(*state) && state->bytesSinceSync <= kSmallSync) return !state->needsSync;
  state->needsSync = true;
  return false;
}

bool Session::expectsSync(const FileState& state) const { return volume_->intents->enabled() && state.smallSyncs >= kSmallSyncs; }

int Session::capture(Change* change, OpenFile* file, const fuse_write_in& in, const char* bytes, bool* isIntent) {
  Inode* inode = file->inode.get();
  if (const int error = change->prepareFile(inode, file->fd.get())) return error;
  FileState& state = *inode->file;
  const bool withIntent = intends(&state, in);
  Sample sample;
  if (massWatch_.enabled() && state.watchedTxid != change->txid()) change->showTo(&sample);
  const int saved = change->saveRange(inode, file->fd.get(), in.offset, in.offset + in.size, bytes);
  change->showTo(nullptr);
  if (saved != 0) {
    state.needsSync = true;
    return saved;
  }
  watchWrite(*file, sample, in, bytes, change->txid());
  if (!withIntent) return change->commit();
  change->batch().intent(inode->id, in.offset, bytes, in.size);
  const int error = commitIntent(change, inode);
  *isIntent = error == 0;
  return error;
}

int Session::commitIntent(Change* change, Inode* inode) {
  volume_->intents->begin(inode->id);
  const int error = change->commit();
  if (error == 0) inode->file->intentLsn = change->position();
  else inode->file->needsSync = true;
  volume_->intents->appended(inode->id, error == 0 ? change->position() : 0);
  return error;
}

bool Session::syncFromLog(Request& request, const std::shared_ptr<OpenFile>& file, bool dataOnly, Txid promised) {
  Inode* inode = file->inode.get();
  ParkedWrite sync;
  {
    ChangeLock lock(volume_->inodes.get(), inode);
    FileState* state = inode->file.get();
    if (state == nullptr) return false;
    const bool isSmall = state->bytesSinceSync <= kSmallSync;
    // Without the writeback cache nobody tells us what the times are.
    const bool hasTimes = dataOnly || options_.writeback;
    const bool isFull = !dataOnly && (state->needsFullSync || !hasTimes);
    state->smallSyncs = isSmall && hasTimes ? state->smallSyncs + 1 : 0;
    state->bytesSinceSync = 0;
    if (!isCaptured(inode) || state->needsSync || isFull) return false;
    sync.answer = ParkedWrite::Answer::kSync;
    sync.file = file;
    sync.to = request.to();
    sync.txid = promised;
    sync.target = std::max({state->intentLsn, inode->lastUndo.load(), inode->bornAt});
    parked_.add(std::move(sync));
  }
  actSoon();
  return true;
}

void Session::actSoon() {
  Reader* reader = ownReader_;
  if (reader != nullptr && reader->looking >= 0) reader->owed = std::max(reader->owed, 1u);
  else actNext();
}

void Session::actNext() {
  Lsn target;
  if (parked_.schedule(&target)) volume_->log.soonDurable(target, [this](int failed) { runParked(failed); });
}

void Session::runWrite(Request& request) {
  const auto* head = request.body<fuse_write_in>();
  const char* bytes = head == nullptr ? nullptr : request.bytes(sizeof *head, head->size);
  const auto file = bytes == nullptr ? nullptr : files_.get(head->fh);
  if (file == nullptr || !file->writable) return request.error(EBADF);
  const fuse_write_in in = *head;
  Inode* inode = file->inode.get();
  int error = 0;
  bool parks = false;
  bool isGiven = false;
  if (in.size > kSmallWrite) mayBlock();
  awaitWatch(file->actor);
  if (isCaptured(inode)) {
    file->written = true;
    ChangeLock lock(volume_->inodes.get(), inode);
    Change change(volume_, file->actor, &lock, Change::Kind::kWrite);
    bool isIntent = false;
    error = capture(&change, file.get(), in, bytes, &isIntent);
    const FileState& state = *inode->file;
    // The kernel wrote these bytes into its cache for any of those who have the file open.
    if (state.severalWriters != 0 && (in.write_flags & FUSE_WRITE_CACHE) != 0) volume_->transactions->addFlags(change.txid(), state.severalWriters);
    const bool overwrites = state.saved.touches(in.offset / kBlock, (in.offset + in.size + kBlock - 1) / kBlock);
    const bool mustWait = volume_->strict && awaitedBy(*inode, overwrites) > volume_->log.durable();
    // Behind a parked write this one has to queue, durable or not.
    parks = error == 0 && (state.pendingActs > 0 || mustWait || isIntent);
    // What the kernel has in its cache nobody reads here, and the sync that is about to come need not wait for two answers.
    isGiven = isIntent && options_.writeback && (in.write_flags & FUSE_WRITE_CACHE) != 0;
    if (parks) park(request, isGiven ? ParkedWrite::Answer::kGiven : ParkedWrite::Answer::kActed, file, in, bytes, change.handOver());
    else if (error == 0) error = actNow(*file, in, bytes);
    if (!options_.writeback) inode->file->times.forget();
  } else {
    const KernelTimes times(file->fd.get(), options_.writeback);
    error = actWrite(*file, in, bytes);
  }
  // It may yet be done.
  if (error == ENOSPC) return request.error(error);
  if (!parks) {
    answerWrite(*file, in.size, request.to(), error);
    return beginToSync(*file, in);
  }
  if (isGiven) {
    answerWrite(*file, in.size, request.to(), 0);
    actSoon();
    return;
  }
  Lsn target;
  if (parked_.schedule(&target)) {
    // This thread may be the one to sync the log, and then to act for all who park meanwhile.
    mayBlock();
    volume_->log.whenDurable(target, [this](int failed) { runParked(failed); });
  }
  if (parked_.isFull()) {
    mayBlock();
    parked_.awaitRoom();
  }
}

int Session::actNow(const OpenFile& file, const fuse_write_in& in, const char* bytes) {
  const KernelTimes times(file.fd.get(), options_.writeback, file.inode->file->times.mtime());
  return actWrite(file, in, bytes);
}

void Session::beginToSync(const OpenFile& file, const fuse_write_in& in) {
  const uint64_t step = (in.offset + in.size) / kStreamStep;
  if (!options_.writeback || in.size < kStreamWrite || in.offset / kStreamStep == step) return;
  // It promises nothing, and its errors come again with the fsync.
  if (sync_file_range(file.fd.get(), static_cast<off64_t>((step - 1) * kStreamStep), kStreamStep, SYNC_FILE_RANGE_WRITE) != 0) errno = 0;
}

}  // namespace tidemark
