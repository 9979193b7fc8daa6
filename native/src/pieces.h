// Reading a file as of a snapshot from a plan: pieces of the inode itself, of the log, or zeros.
#pragma once

#include <mutex>
#include <set>
#include <vector>

#include "volume.h"

namespace tidemark {

enum class PieceKind : uint64_t { kFile = 0, kLog = 1, kZero = 2 };

struct Piece {
  uint64_t offset;
  uint64_t length;
  uint64_t kind;
  uint64_t position;  // of the record, for kLog
};
static_assert(sizeof(Piece) == 32, "a plan carries four 64-bit numbers a piece");

struct Plan {
  FileId file;
  uint64_t size = 0;
  Lsn plannedAt = 0;
  std::vector<Piece> pieces;

  bool needsFile() const;
};

// A plan, with the descriptors it reads from. Any thread may read through it.
class PlannedFile {
 public:
  // `hint`: where the file may be, for file systems that cannot open by id; may be null. 0 or an errno.
  int open(Volume* volume, Plan plan, const std::string* hint);

  // Reads up to `length` bytes at `offset`, short only at the end. Bytes read, or -errno; -ESTALE when the file has been
  // changed since the plan was made (then what was read may be too new); -EIO when a record of the log is damaged.
  ssize_t read(char* bytes, size_t length, uint64_t offset) const;
  // As lseek(2) with SEEK_DATA or SEEK_HOLE. An offset, or -errno.
  int64_t seek(uint64_t offset, int whence) const;
  uint64_t size() const { return plan_.size; }

 private:
  const Piece* pieceAt(uint64_t offset) const;
  // Reads the record's bytes that stand at `offset` of the file, after its checksum was found good once.
  ssize_t readRecord(Lsn record, char* bytes, size_t length, uint64_t offset) const;
  ssize_t readPiece(const Piece& piece, char* bytes, size_t length, uint64_t offset) const;

  Volume* volume_ = nullptr;
  Plan plan_;
  UniqueFd fd_;
  // Guards verified_: records whose checksum was found good.
  mutable std::mutex mutex_;
  mutable std::set<Lsn> verified_;
  InodeRef inode_;  // holds the Inode in the table, so that its lastDataUndo is seen
};

}  // namespace tidemark
