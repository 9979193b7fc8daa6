#include "capture.h"

#include <errno.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "failpoint.h"
#include "file_io.h"

namespace tidemark {
namespace {

// Batches are appended when they reach this, so that a truncation of any length needs bounded memory.
constexpr size_t kBatchBytes = 4u << 20;

int largestClass(uint64_t offset, uint64_t end) {
  for (int sizeClass = 2; sizeClass > 0; sizeClass--)
    if (offset % kClassBytes[sizeClass] == 0 && offset + kClassBytes[sizeClass] <= end) return sizeClass;
  return 0;
}

bool isZero(const char* bytes, size_t length) { return bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0; }

}  // namespace

Txid Change::begin(Volume* volume, const Actor& actor, ChangeLock* lock, Kind kind) {
  if (kind == Kind::kOther) {
    lock->awaitQuiet();
    lock->needSync();
  }
  for (;;) {
    const Txid txid = volume->transactions->begin(actor, kind == Kind::kTimes ? Transactions::Whose::kKernels : Transactions::Whose::kActors);
    if (lock->isQuiet(txid)) return txid;
    // A barrier came between: the writes that wait belong to an earlier transaction, and have to act first.
    volume->transactions->finish(txid);
    lock->awaitQuiet();
  }
}

Change::Change(Volume* volume, const Actor& actor, ChangeLock* lock, Kind kind) : volume_(volume), kind_(kind), batch_(begin(volume, actor, lock, kind)) {
  if (kind == Kind::kOther) batch_.changesMetadata();
}

Change::~Change() {
  // A read that failed, for one, ended it half-way.
  if (!batch_.empty() || !touched_.empty()) forgetSaved();
  if (!handedOver_) volume_->transactions->finish(batch_.txid());
}

Txid Change::handOver() {
  handedOver_ = true;
  return batch_.txid();
}

void Change::touch(Inode* inode, bool data) { touched_.push_back({inode, data}); }

void Change::savePlace(Inode* inode) {
  if (inode->placeKnown.exchange(true)) return;
  InodeRef parent;
  std::string name;
  if (!volume_->inodes->place(inode, &parent, &name)) {
    inode->placeKnown = false;
    return;
  }
  savePlace(parent.get());
  batch_.place(inode->id, inode->type, parent->id, name);
  placed_.push_back(inode);
}

int Change::saveAttributes(Inode* inode, const struct stat* st) {
  if (!isCaptured(inode) || inode->attributesTxid == txid()) return 0;
  if (inode->detached && inode->attributesTxid > inode->detachedTxid) return 0;
  struct stat now;
  if (st == nullptr) {
    FdLease lease = volume_->inodes->lease(inode);
    if (!lease.valid()) return lease.error();
    if (fstatat(lease.fd(), "", &now, AT_EMPTY_PATH) != 0) return errno;
    volume_->backing.hideStore(inode->id, &now);
    st = &now;
  }
  savePlace(inode);
  batch_.attributes(inode->id, packAttributes(*st));
  inode->attributesTxid = txid();
  touch(inode, false);
  return 0;
}

void Change::bornNow(Inode* inode) {
  inode->attributesTxid = txid();
  inode->bornAt = position_;
}

void Change::saveName(Inode* directory, std::string_view name, NameOperation operation, NameTarget before, NameTarget after) {
  savePlace(directory);
  batch_.name(directory->id, name, operation, before, after);
  touch(directory, false);
}

void Change::takeBackName(Inode* directory, std::string_view name, NameTarget before) {
  // The first record of a transaction counts for what was, the last for what is.
  batch_.name(directory->id, name, NameOperation::kExternal, before, before);
  commitSurely();
}

int Change::saveXattr(Inode* inode, const std::string& path, const char* name) {
  if (!isCaptured(inode)) return 0;
  std::string value(65536, '\0');
  const ssize_t length = getxattr(path.c_str(), name, value.data(), value.size());
  if (length < 0 && errno != ENODATA && errno != EOPNOTSUPP) return errno;
  savePlace(inode);
  if (length >= 0) value.resize(static_cast<size_t>(length));
  batch_.xattr(inode->id, name, length >= 0 ? &value : nullptr);
  touch(inode, false);
  return 0;
}

int Change::prepareFile(Inode* inode, int fd) {
  if (!isCaptured(inode)) return 0;
  if (inode->file == nullptr) inode->file = std::make_unique<FileState>();
  FileState& file = *inode->file;
  if (kind_ == Kind::kOther) {
    if (const int error = volume_->intents->retire(inode->id, fd)) return error;
  }
  // No later snapshot shows a detached file: what was saved once since it left the tree stays enough.
  const bool isSaved = file.txid == txid() || (inode->detached && file.txid > inode->detachedTxid);
  struct stat st;
  if (!isSaved || !file.times.known()) {
    if (const int error = file.times.stat(fd, &st)) return error;
  }
  if (isSaved) {
    file.txid = txid();
    return 0;
  }
  if (!file.blocksKnown) file.blocksTold = st.st_blocks;
  file.blocksKnown = true;
  if (const int error = saveAttributes(inode, &st)) return error;
  // A write drops file capabilities, of which only executables have any.
  if ((st.st_mode & 0111) != 0) {
    char probe;
    if (fgetxattr(fd, "security.capability", &probe, 0) > 0) {
      if (const int error = saveXattr(inode, Backing::procPath(fd), "security.capability")) return error;
    }
  }
  file.txid = txid();
  file.sizeAtBarrier = static_cast<uint64_t>(st.st_size);
  file.sparse = static_cast<uint64_t>(st.st_blocks) * 512 < file.sizeAtBarrier;
  file.saved.clear();
  file.savedLsn = 0;
  return 0;
}

int Change::saveExtent(Inode* inode, int fd, const Extent& extent, uint64_t start, uint64_t end, const char* bytes) {
  FileState& file = *inode->file;
  const auto [sizeClass, offset, length] = extent;
  // A clone is a record of its own: its bytes are read for the checksum, but not written.
  RecordBatch own(txid());
  const bool clones = sizeClass == 2 && length == kClassBytes[2] && volume_->log.clones();
  RecordBatch& batch = clones ? own : batch_;
  char* into = batch.beginExtent(inode->id, sizeClass, offset, length);
  const ssize_t count = readFully(fd, into, length, offset);
  if (count < 0) {
    batch.dropExtent();
    return static_cast<int>(-count);
  }
  // The file may have become shorter since the barrier; what was beyond was saved when it did.
  const uint64_t from = std::max(offset, start);
  const uint64_t until = std::min(offset + static_cast<uint64_t>(count), end);
  const bool same = bytes != nullptr && from < until && memcmp(into + (from - offset), bytes + (from - start), until - from) == 0;
  if (same || count == 0) {
    batch.dropExtent();
    return 0;
  }
  // Files that were filled with zeros to be overwritten later (write-ahead logs) cost no space.
  if (isZero(into, static_cast<size_t>(count))) {
    batch.dropExtent();
    batch_.hole(inode->id, sizeClass, offset, static_cast<uint64_t>(count));
  } else {
    if (sample_ != nullptr) sample_->destroys(static_cast<size_t>(count));
    if (sample_ != nullptr && bytes != nullptr && from < until) sample_->add(bytes + (from - start), until - from, into + (from - offset));
    batch.finishExtent(static_cast<size_t>(count));
    if (clones) {
      const int error = volume_->log.appendCloned(own, fd, offset, &position_);
      if (error == EOPNOTSUPP) batch_.append(own);
      else if (error != 0) return error;
    }
  }
  file.saved.add(offset / kBlock, (offset + kClassBytes[sizeClass]) / kBlock);
  touch(inode, true);
  return 0;
}

int Change::saveDataRun(Inode* inode, int fd, uint64_t first, uint64_t last, uint64_t start, uint64_t end, const char* bytes) {
  const uint64_t runEnd = last * kBlock;
  for (uint64_t offset = first * kBlock; offset < runEnd;) {
    const int sizeClass = largestClass(offset, runEnd);
    const uint64_t length = std::min(kClassBytes[sizeClass], inode->file->sizeAtBarrier - offset);
    if (const int error = saveExtent(inode, fd, {sizeClass, offset, length}, start, end, bytes)) return error;
    offset += kClassBytes[sizeClass];
    if (batch_.size() >= kBatchBytes) {
      if (const int error = commit()) return error;
    }
  }
  return 0;
}

void Change::saveHoles(Inode* inode, uint64_t first, uint64_t last) {
  const uint64_t end = last * kBlock;
  for (uint64_t offset = first * kBlock; offset < end;) {
    const int sizeClass = largestClass(offset, end);
    batch_.hole(inode->id, sizeClass, offset, kClassBytes[sizeClass]);
    offset += kClassBytes[sizeClass];
  }
  inode->file->saved.add(first, last);
  touch(inode, true);
}

int Change::saveRun(Inode* inode, int fd, uint64_t first, uint64_t last, uint64_t start, uint64_t end, const char* bytes) {
  if (!inode->file->sparse) return saveDataRun(inode, fd, first, last, start, end, bytes);
  while (first < last) {
    const off_t data = lseek(fd, static_cast<off_t>(first * kBlock), SEEK_DATA);
    if (data < 0 && errno != ENXIO) return errno;
    const uint64_t dataBlock = data < 0 ? last : std::min(last, static_cast<uint64_t>(data) / kBlock);
    if (dataBlock > first) saveHoles(inode, first, dataBlock);
    if (dataBlock >= last) break;
    const off_t hole = lseek(fd, data, SEEK_HOLE);
    if (hole < 0) return errno;
    const uint64_t holeBlock = std::min(last, (static_cast<uint64_t>(hole) + kBlock - 1) / kBlock);
    if (const int error = saveDataRun(inode, fd, dataBlock, holeBlock, start, end, bytes)) return error;
    first = holeBlock;
  }
  return 0;
}

int Change::saveRange(Inode* inode, int fd, uint64_t start, uint64_t end, const char* bytes) {
  if (!isCaptured(inode)) return 0;
  FileState& file = *inode->file;
  const uint64_t limit = std::min(end, file.sizeAtBarrier);
  if (start >= limit) return 0;
  const uint64_t last = (limit + kBlock - 1) / kBlock;
  uint64_t block = start / kBlock;
  while (block < last) {
    if (file.saved.has(block)) {
      block++;
      continue;
    }
    uint64_t runLast = block + 1;
    while (runLast < last && !file.saved.has(runLast)) runLast++;
    if (const int error = saveRun(inode, fd, block, runLast, start, end, bytes)) return error;
    block = runLast;
  }
  return 0;
}

int Change::commit() { return commitBy(&Log::append); }

int Change::commitSurely() { return commitBy(&Log::appendSurely); }

int Change::commitBy(int (Log::*append)(const RecordBatch&, Lsn*)) {
  if (batch_.empty() && touched_.empty()) return 0;
  const int error = batch_.empty() ? 0 : (volume_->log.*append)(batch_, &position_);
  if (error != 0) {
    forgetSaved();
    return error;
  }
  batch_.clear();
  for (Inode* inode : placed_) volume_->inodes->keepFlags(inode);
  placed_.clear();
  for (const Touched& touched : touched_) {
    touched.inode->lastUndo = position_;
    if (!touched.data) continue;
    touched.inode->lastDataUndo = position_;
    touched.inode->file->savedLsn = position_;
  }
  touched_.clear();
  failpoint("after-undo");
  return 0;
}

void Change::forgetSaved() {
  // Saving twice is harmless (the first record counts); believing that something was saved is not.
  for (const Touched& touched : touched_) {
    touched.inode->attributesTxid = 0;
    if (touched.inode->file != nullptr) touched.inode->file->txid = 0;
  }
  for (Inode* inode : placed_) inode->placeKnown = false;
  touched_.clear();
  placed_.clear();
  batch_.clear();
}

int Change::awaitDurable(Lsn target) { return volume_->strict ? volume_->log.waitDurable(target) : 0; }

}  // namespace tidemark
