// The words that every other file uses: file ids, log positions, packed attributes, who asked.
// Layouts here are wire and disk formats (docs/FORMAT.md); each is checked at compile time.
#pragma once

#include <sys/stat.h>
#include <time.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>

namespace tidemark {

using Lsn = uint64_t;
using Txid = uint64_t;

// Inode and generation of the backing file system: one file for ever, because inodes that leave the tree are kept.
struct FileId {
  uint64_t inode = 0;
  uint32_t generation = 0;

  bool operator==(const FileId& other) const { return inode == other.inode && generation == other.generation; }
  bool operator!=(const FileId& other) const { return !(*this == other); }
  size_t hash() const { return (inode * 0x9E3779B97F4A7C15ull) ^ (uint64_t{generation} * 0xC2B2AE3D27D4EB4Full); }
};

struct FileIdHash {
  size_t operator()(FileId id) const { return id.hash(); }
};

// Attributes as the log and JavaScript carry them.
struct PackedAttributes {
  uint32_t mode, uid, gid, nlink;
  uint64_t rdev, size, blocks;
  int64_t atimeSeconds, mtimeSeconds, ctimeSeconds;
  uint32_t atimeNs, mtimeNs, ctimeNs, zero;
};
static_assert(sizeof(PackedAttributes) == 80, "FORMAT: attributes are 80 bytes");

inline PackedAttributes packAttributes(const struct stat& st) {
  PackedAttributes a{};
  a.mode = st.st_mode;
  a.uid = st.st_uid;
  a.gid = st.st_gid;
  a.nlink = static_cast<uint32_t>(st.st_nlink);
  a.rdev = st.st_rdev;
  a.size = static_cast<uint64_t>(st.st_size);
  a.blocks = static_cast<uint64_t>(st.st_blocks);
  a.atimeSeconds = st.st_atim.tv_sec;
  a.mtimeSeconds = st.st_mtim.tv_sec;
  a.ctimeSeconds = st.st_ctim.tv_sec;
  a.atimeNs = static_cast<uint32_t>(st.st_atim.tv_nsec);
  a.mtimeNs = static_cast<uint32_t>(st.st_mtim.tv_nsec);
  a.ctimeNs = static_cast<uint32_t>(st.st_ctim.tv_nsec);
  return a;
}

// Who caused a transaction.
struct Actor {
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t pid = 0;
  // getsid(2) of the process when it was first met; the process itself when it had gone. Not in the log.
  uint32_t session = 0;
  char command[16] = {};
};

// Flags of END (FORMAT): whose changes the transaction may hold besides its actor's.
constexpr uint8_t kFlagSeveralProcesses = 16;
constexpr uint8_t kFlagSeveralActors = 32;

// What END has to tell when the changes of both are in one transaction.
inline uint8_t severalFlags(const Actor& one, const Actor& other) {
  if (one.uid != other.uid || strncmp(one.command, other.command, sizeof one.command) != 0) return kFlagSeveralProcesses | kFlagSeveralActors;
  return one.pid != other.pid ? kFlagSeveralProcesses : 0;
}

// Why a transaction ended (FORMAT, END).
enum class Reason : uint8_t {
  kSync = 1, kClose = 2, kName = 3, kTruncate = 4, kTimer = 5, kQuery = 6, kUnmount = 7, kRecovery = 8, kExternal = 9, kWrite = 10, kActor = 11,
};

int64_t wallClockNs();

// The clock of durations.
inline uint64_t monotonicNs() {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace tidemark
