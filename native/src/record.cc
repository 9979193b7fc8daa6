#include "record.h"

#include <time.h>

#include "crc32c.h"

namespace tidemark {

int64_t wallClockNs() {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

size_t RecordBatch::begin(RecordType type, FileId file, uint16_t aux, uint8_t flags, uint64_t offset, uint64_t size) {
  const size_t start = bytes_.size();
  RecordHeader header{};
  header.type = static_cast<uint8_t>(type);
  header.flags = flags;
  header.aux = aux;
  header.generation = file.generation;
  header.txid = txid_;
  header.inode = file.inode;
  header.offset = offset;
  header.size = size;
  put(&header, sizeof header);
  return start;
}

void RecordBatch::put(const void* bytes, size_t length) {
  const char* p = static_cast<const char*>(bytes);
  bytes_.insert(bytes_.end(), p, p + length);
}

void RecordBatch::seal(size_t start) {
  RecordHeader* header = reinterpret_cast<RecordHeader*>(bytes_.data() + start);
  header->length = static_cast<uint32_t>(bytes_.size() - start);
  header->crc = crc32c(bytes_.data() + start + 4, header->length - 4);
  bytes_.resize(align8(bytes_.size()), 0);
  recordCount_++;
}

char* RecordBatch::beginExtent(FileId file, int sizeClass, uint64_t offset, size_t capacity) {
  extentStart_ = begin(RecordType::kExtent, file, static_cast<uint16_t>(sizeClass), 0, offset, 0);
  bytes_.resize(bytes_.size() + capacity);
  return bytes_.data() + extentStart_ + sizeof(RecordHeader);
}

void RecordBatch::finishExtent(size_t length) {
  bytes_.resize(extentStart_ + sizeof(RecordHeader) + length);
  reinterpret_cast<RecordHeader*>(bytes_.data() + extentStart_)->size = length;
  seal(extentStart_);
}

void RecordBatch::dropExtent() { bytes_.resize(extentStart_); }

void RecordBatch::intent(FileId file, uint64_t offset, const char* bytes, size_t length) {
  const size_t start = begin(RecordType::kIntent, file, static_cast<uint16_t>(IntentKind::kBytes), 0, offset, length);
  put(bytes, length);
  seal(start);
}

void RecordBatch::intent(FileId file, const struct timespec& mtime) {
  const MtimeBody body{mtime.tv_sec, static_cast<uint32_t>(mtime.tv_nsec), 0};
  const size_t start = begin(RecordType::kIntent, file, static_cast<uint16_t>(IntentKind::kMtime), 0, 0, sizeof body);
  put(&body, sizeof body);
  seal(start);
}

void RecordBatch::hole(FileId file, int sizeClass, uint64_t offset, uint64_t size) {
  seal(begin(RecordType::kHole, file, static_cast<uint16_t>(sizeClass), 0, offset, size));
}

void RecordBatch::attributes(FileId file, const PackedAttributes& before) {
  const size_t start = begin(RecordType::kAttributes, file, 0, 0, 0, 0);
  put(&before, sizeof before);
  seal(start);
}

void RecordBatch::name(FileId directory, std::string_view name, NameOperation operation, NameTarget before, NameTarget after) {
  const size_t start = begin(RecordType::kName, directory, static_cast<uint16_t>(name.size()), 0, 0, 0);
  NameBody body{};
  body.inodeBefore = before.file.inode;
  body.generationBefore = before.file.generation;
  body.typeBefore = before.type;
  body.inodeAfter = after.file.inode;
  body.generationAfter = after.file.generation;
  body.typeAfter = after.type;
  body.operation = static_cast<uint8_t>(operation);
  put(&body, sizeof body);
  put(name.data(), name.size());
  seal(start);
}

void RecordBatch::xattr(FileId file, std::string_view name, const std::string* value) {
  const size_t start = begin(RecordType::kXattr, file, static_cast<uint16_t>(name.size()), 0, 0, 0);
  const uint32_t head[2] = {value == nullptr ? kNoValue : static_cast<uint32_t>(value->size()), 0};
  put(head, sizeof head);
  put(name.data(), name.size());
  if (value != nullptr) put(value->data(), value->size());
  seal(start);
}

void RecordBatch::place(FileId file, uint32_t type, FileId parent, std::string_view name) {
  const size_t start = begin(RecordType::kPlace, file, static_cast<uint16_t>(name.size()), 0, 0, 0);
  const PlaceBody body{parent.inode, parent.generation, type};
  put(&body, sizeof body);
  put(name.data(), name.size());
  seal(start);
}

void RecordBatch::end(const Actor& actor, Reason reason, uint8_t flags, int64_t timeNs) {
  const size_t length = strnlen(actor.command, sizeof actor.command);
  const size_t start = begin(RecordType::kEnd, FileId{}, static_cast<uint16_t>(length), 0, 0, 0);
  const EndBody body{timeNs, actor.uid, actor.gid, actor.pid, static_cast<uint8_t>(reason), flags, 0};
  put(&body, sizeof body);
  put(actor.command, length);
  seal(start);
  hasEnd_ = true;
}

void RecordBatch::note(Note kind, int64_t timeNs, uint64_t position, FileId file) {
  const size_t start = begin(RecordType::kNote, file, static_cast<uint16_t>(kind), 0, position, 0);
  put(&timeNs, sizeof timeNs);
  seal(start);
}

void RecordBatch::padding(size_t length) {
  const size_t start = begin(RecordType::kNote, FileId{}, static_cast<uint16_t>(Note::kPadding), 0, 0, 0);
  bytes_.resize(start + length, 0);
  seal(start);
}

void RecordBatch::append(const RecordBatch& other) {
  put(other.data(), other.size());
  recordCount_ += other.recordCount_;
}

void RecordBatch::pin(std::string_view name, Txid pinned, bool removed, int64_t timeNs) {
  const Txid own = txid_;
  txid_ = pinned;
  const size_t start = begin(RecordType::kPin, FileId{}, static_cast<uint16_t>(name.size()), removed ? 1 : 0, 0, 0);
  txid_ = own;
  put(&timeNs, sizeof timeNs);
  put(name.data(), name.size());
  seal(start);
}

void RecordBatch::kept(std::string_view body, Txid horizon, uint16_t part, bool more) { ofEngine(RecordType::kKept, body, horizon, part, more ? 1 : 0); }

void RecordBatch::floor(std::string_view body, Txid floor) { ofEngine(RecordType::kFloor, body, floor, 0, 0); }

void RecordBatch::ofEngine(RecordType type, std::string_view body, Txid txid, uint16_t aux, uint8_t flags) {
  const Txid own = txid_;
  txid_ = txid;
  const size_t start = begin(type, FileId{}, aux, flags, 0, 0);
  txid_ = own;
  put(body.data(), body.size());
  seal(start);
}

bool RecordBatch::encoded(const char* record, size_t length) {
  if (length < sizeof(RecordHeader) || length > kMaxRecordBytes) return false;
  RecordHeader header;
  memcpy(&header, record, sizeof header);
  if (header.length < sizeof header || header.length > length) return false;
  const size_t start = bytes_.size();
  put(record, header.length);
  reinterpret_cast<RecordHeader*>(bytes_.data() + start)->txid = txid_;
  seal(start);
  return true;
}

bool recordIsSound(const char* record, size_t available) {
  if (available < sizeof(RecordHeader)) return false;
  RecordHeader header;
  memcpy(&header, record, sizeof header);
  if (header.length < sizeof header || header.length > kMaxRecordBytes || header.length > available) return false;
  return header.type != 0 && crc32c(record + 4, header.length - 4) == header.crc;
}

}  // namespace tidemark
