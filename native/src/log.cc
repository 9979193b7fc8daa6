#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>

#include "crc32c.h"
#include "failpoint.h"
#include "file_io.h"
#include "wakefulness.h"

namespace tidemark {

Segment::~Segment() {
  if (fd >= 0) close(fd);
}

Log::~Log() {
  {
    std::lock_guard<std::mutex> guard(syncMutex_);
    stopping_ = true;
    parkedChanged_.notify_all();
  }
  if (completer_.joinable()) completer_.join();
}

int Log::createSegment() {
  const uint64_t number = current_ == nullptr ? 1 : current_->number + 1;
  const Lsn base = end_.load(std::memory_order_relaxed);
  char name[32];
  snprintf(name, sizeof name, "%016llx.log", static_cast<unsigned long long>(number));
  auto segment = std::make_shared<Segment>();
  segment->fd = openat(directoryFd_, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (segment->fd < 0) return errno;
  // The calling thread may have an application's umask.
  fchmod(segment->fd, 0600);
  segment->number = number;
  segment->base = base;
  SegmentHeader header{};
  memcpy(header.magic, kSegmentMagic, sizeof header.magic);
  header.version = kFormatVersion;
  header.headerBytes = sizeof header;
  memcpy(header.volumeId, volumeId_, sizeof header.volumeId);
  header.number = number;
  header.base = base;
  header.openTxid = endedTxid_ + 1;
  header.crc = crc32c(&header, sizeof header - 4);
  RecordBatch floor(lastTxid_);
  const Lsn intents = floor_.load();
  // However short segments are: what recovery needs stands from here on, or in the segment before this one. As far back as a segment is long at most: who holds a transaction
  // open for long must not keep all that space.
  Lsn open = openFrom_.load();
  if (open != 0 && base - open > kSegmentBytes) open = base - kSegmentBytes;
  const Lsn told = intents == 0 || open == 0 ? std::max(intents, open) : std::min(intents, open);
  if (told != 0) floor.note(Note::kFloor, wallClockNs(), told);
  std::vector<char> head(sizeof header + floor.size());
  memcpy(head.data(), &header, sizeof header);
  if (!floor.empty()) memcpy(head.data() + sizeof header, floor.data(), floor.size());
  // The name must be durable before anything below durable() can lie in the segment.
  if (pwrite(segment->fd, head.data(), head.size(), 0) != static_cast<ssize_t>(head.size()) || fsync(segment->fd) != 0 || fsync(directoryFd_) != 0) {
    const int error = errno != 0 ? errno : EIO;
    unlinkat(directoryFd_, name, 0);
    return error;
  }
  if (current_ != nullptr) unsynced_.push_back(current_);
  current_ = segment;
  fileLength_ = head.size();
  zeroedUntil_ = 0;
  std::lock_guard<std::mutex> guard(segmentsMutex_);
  segments_[base] = segment;
  recoveryStart_.store(recoveryStart(told), std::memory_order_release);
  end_.store(base + head.size(), std::memory_order_release);
  return 0;
}

int Log::rollIfFull() {
  if (end_.load(std::memory_order_relaxed) - current_->base < segmentBytes_) return 0;
  // What the power leaves of records that were not synced may have gaps: only the newest segment has such.
  if (const int error = endSegment()) return error;
  if (const int error = createSegment()) return error;
  failpoint("segment-roll");
  return 0;
}

int Log::endSegment() {
  if (fdatasync(current_->fd) != 0) return errno;
  if (!isAhead()) return 0;
  // The lengths that were asked for are had; once that is on the disk they need not be kept.
  const Lsn end = end_.load(std::memory_order_relaxed);
  RecordBatch proof(lastTxid_);
  proof.note(Note::kDurable, wallClockNs(), end);
  if (const int error = writeFully(current_->fd, proof.data(), proof.size(), end - current_->base)) return error;
  end_.store(end + proof.size(), std::memory_order_release);
  if (fdatasync(current_->fd) != 0) return errno;
  return trimZeros();
}

int Log::preface(const RecordBatch& batch, RecordBatch* notes) {
  if (const Lsn synced = durable(); synced != toldDurable_) notes->note(Note::kDurable, wallClockNs(), synced);
  if (batch.isOfMetadata()) metadataTxid_ = std::max(metadataTxid_, batch.txid());
  if (!batch.isOfMetadata() && !(batch.hasEnd() && batch.txid() <= metadataTxid_)) return 0;
  // What tells that a name has changed must not be seen without it. A file is longer only once the journal has been committed, and with it every name
  // changed before: where the batch makes the file longer that comes by itself, over zeros the file is made to grow beside it.
  if (end_.load(std::memory_order_relaxed) - current_->base + notes->size() + batch.size() > fileLength_) return 0;
  // By whole blocks: the end of a file in the middle of one would be written, too.
  const uint64_t longer = (fileLength_ / kBlock + 1) * kBlock;
  if (ftruncate(current_->fd, static_cast<off_t>(longer)) != 0) return errno;
  fileLength_ = longer;
  notes->note(Note::kLength, wallClockNs(), longer);
  return 0;
}

int Log::writeBoth(const RecordBatch& first, const RecordBatch& second, uint64_t offset) {
  const struct iovec parts[] = {{const_cast<char*>(first.data()), first.size()}, {const_cast<char*>(second.data()), second.size()}};
  ssize_t count;
  do count = pwritev(current_->fd, parts, 2, static_cast<off_t>(offset));
  while (count < 0 && errno == EINTR);
  if (count < 0) return errno;
  const size_t done = static_cast<size_t>(count);
  if (done >= first.size()) return writeFully(current_->fd, second.data() + (done - first.size()), second.size() - (done - first.size()), offset + done);
  if (const int error = writeFully(current_->fd, first.data() + done, first.size() - done, offset + done)) return error;
  return writeFully(current_->fd, second.data(), second.size(), offset + first.size());
}

int Log::takeBack(uint64_t offset, size_t length, int error) {
  if (!isAhead()) {
    // Some of it may have reached the disk before it was cut off.
    fileLength_ = offset + length;
    return ftruncate(current_->fd, static_cast<off_t>(offset)) == 0 ? error : EIO;
  }
  const std::vector<char> zeros(length);
  const int failed = writeFully(current_->fd, zeros.data(), length, offset);
  // On a full disk they end where the batch did.
  if (failed == 0 || failed == ENOSPC || failed == EDQUOT) return error;
  return fallocate(current_->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset), static_cast<off_t>(length)) == 0 ? error : EIO;
}

void Log::setLimits(uint64_t segmentBytes, std::function<bool()> more) {
  segmentBytes_ = std::min(segmentBytes, kSegmentBytes);
  more_ = std::move(more);
}

int Log::append(const RecordBatch& batch, Lsn* position) {
  std::lock_guard<std::mutex> guard(appendMutex_);
  const int error = appendDue();
  return error != 0 ? error : appendWithRoom(batch, position);
}

int Log::appendSurely(const RecordBatch& batch, Lsn* position) {
  std::lock_guard<std::mutex> guard(appendMutex_);
  int error = appendDue();
  if (error == 0) error = appendWithRoom(batch, position);
  if (error != ENOSPC && error != EDQUOT) return error;
  due_.push_back(batch);
  return 0;
}

int Log::appendDue() {
  for (; !due_.empty(); due_.pop_front()) {
    Lsn position;
    if (const int error = appendWithRoom(due_.front(), &position)) return error;
  }
  return 0;
}

int Log::appendWithRoom(const RecordBatch& batch, Lsn* position) {
  int error = appendOnce(batch, position);
  while (error == ENOSPC && more_ && more_()) error = appendOnce(batch, position);
  return error;
}

int Log::appendOnce(const RecordBatch& batch, Lsn* position) {
  lastTxid_ = batch.txid();
  if (const int error = rollIfFull()) return error;
  RecordBatch notes(batch.txid());
  const Lsn synced = durable();
  if (const int error = preface(batch, &notes)) return error;
  const Lsn end = end_.load(std::memory_order_relaxed);
  const uint64_t offset = end - current_->base;
  const size_t size = notes.size() + batch.size();
  int error = 0;
  if (armedFailpoint("log-append")) {
    error = writeFully(current_->fd, batch.data(), batch.size() / 2, offset);
    failpoint("log-append");
  }
  if (error == 0) error = writeBoth(notes, batch, offset);
  // Half a batch must not be taken for records by whoever reads the log after a shorter append.
  if (error != 0) return takeBack(offset, size, error);
  toldDurable_ = synced;
  if (batch.hasEnd()) endedTxid_ = batch.txid();
  fileLength_ = std::max(fileLength_, offset + size);
  recordCount_.fetch_add(batch.recordCount(), std::memory_order_relaxed);
  end_.store(end + size, std::memory_order_release);
  *position = end + size;
  return 0;
}

int Log::appendCloned(const RecordBatch& extent, int source, uint64_t offset, Lsn* position) {
  constexpr uint64_t kHead = sizeof(RecordHeader);
  std::lock_guard<std::mutex> guard(appendMutex_);
  if (!clones()) return EOPNOTSUPP;
  lastTxid_ = extent.txid();
  if (const int error = rollIfFull()) return error;
  const Lsn end = end_.load(std::memory_order_relaxed);
  const uint64_t at = end - current_->base;
  // The body has to begin at a block of the file system: a note fills the room before the header.
  uint64_t body = (at + kHead + kBlock - 1) / kBlock * kBlock;
  while (body != at + kHead && body - kHead - at < kLeastPadding) body += kBlock;
  RecordBatch head(extent.txid());
  if (body != at + kHead) head.padding(body - kHead - at);
  std::vector<char> bytes(head.data(), head.data() + head.size());
  bytes.insert(bytes.end(), extent.data(), extent.data() + kHead);
  int error = writeFully(current_->fd, bytes.data(), bytes.size(), at);
  struct file_clone_range range = {source, offset, extent.size() - kHead, body};
  if (error == 0 && ioctl(current_->fd, FICLONERANGE, &range) != 0) {
    const bool cannot = errno == EOPNOTSUPP || errno == ENOTTY || errno == EXDEV || errno == EINVAL || errno == EPERM || errno == ENOSYS;
    if (cannot) clones_ = false;
    error = cannot ? EOPNOTSUPP : errno;
  }
  if (error != 0) return takeBack(at, bytes.size(), error);
  recordCount_.fetch_add(head.recordCount() + 1, std::memory_order_relaxed);
  fileLength_ = std::max<uint64_t>(fileLength_, body + range.src_length);
  end_.store(current_->base + body + range.src_length, std::memory_order_release);
  *position = end_.load(std::memory_order_relaxed);
  return 0;
}

int Log::syncOnce() {
  std::vector<std::shared_ptr<Segment>> segments;
  Lsn target;
  {
    std::lock_guard<std::mutex> guard(appendMutex_);
    segments.swap(unsynced_);
    segments.push_back(current_);
    target = end_.load(std::memory_order_relaxed);
    zeroAhead();
  }
  for (const auto& segment : segments)
    if (fdatasync(segment->fd) != 0) return errno;
  durable_.store(target, std::memory_order_release);
  for (const auto& segment : segments) dropCached(*segment, target);
  return 0;
}

void Log::zeroAhead() {
  static const std::vector<char> zeros(kZeroBytes);
  const Lsn end = end_.load(std::memory_order_relaxed);
  const uint64_t length = end - current_->base;
  // A big one now and then (a database after its checkpoint) is no reason to give up.
  const bool isSmall = end - durable() < kSmallStep;
  smallSyncs_ = isSmall ? std::min(smallSyncs_ + 1, 2 * kSmallSyncs) : smallSyncs_ - std::min(smallSyncs_, kSmallSyncs / 4);
  if (smallSyncs_ < kSmallSyncs || length + kZerosLeft < zeroedUntil_ || length + kZeroBytes > segmentBytes_) return;
  const uint64_t from = std::max(zeroedUntil_, length);
  // Refused or not: it only spares time.
  const ssize_t written = pwrite(current_->fd, zeros.data(), length + kZeroBytes - from, static_cast<off_t>(from));
  if (written <= 0) return;
  zeroedUntil_ = from + static_cast<uint64_t>(written);
  fileLength_ = std::max(fileLength_, zeroedUntil_);
}

int Log::finish() {
  std::lock_guard<std::mutex> guard(appendMutex_);
  return trimZeros();
}

int Log::trimZeros() {
  const uint64_t length = end_.load(std::memory_order_relaxed) - current_->base;
  return !isAhead() || ftruncate(current_->fd, static_cast<off_t>(length)) == 0 ? 0 : errno;
}

void Log::dropCached(Segment& segment, Lsn target) {
  const uint64_t length = std::min(target - segment.base, kSegmentBytes);
  if (length < segment.dropped + kCachedBytes + kDropBytes) return;
  const uint64_t until = length - kCachedBytes;
  // Refused or not: it only spares memory.
  posix_fadvise(segment.fd, static_cast<off_t>(segment.dropped), static_cast<off_t>(until - segment.dropped), POSIX_FADV_DONTNEED);
  segment.dropped = until;
}

void Log::syncLocked(std::unique_lock<std::mutex>& lock) {
  syncing_ = true;
  lock.unlock();
  const int error = syncOnce();
  lock.lock();
  if (error != 0) syncError_ = error;
  syncing_ = false;
  synced_.notify_all();
}

int Log::waitDurable(Lsn target) {
  if (durable() >= target) return 0;
  std::unique_lock<std::mutex> lock(syncMutex_);
  while (durable() < target && syncError_ == 0) {
    if (syncing_) synced_.wait(lock);
    else syncLocked(lock);
  }
  if (!parked_.empty() && !draining_) parkedChanged_.notify_one();
  return durable() >= target ? 0 : syncError_;
}

void Log::beginSync(Lsn target) {
  std::lock_guard<std::mutex> guard(syncMutex_);
  syncWanted_ = std::max(syncWanted_, target);
  if (!syncing_) parkedChanged_.notify_one();
}

void Log::drainParked(std::unique_lock<std::mutex>& lock) {
  draining_ = true;
  while (!parked_.empty()) {
    if (durable() < parked_.begin()->first && syncError_ == 0) {
      if (syncing_) synced_.wait(lock);
      else syncLocked(lock);
      continue;
    }
    const int error = durable() >= parked_.begin()->first ? 0 : syncError_;
    const std::function<void(int)> done = std::move(parked_.begin()->second);
    parked_.erase(parked_.begin());
    lock.unlock();
    done(error);
    lock.lock();
  }
  draining_ = false;
}

void Log::whenDurable(Lsn target, std::function<void(int)> done) {
  std::unique_lock<std::mutex> lock(syncMutex_);
  parked_.emplace(target, std::move(done));
  // Synced on this very thread when nobody is at it: a lone write is spared two changes of thread.
  if (draining_) return;
  if (!syncing_) drainParked(lock);
  else parkedChanged_.notify_one();
}

void Log::soonDurable(Lsn target, std::function<void(int)> done) {
  std::lock_guard<std::mutex> guard(syncMutex_);
  parked_.emplace(target, std::move(done));
  if (!draining_) parkedChanged_.notify_one();
}

void Log::completerLoop() {
  preferThread();
  std::unique_lock<std::mutex> lock(syncMutex_);
  while (!stopping_) {
    if (!parked_.empty() && !draining_) drainParked(lock);
    else if (syncWanted_ > durable() && !syncing_ && syncError_ == 0) syncLocked(lock);
    else parkedChanged_.wait(lock);
  }
}

std::shared_ptr<Segment> Log::segmentAt(Lsn position) const {
  std::lock_guard<std::mutex> guard(segmentsMutex_);
  auto it = segments_.upper_bound(position);
  if (it == segments_.begin()) return nullptr;
  return std::prev(it)->second;
}

ssize_t Log::read(Lsn position, void* bytes, size_t length) const {
  const std::shared_ptr<Segment> segment = segmentAt(position);
  if (segment == nullptr) return -ENOENT;
  const uint64_t offset = position - segment->base;
  if (segment->packedBytes == 0) return readFully(segment->fd, static_cast<char*>(bytes), length, offset);
  std::shared_ptr<const RunTable> table;
  // Without a sound table nobody knows where anything is.
  if (const int error = tables_.get(segment, segment->fd, segment->packedBytes, &table)) return error == EILSEQ ? -EIO : -error;
  const RunTable::Run run = table->from(offset);
  if (run.length == 0) return -ENOENT;
  return readFully(segment->fd, static_cast<char*>(bytes), std::min<uint64_t>(length, run.length), run.fileOffset);
}

int Log::replaceSegment(uint64_t number) {
  // Holds the old one at the end: it goes after the lock has gone, for with its last descriptor 64 MiB are freed.
  std::shared_ptr<Segment> segment;
  if (const int error = openSegment(number, &segment)) return error == ENODATA ? EILSEQ : error;
  // Its maker has just written all of it; history is seldom read.
  posix_fadvise(segment->fd, 0, 0, POSIX_FADV_DONTNEED);
  std::lock_guard<std::mutex> guard(segmentsMutex_);
  const auto old = segments_.find(segment->base);
  if (old == segments_.end() || old->second->number != number) return EINVAL;
  if (segment->base >= packableBelow()) return EBUSY;
  // What is packable has been followed by other segments.
  if (segment->packedBytes != 0 && segment->base + segment->packedBytes != std::next(old)->first) return EINVAL;
  std::swap(old->second, segment);
  return 0;
}

}  // namespace tidemark
