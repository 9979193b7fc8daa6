#include "packed.h"

#include <errno.h>
#include <sys/stat.h>

#include <algorithm>

#include "crc32c.h"
#include "file_io.h"
#include "record.h"

namespace tidemark {
namespace {

struct TableHead {
  uint32_t count, crc;
};
static_assert(sizeof(TableHead) == 8, "FORMAT: a table begins with 8 bytes");

struct PackedRun {
  uint32_t offset, length;
};
static_assert(sizeof(PackedRun) == 8, "FORMAT: a run takes 8 bytes in the table");

int readWhole(int fd, void* bytes, size_t length, uint64_t offset) {
  const ssize_t count = readFully(fd, static_cast<char*>(bytes), length, offset);
  if (count < 0) return static_cast<int>(-count);
  return static_cast<size_t>(count) == length ? 0 : EILSEQ;
}

}  // namespace

int RunTable::load(int fd, uint64_t segmentBytes) {
  struct stat st;
  if (fstat(fd, &st) != 0) return errno;
  const uint64_t fileBytes = static_cast<uint64_t>(st.st_size);
  TableHead head;
  if (const int error = readWhole(fd, &head, sizeof head, sizeof(SegmentHeader))) return error;
  const uint64_t first = sizeof(SegmentHeader) + sizeof head;
  // The file has the head of the table, or it could not have been read.
  if (head.count > (fileBytes - first) / sizeof(PackedRun)) return EILSEQ;
  std::vector<PackedRun> runs(head.count);
  if (const int error = readWhole(fd, runs.data(), runs.size() * sizeof(PackedRun), first)) return error;
  if (crc32c(runs.data(), runs.size() * sizeof(PackedRun), crc32c(&head.count, sizeof head.count)) != head.crc) return EILSEQ;
  std::vector<Start> starts;
  starts.reserve(runs.size() + 1);
  uint64_t least = sizeof(SegmentHeader);
  uint64_t fileOffset = first + runs.size() * sizeof(PackedRun);
  for (const PackedRun& run : runs) {
    const uint64_t end = uint64_t{run.offset} + run.length;
    const bool isAligned = (run.offset | run.length) % 8 == 0;
    if (!isAligned || run.offset < least || run.length == 0 || end > segmentBytes || fileOffset + run.length > fileBytes) return EILSEQ;
    starts.push_back({run.offset, static_cast<uint32_t>(fileOffset)});
    least = end;
    fileOffset += run.length;
  }
  starts.push_back({static_cast<uint32_t>(segmentBytes), static_cast<uint32_t>(fileOffset)});
  starts_ = std::move(starts);
  return 0;
}

RunTable::Run RunTable::from(uint64_t offset) const {
  const auto after = std::upper_bound(starts_.begin(), std::prev(starts_.end()), offset, [](uint64_t at, const Start& start) { return at < start.offset; });
  if (after == starts_.begin()) return {};
  const Run run = at(static_cast<size_t>(after - starts_.begin()) - 1);
  const uint64_t skipped = offset - run.offset;
  if (skipped >= run.length) return {};
  return {offset, run.fileOffset + skipped, run.length - skipped};
}

std::shared_ptr<const RunTable> RunTables::find(const std::shared_ptr<const void>& owner) {
  std::lock_guard<std::mutex> guard(mutex_);
  const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& kept) { return !kept.owner.owner_before(owner) && !owner.owner_before(kept.owner); });
  if (found == kept_.end()) return nullptr;
  kept_.splice(kept_.begin(), kept_, found);
  return found->table;
}

int RunTables::get(const std::shared_ptr<const void>& owner, int fd, uint64_t segmentBytes, std::shared_ptr<const RunTable>* table) {
  *table = find(owner);
  if (*table != nullptr) return 0;
  // Not under the lock: readers of other segments need not wait for the disk. Two that load the same one both get a good one.
  auto loaded = std::make_shared<RunTable>();
  if (const int error = loaded->load(fd, segmentBytes)) return error;
  *table = loaded;
  std::lock_guard<std::mutex> guard(mutex_);
  kept_.push_front({owner, loaded});
  bytes_ += loaded->bytes();
  while (kept_.size() > kTables || (bytes_ > kTablesBytes && kept_.size() > 1)) {
    bytes_ -= kept_.back().table->bytes();
    kept_.pop_back();
  }
  return 0;
}

}  // namespace tidemark
