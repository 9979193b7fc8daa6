// Tables that outlive the process: records in shared memory (a memfd, which the keeper holds as well), written in place, from which the next daemon
// makes its own tables again.
//
// A kill can come between any two instructions. What was stored until then is what the next daemon finds, in the order in which it was stored; so each kind of record
// has one field that makes it count, stored last when it begins and first when it ends.
//
// Invariants:
// 1. A record never moves: a table grows by chunks.
// 2. What does not fit any more (no memory) is told in `isBroken`: nobody may go on from such a table.
#pragma once

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <vector>

#include "backing.h"

namespace tidemark {

// Stored as a whole, whenever the kill comes, and not before what was stored earlier.
template <typename T>
using Kept = std::atomic<T>;

template <typename T>
class KeptTable {
 public:
  // A new, empty one. 0 or an errno.
  int create(const char* name) {
    fd_.reset(memfd_create(name, MFD_CLOEXEC));
    return fd_.valid() ? 0 : errno;
  }

  // One that another process has left. 0 or an errno.
  int adopt(UniqueFd fd) {
    fd_ = std::move(fd);
    struct stat st;
    if (!fd_.valid() || fstat(fd_.get(), &st) != 0) return EINVAL;
    while (chunks_.size() * kChunkBytes < static_cast<uint64_t>(st.st_size))
      if (!grow()) return ENOMEM;
    return 0;
  }

  ~KeptTable() {
    for (T* chunk : chunks_) munmap(chunk, kChunkBytes);
  }

  bool exists() const { return fd_.valid(); }
  int fd() const { return fd_.get(); }
  // Records there is room for; those that were never written are zero.
  size_t size() const { return chunks_.size() * kInChunk; }
  bool isBroken() const { return broken_.load(); }

  // The record, or null where there is no table (any more). Under a lock of its owner's.
  T* at(size_t index) {
    if (!exists() || broken_) return nullptr;
    while (index >= size())
      if (!grow()) return nullptr;
    return chunks_[index / kInChunk] + index % kInChunk;
  }

 private:
  static constexpr size_t kInChunk = 4096;
  // A multiple of the page size, whatever the record's.
  static constexpr size_t kChunkBytes = kInChunk * sizeof(T);

  bool grow() {
    const off_t end = static_cast<off_t>((chunks_.size() + 1) * kChunkBytes);
    struct stat st;
    const bool fits = fstat(fd_.get(), &st) == 0 && (st.st_size >= end || ftruncate(fd_.get(), end) == 0);
    void* mapped = fits ? mmap(nullptr, kChunkBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), end - static_cast<off_t>(kChunkBytes)) : MAP_FAILED;
    if (mapped == MAP_FAILED) {
      broken_ = true;
      return false;
    }
    chunks_.push_back(static_cast<T*>(mapped));
    return true;
  }

  UniqueFd fd_;
  std::vector<T*> chunks_;
  std::atomic<bool> broken_{false};
};

// The layouts below are for the daemon that comes next, of this version or a later one.
constexpr uint32_t kKeptLayout = 1;

// An inode by its slot (inodes.h), which is the kernel's node number. It counts while `lookups` is above zero.
struct KeptInode {
  static constexpr uint32_t kDetached = 1, kUnnamed = 2, kExcluded = 4, kPlaceKnown = 8;

  uint64_t inode;
  uint32_t generation;
  // mode & S_IFMT, and the flags above.
  Kept<uint32_t> typeAndFlags;
  Kept<uint64_t> lookups;
  // Writes that were answered, but may not have acted, stand in the log from here on; 0: none.
  Kept<Lsn> givenFrom;
  Kept<uint64_t> parentInode;
  Kept<uint32_t> parentGeneration;
  // Of the last inode that had the slot, also when it does not count any more.
  uint32_t slotGeneration;
};
static_assert(sizeof(KeptInode) == 48, "shared with other processes");

// What a handle is made from again.
struct HandleOrigin {
  uint64_t node;
  // The request that opened it.
  uint64_t unique;
  uint32_t flags;
  Actor actor;
};

// An open file or directory, live or below ".snapshots". It counts while `number`, the kernel's handle, is not zero. The first record is none: its `number` is the last one given.
struct KeptHandle {
  Kept<uint64_t> number;
  HandleOrigin origin;
};
static_assert(sizeof(KeptHandle) == 64, "shared with other processes");

// A node below ".snapshots" that the kernel knows. It counts while `lookups` is above zero.
struct KeptSnapshotNode {
  static constexpr size_t kName = 40;

  Kept<uint64_t> lookups;
  uint64_t number, parent, snapshot, size, inode;
  uint32_t generation;
  // ".snapshots" itself: `inode` and `generation` are of its live directory.
  uint8_t isList;
  // Longer than kName: the name has to be found again.
  uint8_t nameLength;
  uint8_t isPrivileged;
  uint8_t zero;
  char name[kName];
};
static_assert(sizeof(KeptSnapshotNode) == 96, "shared with other processes");

// What a request found that another one cannot tell by looking at the tree: whether it has acted. It counts while `unique` is not zero.
struct KeptAttempt {
  Kept<uint64_t> unique;
  uint64_t inode;
  uint32_t generation;
  uint32_t fact;
};
static_assert(sizeof(KeptAttempt) == 24, "shared with other processes");

// How often a daemon died right after it had taken up a request that is sent again; by a hash of its number.
struct KeptTries {
  Kept<uint64_t> unique;
  Kept<uint64_t> deaths;
  // CLOCK_MONOTONIC.
  Kept<uint64_t> takenUpNs;
};
static_assert(sizeof(KeptTries) == 24, "shared with other processes");

// What was agreed with the kernel.
struct KeptAgreement {
  uint32_t layout;
  uint32_t kernelMinor;
  uint64_t features;
  Kept<uint32_t> isComplete;
  uint32_t zero;
};
static_assert(sizeof(KeptAgreement) == 24, "shared with other processes");

}  // namespace tidemark
