// Packed segments of the log (docs/FORMAT.md): only the records that are still needed, each at the position it always had. This file knows where in
// the file a position lies.
//
// In: descriptors of packed segments. Out: places in their files.
//
// Invariants:
// 1. A table that was loaded is sound: its checksum is right, its runs stand in order, do not overlap, and lie in the segment and in the file.
// 2. Of the tables that were used, kTables at most and kTablesBytes at most are kept, but always the last. Who has one may go on using it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

namespace tidemark {

class RunTable {
 public:
  // A run: offset of its first byte in the segment that was packed, place of that byte in the file, length.
  struct Run {
    uint64_t offset, fileOffset, length;
  };

  // `segmentBytes`: how long the segment was before it was packed. 0; EILSEQ: damaged; another errno.
  int load(int fd, uint64_t segmentBytes);

  size_t size() const { return starts_.size() - 1; }
  Run at(size_t index) const { return {starts_[index].offset, starts_[index].fileOffset, starts_[index + 1].fileOffset - starts_[index].fileOffset}; }
  // What of the run that has `offset` stands from there on; length 0: none has it.
  Run from(uint64_t offset) const;
  size_t bytes() const { return starts_.size() * sizeof(Start); }

 private:
  // Eight bytes a run: its length follows from where the next one begins in the file.
  struct Start {
    uint32_t offset, fileOffset;
  };
  // Behind the last run stands one that tells where the file ends.
  std::vector<Start> starts_;
};

// The tables used of late. For any thread.
class RunTables {
 public:
  // `owner`: has the descriptor, and stands for the file: a table is only given for the owner that it was loaded for. As RunTable::load.
  int get(const std::shared_ptr<const void>& owner, int fd, uint64_t segmentBytes, std::shared_ptr<const RunTable>* table);

 private:
  static constexpr size_t kTables = 64;
  static constexpr size_t kTablesBytes = 4u << 20;

  struct Kept {
    // Weak: a segment that was replaced is let go while its table is still kept; and no other one is ever taken for it.
    std::weak_ptr<const void> owner;
    std::shared_ptr<const RunTable> table;
  };

  std::shared_ptr<const RunTable> find(const std::shared_ptr<const void>& owner);

  // Guards all below. Taken with no other lock held, and none is taken under it.
  std::mutex mutex_;
  // The one used last stands first.
  std::list<Kept> kept_;
  size_t bytes_ = 0;
};

}  // namespace tidemark
