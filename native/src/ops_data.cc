// Bytes, but for write: read, fsync, fallocate, lseek, copy_file_range.
#include <linux/falloc.h>

#include <algorithm>

#include "failpoint.h"
#include "file_io.h"
#include "session.h"

namespace tidemark {
namespace {

// copy_file_range saves what it overwrites in steps of this, so that memory stays bounded.
constexpr uint64_t kCopyStep = 16u << 20;
// The answer has 32 bits; the caller comes again for the rest.
constexpr uint64_t kCopyMost = 1u << 30;

}  // namespace

void Session::handleRead(Request& request) {
  const auto* in = request.body<fuse_read_in>();
  const auto file = in == nullptr ? nullptr : files_.get(in->fh);
  if (file == nullptr || in->size > kMaxWrite) return request.error(EBADF);
  const int fd = descriptorOf(file.get());
  if (fd < 0) return request.error(-fd);
  awaitGiven(file->inode.get());
  thread_local std::unique_ptr<char[]> bytes(new char[kMaxWrite]);
  // What the page cache has is had without sleeping; for the rest somebody else answers the kernel meanwhile.
  const struct iovec whole = {bytes.get(), in->size};
  const ssize_t cached = preadv2(fd, &whole, 1, static_cast<off_t>(in->offset), RWF_NOWAIT);
  const size_t had = cached > 0 ? static_cast<size_t>(cached) : 0;
  if (cached < 0) mayBlock();
  const ssize_t rest = readFully(fd, bytes.get() + had, in->size - had, in->offset + had);
  if (rest < 0) return request.error(static_cast<int>(-rest));
  request.data(bytes.get(), had + static_cast<size_t>(rest));
}

int Session::syncBoth(int fd, bool dataOnly, Lsn target) {
  // What overwrites waited for has long been durable; the records that are not (of names, sizes, times) need no order, so
  // both flushes run at once and the disk makes one of them.
  const bool waits = volume_->strict && target > volume_->log.durable();
  if (waits) volume_->log.beginSync(target);
  const int error = (dataOnly ? fdatasync(fd) : fsync(fd)) == 0 ? 0 : errno;
  const int logError = waits ? volume_->log.waitDurable(target) : 0;
  return error != 0 ? error : logError;
}

int Session::syncFile(const OpenFile& file, bool dataOnly) {
  Inode* inode = file.inode.get();
  Lsn target = inode->lastUndo;
  Lsn intents = 0;
  {
    ChangeLock lock(volume_->inodes.get(), inode);
    intents = volume_->intents->outstanding(inode->id);
    FileState* state = inode->file.get();
    // What the sync is to cover has to act before. (Else it can do without: a write that still waits is not answered yet.)
    if (intents != 0 || (state != nullptr && state->smallSyncs >= kSmallSyncs)) lock.awaitQuiet();
    target = std::max(target, inode->bornAt);
    if (state != nullptr && isCaptured(inode)) {
      state->needsSync = state->pendingActs > 0;
      if (!dataOnly) state->needsFullSync = false;
      if (state->actError != 0) return state->actError;
    }
  }
  int error = syncBoth(file.fd.get(), dataOnly && intents == 0, target);
  // Older bytes that stand in the log must not be written again over what is synced now.
  if (error == 0 && intents != 0) error = volume_->intents->retired(inode->id, intents);
  if (error == 0) return 0;
  ChangeLock lock(volume_->inodes.get(), inode);
  lock.needSync();
  return error;
}

void Session::handleFsync(Request& request) {
  const auto* in = request.body<fuse_fsync_in>();
  const auto file = in == nullptr ? nullptr : files_.get(in->fh);
  if (file == nullptr) return request.error(EBADF);
  quietBarrier(Reason::kSync, file->writable ? 1 : 0);
  const Txid txid = promised();
  const bool dataOnly = (in->fsync_flags & FUSE_FSYNC_FDATASYNC) != 0;
  if (const int fd = descriptorOf(file.get()); fd < 0) return request.error(-fd);
  if (syncFromLog(request, file, dataOnly, txid)) return;
  mayBlock();
  const int error = syncFile(*file, dataOnly);
  tellBlocksOfSynced(file->inode.get(), file->fd.get());
  answerSync(request.to(), error, txid);
}

void Session::answerSync(const ReplyTo& to, int error, Txid promised) {
  if (error != 0 || promised == 0 || !volume_->peerGate.park(promised, to)) to.error(error);
}

void Session::handleFallocate(Request& request) {
  const auto* in = request.body<fuse_fallocate_in>();
  const auto file = in == nullptr ? nullptr : files_.get(in->fh);
  if (file == nullptr || !file->writable) return request.error(EBADF);
  mayBlock();
  Inode* inode = file->inode.get();
  const int mode = static_cast<int>(in->mode);
  const int fd = file->fd.get();
  bool destroys = (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0;
  uint64_t end = in->offset + in->length;
  if ((mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) != 0) {
    destroys = true;
    end = UINT64_MAX;
  }
  int error = 0;
  {
    ChangeLock lock(volume_->inodes.get(), inode);
    Change change(volume_, file->actor, &lock);
    Sample sample;
    change.showTo(&sample);
    error = change.prepareFile(inode, fd);
    if (error == 0 && destroys) error = change.saveRange(inode, fd, in->offset, end, nullptr);
    if (error == 0) error = commitAhead(&change, inode);
    if (error == 0 && destroys && inode->file != nullptr) error = change.awaitDurable(inode->file->savedLsn);
    const KernelTimes times(fd, options_.writeback);
    if (error == 0 && fallocate(fd, mode, static_cast<off_t>(in->offset), static_cast<off_t>(in->length)) != 0) error = errno;
    if (inode->file != nullptr) inode->file->times.forget();
    if (error == 0) watchPunch(*file, sample, change.txid());
  }
  // Whoever may keep such bits is root; for all others a change of the bytes takes them.
  if (error == 0 && request.header().uid != 0) error = dropPrivilegeBits(*file);
  if (error == 0) {
    file->written = true;
  }
  request.error(error);
}

void Session::handleLseek(Request& request) {
  const auto* in = request.body<fuse_lseek_in>();
  const auto file = in == nullptr ? nullptr : files_.get(in->fh);
  if (file == nullptr) return request.error(EBADF);
  const int fd = descriptorOf(file.get());
  if (fd < 0) return request.error(-fd);
  bool hasWriters;
  {
    ChangeLock lock(volume_->inodes.get(), file->inode.get());
    hasWriters = file->inode->file != nullptr && file->inode->file->writableHandles > 0;
  }
  if (hasWriters && options_.writeback) {
    // Data may be in the kernel's dirty pages alone; whoever copies by SEEK_DATA would lose it.
    mayBlock();
    pushDirtyPages();
    awaitWrites(file->inode.get());
    // Some of them may wait for room.
    if (waiting_.any()) return waitForRoom(request, 0, 0);
  }
  const off_t found = lseek(fd, static_cast<off_t>(in->offset), static_cast<int>(in->whence));
  if (found < 0) return request.error(errno);
  request.value(fuse_lseek_out{static_cast<uint64_t>(found)});
}

ssize_t Session::copyStep(const OpenFile& source, uint64_t sourceOffset, const OpenFile& target, uint64_t offset, uint64_t length, uint32_t flags) {
  Inode* inode = target.inode.get();
  ChangeLock lock(volume_->inodes.get(), inode);
  Change change(volume_, target.actor, &lock);
  Sample sample;
  change.showTo(&sample);
  int error = change.prepareFile(inode, target.fd.get());
  if (error == 0) error = change.saveRange(inode, target.fd.get(), offset, offset + length, nullptr);
  if (error == 0) error = commitAhead(&change, inode);
  if (error == 0 && inode->file != nullptr) error = change.awaitDurable(inode->file->savedLsn);
  if (error != 0) return -error;
  watchCopy(target, sample, source.fd.get(), sourceOffset, length, change.txid());
  const KernelTimes times(target.fd.get(), options_.writeback);
  off_t from = static_cast<off_t>(sourceOffset);
  off_t to = static_cast<off_t>(offset);
  if (inode->file != nullptr) inode->file->times.forget();
  const ssize_t count = copy_file_range(source.fd.get(), &from, target.fd.get(), &to, length, flags);
  return count < 0 ? -errno : count;
}

void Session::handleCopyFileRange(Request& request) {
  const auto* in = request.body<fuse_copy_file_range_in>();
  if (in == nullptr) return request.error(EINVAL);
  // From or into a snapshot the kernel copies by reading and writing.
  if (Snapshots::isSnapshotNode(in->nodeid_out)) return request.error(EROFS);
  const auto source = files_.get(in->fh_in);
  const auto target = files_.get(in->fh_out);
  if (source == nullptr || target == nullptr || !target->writable) return request.error(EBADF);
  mayBlock();
  if (const int fd = descriptorOf(source.get()); fd < 0) return request.error(-fd);
  awaitGiven(source->inode.get());
  awaitWatch(target->actor);
  uint64_t done = 0;
  const uint64_t wanted = std::min<uint64_t>(in->len, kCopyMost);
  while (done < wanted) {
    const uint64_t step = std::min(wanted - done, kCopyStep);
    const ssize_t count = copyStep(*source, in->off_in + done, *target, in->off_out + done, step, static_cast<uint32_t>(in->flags));
    if (count < 0 && done == 0) return request.error(static_cast<int>(-count));
    if (count <= 0) break;
    done += static_cast<uint64_t>(count);
  }
  if (done > 0) target->written = true;
  if (done > 0 && request.header().uid != 0) dropPrivilegeBits(*target);
  request.value(fuse_write_out{static_cast<uint32_t>(done), 0});
}

}  // namespace tidemark
