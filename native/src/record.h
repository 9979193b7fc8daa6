// Log records: their layout (docs/FORMAT.md) and a builder for batches of them.
//
// Invariants:
// 1. A finished batch is whole records, each padded to 8 bytes, each with its checksum: appending it is one write.
// 2. Nothing here reads or writes files.
#pragma once

#include <time.h>

#include <string_view>
#include <vector>

#include "types.h"

namespace tidemark {

enum class RecordType : uint8_t {
  kExtent = 1, kHole = 2, kAttributes = 3, kName = 4, kXattr = 5, kPlace = 6, kEnd = 7, kIntent = 8, kNote = 9, kPin = 10, kKept = 11, kFloor = 12,
};

enum class NameOperation : uint8_t {
  kCreate = 1, kUnlink = 2, kLink = 3, kRenameAway = 4, kRenameTo = 5, kExchange = 6, kMkdir = 7, kRmdir = 8, kSymlink = 9, kMknod = 10, kExternal = 11,
};

// aux of INTENT records.
enum class IntentKind : uint16_t { kBytes = 0, kMtime = 1 };

enum class Note : uint16_t { kMounted = 1, kCleanUnmount = 2, kRecovered = 3, kGap = 4, kPadding = 5, kRetired = 6, kFloor = 7, kDurable = 8, kLength = 9 };

struct SegmentHeader {
  char magic[8];
  uint32_t version;
  uint32_t headerBytes;
  uint8_t volumeId[16];
  uint64_t number;
  uint64_t base;
  // The first without an END when the segment began.
  uint64_t openTxid;
  // Of a packed segment: how long it was before. 0 in others.
  uint32_t packedBytes;
  uint32_t crc;
};
static_assert(sizeof(SegmentHeader) == 64, "FORMAT: a segment header is 64 bytes");

struct RecordHeader {
  uint32_t crc;
  uint32_t length;
  uint8_t type;
  uint8_t flags;
  uint16_t aux;
  uint32_t generation;
  uint64_t txid;
  uint64_t inode;
  uint64_t offset;
  uint64_t size;
};
static_assert(sizeof(RecordHeader) == 48, "FORMAT: a record header is 48 bytes");

struct NameBody {
  uint64_t inodeBefore, inodeAfter;
  uint32_t generationBefore, generationAfter;
  uint32_t typeBefore, typeAfter;
  uint8_t operation;
  uint8_t zero[7];
};
static_assert(sizeof(NameBody) == 40, "FORMAT: a name change is 40 bytes and the name");

struct PlaceBody {
  uint64_t parentInode;
  uint32_t parentGeneration;
  uint32_t type;
};
static_assert(sizeof(PlaceBody) == 16, "FORMAT: a place is 16 bytes and the name");

struct MtimeBody {
  int64_t seconds;
  uint32_t nanoseconds, zero;
};
static_assert(sizeof(MtimeBody) == 16, "FORMAT: the intent of an mtime is 16 bytes");

struct EndBody {
  int64_t timeNs;
  uint32_t uid, gid, pid;
  uint8_t reason, flags;
  uint16_t zero;
};
static_assert(sizeof(EndBody) == 24, "FORMAT: an end is 24 bytes and the command");

constexpr char kSegmentMagic[9] = "TIDELOG1";
constexpr char kPackedMagic[9] = "TIDEPCK1";
constexpr uint32_t kFormatVersion = 1;
constexpr uint32_t kMaxRecordBytes = 2u << 20;
constexpr size_t kLeastPadding = sizeof(RecordHeader) + 8;
constexpr uint32_t kNoValue = 0xFFFFFFFFu;
constexpr uint64_t kBlock = 4096;
constexpr uint64_t kClassBytes[3] = {4096, 65536, 1048576};

inline uint64_t align8(uint64_t value) { return (value + 7) & ~uint64_t{7}; }

// A file id with its type, or type 0 for "absent".
struct NameTarget {
  FileId file;
  uint32_t type = 0;
};

// Collects records of one transaction. Not shared between threads.
class RecordBatch {
 public:
  explicit RecordBatch(Txid txid) : txid_(txid) {}

  bool empty() const { return bytes_.empty(); }
  const char* data() const { return bytes_.data(); }
  size_t size() const { return bytes_.size(); }
  Txid txid() const { return txid_; }
  uint32_t recordCount() const { return recordCount_; }
  // More changes than bytes and times of files.
  void changesMetadata() { changesMetadata_ = true; }
  bool isOfMetadata() const { return changesMetadata_; }
  bool hasEnd() const { return hasEnd_; }
  void clear() {
    bytes_.clear();
    recordCount_ = 0;
  }

  // Opens an extent of at most `capacity` bytes and returns where to put them; finishExtent seals it, dropExtent forgets it.
  char* beginExtent(FileId file, int sizeClass, uint64_t offset, size_t capacity);
  void finishExtent(size_t length);
  void dropExtent();

  // New bytes, beside what they destroy.
  void intent(FileId file, uint64_t offset, const char* bytes, size_t length);
  // A new mtime.
  void intent(FileId file, const struct timespec& mtime);
  void hole(FileId file, int sizeClass, uint64_t offset, uint64_t size);
  void attributes(FileId file, const PackedAttributes& before);
  void name(FileId directory, std::string_view name, NameOperation operation, NameTarget before, NameTarget after);
  // `value` null: the attribute did not exist.
  void xattr(FileId file, std::string_view name, const std::string* value);
  void place(FileId file, uint32_t type, FileId parent, std::string_view name);
  void end(const Actor& actor, Reason reason, uint8_t flags, int64_t timeNs);
  // `position`: kRetired: the file's intents below are no longer needed; kFloor: intents from there on may be; kDurable: what stands below was synced
  // before this was appended; kLength: a length in bytes that the segment's file has to have for what follows to count.
  void note(Note kind, int64_t timeNs, uint64_t position = 0, FileId file = {});
  // A note of `length` bytes in all (a multiple of 8, at least kLeastPadding) that says nothing.
  void padding(size_t length);
  // Takes over the records of another batch of the same transaction.
  void append(const RecordBatch& other);
  void pin(std::string_view name, Txid pinned, bool removed, int64_t timeNs);
  // A part (counted from 0) of what is kept up to `horizon`; the body is the engine's. `more`: another part follows.
  void kept(std::string_view body, Txid horizon, uint16_t part, bool more);
  // Of some files only what snapshots from `floor` on show is kept; the body is the engine's.
  void floor(std::string_view body, Txid floor);
  // A record encoded elsewhere; txid and checksum are filled in. false when its header makes no sense.
  bool encoded(const char* record, size_t length);

 private:
  // A record of which the addon knows no more than its type.
  void ofEngine(RecordType type, std::string_view body, Txid txid, uint16_t aux, uint8_t flags);
  size_t begin(RecordType type, FileId file, uint16_t aux, uint8_t flags, uint64_t offset, uint64_t size);
  void put(const void* bytes, size_t length);
  void seal(size_t start);

  Txid txid_;
  std::vector<char> bytes_;
  uint32_t recordCount_ = 0;
  bool changesMetadata_ = false;
  bool hasEnd_ = false;
  size_t extentStart_ = 0;
};

// true when the bytes at `record` (of which `available` can be read) are a whole record with a good checksum.
bool recordIsSound(const char* record, size_t available);

}  // namespace tidemark
