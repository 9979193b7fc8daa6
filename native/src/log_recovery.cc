// Opening a log: finds the segments, scans the last one, cuts a torn tail, tells what was found.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "crc32c.h"
#include "file_io.h"
#include "log.h"

namespace tidemark {
namespace {

bool isPacked(const SegmentHeader& header) { return memcmp(header.magic, kPackedMagic, sizeof header.magic) == 0; }

bool headerIsSound(const SegmentHeader& header) {
  return (isPacked(header) || memcmp(header.magic, kSegmentMagic, sizeof header.magic) == 0) && crc32c(&header, sizeof header - 4) == header.crc;
}

std::vector<uint64_t> segmentNumbers(int directoryFd) {
  std::vector<uint64_t> numbers;
  const int fd = openat(directoryFd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* directory = fd < 0 ? nullptr : fdopendir(fd);
  if (directory == nullptr) return numbers;
  while (const dirent* entry = readdir(directory)) {
    char* tail = nullptr;
    const uint64_t number = strtoull(entry->d_name, &tail, 16);
    if (number != 0 && tail == entry->d_name + 16 && strcmp(tail, ".log") == 0) numbers.push_back(number);
  }
  closedir(directory);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

// The next multiple of 8 from `offset` at which a sound record stands; `size` when there is none.
uint64_t nextSound(const char* bytes, uint64_t offset, uint64_t size) {
  while (offset + sizeof(RecordHeader) <= size) {
    RecordHeader header;
    memcpy(&header, bytes + offset, sizeof header);
    // Checking the length first keeps the search linear: few positions look like a record at all.
    if (header.type >= 1 && header.type <= static_cast<uint8_t>(RecordType::kFloor) && header.length >= sizeof header && recordIsSound(bytes + offset, size - offset)) return offset;
    offset += 8;
  }
  return size;
}

bool isNote(const RecordHeader& header, Note kind) {
  return static_cast<RecordType>(header.type) == RecordType::kNote && header.aux == static_cast<uint16_t>(kind);
}

// Whether records from `offset` on tell that what stood at `position` was synced before they were appended.
bool wasSynced(const char* bytes, uint64_t offset, uint64_t size, Lsn position) {
  for (; offset < size; offset = nextSound(bytes, offset, size)) {
    if (!recordIsSound(bytes + offset, size - offset)) continue;
    RecordHeader header;
    memcpy(&header, bytes + offset, sizeof header);
    if (isNote(header, Note::kDurable) && header.offset > position) return true;
    offset += align8(header.length);
  }
  return false;
}

// How much of [from, end) is more than the zeros that were written ahead.
uint64_t writtenBytes(int fd, uint64_t from, uint64_t end) {
  std::vector<char> bytes(end - from);
  const ssize_t count = pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(from));
  if (count < 0) return end - from;
  size_t length = static_cast<size_t>(count);
  while (length > 0 && bytes[length - 1] == 0) length--;
  return length;
}

}  // namespace

int Log::openSegment(uint64_t number, std::shared_ptr<Segment>* opened) const {
  char name[32];
  snprintf(name, sizeof name, "%016llx.log", static_cast<unsigned long long>(number));
  auto segment = std::make_shared<Segment>();
  segment->fd = openat(directoryFd_, name, O_RDWR | O_CLOEXEC);
  if (segment->fd < 0) return errno;
  SegmentHeader header{};
  const ssize_t count = pread(segment->fd, &header, sizeof header, 0);
  if (count != static_cast<ssize_t>(sizeof header) || !headerIsSound(header)) return ENODATA;
  if (header.version != kFormatVersion || memcmp(header.volumeId, volumeId_, sizeof volumeId_) != 0) return EILSEQ;
  if (isPacked(header) && header.packedBytes < sizeof header) return EILSEQ;
  segment->number = number;
  segment->base = header.base;
  if (isPacked(header)) segment->packedBytes = header.packedBytes;
  *opened = segment;
  return 0;
}

int Log::openSegments() {
  const std::vector<uint64_t> numbers = segmentNumbers(directoryFd_);
  for (size_t i = 0; i < numbers.size(); i++) {
    std::shared_ptr<Segment> segment;
    const int error = openSegment(numbers[i], &segment);
    if (error == 0) {
      segments_[segment->base] = current_ = segment;
      continue;
    }
    // A crash between making the newest segment and writing its header leaves a name without content.
    if (error == ENODATA && i + 1 == numbers.size()) {
      char name[32];
      snprintf(name, sizeof name, "%016llx.log", static_cast<unsigned long long>(numbers[i]));
      if (unlinkat(directoryFd_, name, 0) != 0) return errno;
      continue;
    }
    return error == ENODATA ? EILSEQ : error;
  }
  return 0;
}

void Log::noteName(const RecordHeader& header, const char* body, LogRecovery* found) {
  if (header.length < sizeof header + sizeof(NameBody) + header.aux) return;
  NameBody change;
  memcpy(&change, body, sizeof change);
  const auto operation = static_cast<NameOperation>(change.operation);
  if (operation == NameOperation::kUnlink || operation == NameOperation::kRmdir) found->unlinked.push_back({change.inodeBefore, change.generationBefore});
  found->names.push_back({header.txid,
                          {header.inode, header.generation},
                          std::string(body + sizeof change, header.aux),
                          operation,
                          {{change.inodeBefore, change.generationBefore}, change.typeBefore},
                          {{change.inodeAfter, change.generationAfter}, change.typeAfter}});
}

void Log::noteIntent(const RecordHeader& header, Lsn position, LogRecovery* found) {
  auto& intents = found->intents;
  const FileId file{header.inode, header.generation};
  if (static_cast<RecordType>(header.type) == RecordType::kIntent) {
    if (header.length == sizeof header + header.size) intents.push_back({position, file, static_cast<IntentKind>(header.aux), header.offset, header.size});
    return;
  }
  intents.erase(std::remove_if(intents.begin(), intents.end(), [&](const LoggedIntent& intent) { return intent.file == file && intent.position < header.offset; }),
                intents.end());
}

void Log::noteRecord(const char* record, Lsn position, LogRecovery* found) {
  RecordHeader header;
  memcpy(&header, record, sizeof header);
  const auto type = static_cast<RecordType>(header.type);
  if (type == RecordType::kIntent || isNote(header, Note::kRetired)) noteIntent(header, position, found);
  int64_t timeNs = 0;
  // Up to here everything that was changed is in the log. Other notes are written by an opening, too, which may have been killed while it looked for what is not.
  if (type == RecordType::kEnd || isNote(header, Note::kCleanUnmount)) {
    memcpy(&timeNs, record + sizeof header, sizeof timeNs);
    found->lastTimeNs = std::max(found->lastTimeNs, timeNs);
  }
  if (isNote(header, Note::kDurable)) found->tellsDurable = true;
  if (type == RecordType::kName) noteName(header, record + sizeof header, found);
  if (type == RecordType::kEnd) {
    // They stand in order, and know better than a segment's header.
    found->lastEnded = header.txid;
    auto& names = found->names;
    names.erase(std::remove_if(names.begin(), names.end(), [&](const UnfinishedName& name) { return name.txid <= found->lastEnded; }), names.end());
  }
  if (type != RecordType::kPin && type != RecordType::kNote && type != RecordType::kKept && type != RecordType::kFloor) found->lastSeen = std::max(found->lastSeen, header.txid);
  found->clean = isNote(header, Note::kCleanUnmount);
}

void Log::noteHeader(const SegmentHeader& header, LogRecovery* found) {
  // Of the first segment that is read, until an END is seen.
  if (found->lastEnded == 0 && header.openTxid != 0) found->lastEnded = header.openTxid - 1;
  found->lastSeen = std::max(found->lastSeen, found->lastEnded);
}

int Log::scan(const Segment& segment, LogRecovery* found, uint64_t* good, uint64_t* bytes) const {
  struct stat st;
  if (fstat(segment.fd, &st) != 0) return errno;
  *bytes = static_cast<uint64_t>(st.st_size);
  char* mapped = static_cast<char*>(mmap(nullptr, *bytes, PROT_READ, MAP_SHARED, segment.fd, 0));
  if (mapped == MAP_FAILED) return errno;
  SegmentHeader segmentHeader;
  memcpy(&segmentHeader, mapped, sizeof segmentHeader);
  noteHeader(segmentHeader, found);
  const bool isNewest = &segment == current_.get();
  uint64_t offset = sizeof(SegmentHeader);
  *good = offset;
  while (offset < *bytes) {
    if (recordIsSound(mapped + offset, *bytes - offset)) {
      RecordHeader header;
      memcpy(&header, mapped + offset, sizeof header);
      if (isNewest && isNote(header, Note::kLength)) {
        // Too short and not synced: the journal was not committed after what the next record tells.
        if (header.offset > *bytes && !wasSynced(mapped, offset, *bytes, segment.base + offset)) break;
        if (header.offset <= *bytes) found->lengthNeeded = std::max(found->lengthNeeded, header.offset);
      }
      noteRecord(mapped + offset, segment.base + offset, found);
      offset += align8(header.length);
      *good = offset;
      continue;
    }
    const uint64_t next = nextSound(mapped, offset + 8, *bytes);
    if (isNewest && found->tellsDurable && !wasSynced(mapped, next, *bytes, segment.base + offset)) break;
    if (next < *bytes) found->damagedAt.push_back(segment.base + offset);
    offset = next;
  }
  munmap(mapped, *bytes);
  if (found->lastTimeNs == 0) found->lastTimeNs = int64_t{st.st_mtim.tv_sec} * 1000000000 + st.st_mtim.tv_nsec;
  return 0;
}

int Log::scanPacked(const std::shared_ptr<Segment>& segment, LogRecovery* found) const {
  std::shared_ptr<const RunTable> table;
  const int error = tables_.get(segment, segment->fd, segment->packedBytes, &table);
  if (error == EILSEQ) found->damagedAt.push_back(segment->base);
  if (error != 0) return error == EILSEQ ? 0 : error;
  std::vector<char> bytes(sizeof(SegmentHeader));
  SegmentHeader header;
  if (readFully(segment->fd, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) return EIO;
  memcpy(&header, bytes.data(), sizeof header);
  noteHeader(header, found);
  for (size_t i = 0; i < table->size(); i++) {
    const RunTable::Run run = table->at(i);
    bytes.resize(run.length);
    if (readFully(segment->fd, bytes.data(), run.length, run.fileOffset) != static_cast<ssize_t>(run.length)) return EIO;
    for (uint64_t offset = 0; offset < run.length;) {
      const uint64_t sound = nextSound(bytes.data(), offset, run.length);
      if (sound != offset) found->damagedAt.push_back(segment->base + run.offset + offset);
      offset = sound;
      if (offset == run.length) break;
      RecordHeader record;
      memcpy(&record, bytes.data() + offset, sizeof record);
      noteRecord(bytes.data() + offset, segment->base + run.offset + offset, found);
      offset += align8(record.length);
    }
  }
  return 0;
}

Lsn Log::recoveryStart(Lsn floor) const {
  const auto last = std::prev(segments_.end());
  // A transaction may have begun in the segment before the last and lack its END.
  const Lsn start = last == segments_.begin() ? last->first : std::prev(last)->first;
  const auto holder = segments_.upper_bound(floor);
  return floor == 0 || holder == segments_.begin() ? start : std::min(start, std::prev(holder)->first);
}

Lsn Log::toldFloor() const {
  char first[sizeof(RecordHeader) + sizeof(int64_t)];
  if (pread(current_->fd, first, sizeof first, sizeof(SegmentHeader)) != static_cast<ssize_t>(sizeof first) || !recordIsSound(first, sizeof first)) return 0;
  RecordHeader header;
  memcpy(&header, first, sizeof header);
  return isNote(header, Note::kFloor) ? header.offset : 0;
}

int Log::recoverTail(LogRecovery* found) {
  uint64_t good = 0;
  uint64_t bytes = 0;
  recoveryStart_ = recoveryStart(toldFloor());
  // None of these was packed, unless newer ones were lost.
  for (auto segment = segments_.find(recoveryStart_); segment != segments_.end(); segment++) {
    const bool isPacked = segment->second->packedBytes != 0;
    if (const int error = isPacked ? scanPacked(segment->second, found) : scan(*segment->second, found, &good, &bytes)) return error;
  }
  if (current_->packedBytes != 0) {
    end_ = current_->base + current_->packedBytes;
    return 0;
  }
  if (good < bytes) found->tornBytes = writtenBytes(current_->fd, good, bytes);
  // good > bytes: the last record's padding was not written; the file has to end where end() says.
  const bool keepsLength = found->lengthNeeded > good;
  if (good != bytes && !keepsLength && ftruncate(current_->fd, static_cast<off_t>(good)) != 0) return errno;
  fileLength_ = keepsLength ? bytes : good;
  end_ = current_->base + good;
  if (!keepsLength || found->tornBytes == 0) return 0;
  const std::vector<char> zeros(found->tornBytes);
  return writeFully(current_->fd, zeros.data(), zeros.size(), good);
}

int Log::open(int directoryFd, const uint8_t (&volumeId)[16], LogRecovery* found) {
  directoryFd_ = directoryFd;
  memcpy(volumeId_, volumeId, sizeof volumeId_);
  if (const int error = openSegments()) return error;
  completer_ = std::thread([this] { completerLoop(); });
  if (current_ == nullptr) {
    lastTxid_ = 1;
    return createSegment();
  }
  if (const int error = recoverTail(found)) return error;
  // What an earlier process appended may never have been synced; from here on it counts as ours.
  if (fdatasync(current_->fd) != 0) return errno;
  durable_ = end_.load();
  lastTxid_ = found->lastSeen + 1;
  endedTxid_ = found->lastEnded;
  // Nothing is ever appended to a packed one.
  return current_->packedBytes != 0 ? createSegment() : 0;
}

}  // namespace tidemark
