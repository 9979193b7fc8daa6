#include "pieces.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>

namespace tidemark {

bool Plan::needsFile() const {
  return std::any_of(pieces.begin(), pieces.end(), [](const Piece& piece) { return piece.kind == static_cast<uint64_t>(PieceKind::kFile); });
}

int PlannedFile::open(Volume* volume, Plan plan, const std::string* hint) {
  volume_ = volume;
  plan_ = std::move(plan);
  uint64_t at = 0;
  for (const Piece& piece : plan_.pieces) {
    if (piece.offset != at || piece.length == 0 || piece.kind > static_cast<uint64_t>(PieceKind::kZero)) return EINVAL;
    at += piece.length;
  }
  if (at != plan_.size) return EINVAL;
  if (!plan_.needsFile()) return 0;
  inode_ = volume->inodes->hold(plan_.file, S_IFREG);
  const int fd = volume->openInode(plan_.file, hint, O_RDONLY);
  if (fd < 0) return -fd;
  fd_.reset(fd);
  return 0;
}

const Piece* PlannedFile::pieceAt(uint64_t offset) const {
  auto after = std::upper_bound(plan_.pieces.begin(), plan_.pieces.end(), offset, [](uint64_t at, const Piece& piece) { return at < piece.offset; });
  return after == plan_.pieces.begin() ? nullptr : &*std::prev(after);
}

ssize_t PlannedFile::readRecord(Lsn record, char* bytes, size_t length, uint64_t offset) const {
  RecordHeader header;
  if (volume_->log.read(record, &header, sizeof header) != static_cast<ssize_t>(sizeof header)) return -EIO;
  const bool fits = header.type == static_cast<uint8_t>(RecordType::kExtent) && header.length <= kMaxRecordBytes && header.length == sizeof header + header.size &&
                    offset >= header.offset && offset + length <= header.offset + header.size;
  if (!fits) return -EIO;
  bool isVerified;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    isVerified = verified_.count(record) != 0;
  }
  if (isVerified) {
    const ssize_t count = volume_->log.read(record + sizeof header + (offset - header.offset), bytes, length);
    return count == static_cast<ssize_t>(length) ? count : -EIO;
  }
  std::unique_ptr<char[]> whole(new char[header.length]);
  if (volume_->log.read(record, whole.get(), header.length) != static_cast<ssize_t>(header.length) || !recordIsSound(whole.get(), header.length)) return -EIO;
  memcpy(bytes, whole.get() + sizeof header + (offset - header.offset), length);
  std::lock_guard<std::mutex> guard(mutex_);
  verified_.insert(record);
  return static_cast<ssize_t>(length);
}

ssize_t PlannedFile::readPiece(const Piece& piece, char* bytes, size_t length, uint64_t offset) const {
  switch (static_cast<PieceKind>(piece.kind)) {
    case PieceKind::kZero:
      memset(bytes, 0, length);
      return static_cast<ssize_t>(length);
    case PieceKind::kLog: return readRecord(piece.position, bytes, length, offset);
    case PieceKind::kFile: break;
  }
  size_t done = 0;
  while (done < length) {
    const ssize_t count = pread(fd_.get(), bytes + done, length - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -errno;
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  // A pre-image is logged before its bytes are overwritten: if none was until now, what was read is what the plan meant.
  if (inode_->lastDataUndo.load(std::memory_order_acquire) > plan_.plannedAt) return -ESTALE;
  // Shorter than the plan says and yet not changed: it was cut behind our back.
  if (done < length) memset(bytes + done, 0, length - done);
  return static_cast<ssize_t>(length);
}

ssize_t PlannedFile::read(char* bytes, size_t length, uint64_t offset) const {
  if (offset >= plan_.size) return 0;
  length = static_cast<size_t>(std::min<uint64_t>(length, plan_.size - offset));
  size_t done = 0;
  for (const Piece* piece = pieceAt(offset); done < length; piece++) {
    const uint64_t at = offset + done;
    const size_t part = static_cast<size_t>(std::min<uint64_t>(length - done, piece->offset + piece->length - at));
    const ssize_t count = readPiece(*piece, bytes + done, part, at);
    if (count < 0) return count;
    done += part;
  }
  return static_cast<ssize_t>(done);
}

int64_t PlannedFile::seek(uint64_t offset, int whence) const {
  if (offset >= plan_.size) return -ENXIO;
  for (const Piece* piece = pieceAt(offset); piece != plan_.pieces.data() + plan_.pieces.size(); piece++) {
    const uint64_t at = std::max(offset, piece->offset);
    const uint64_t end = piece->offset + piece->length;
    if (piece->kind == static_cast<uint64_t>(PieceKind::kFile)) {
      const off_t found = lseek(fd_.get(), static_cast<off_t>(at), whence);
      if (found >= 0 && static_cast<uint64_t>(found) < end) return found;
      // No data before the file's end (ENXIO), or the answer lies behind this piece: look on.
      if (found < 0 && errno != ENXIO) return -errno;
    } else if ((piece->kind == static_cast<uint64_t>(PieceKind::kZero)) == (whence == SEEK_HOLE)) {
      return static_cast<int64_t>(at);
    }
  }
  return whence == SEEK_HOLE ? static_cast<int64_t>(plan_.size) : -ENXIO;
}

}  // namespace tidemark
