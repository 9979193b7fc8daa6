// What requests take of the disk, and what happens to those for which there is no room.
#include <linux/falloc.h>
#include <sys/stat.h>

#include <algorithm>

#include "session.h"

namespace tidemark {
namespace {

// Records of a change, with places and attributes, and the blocks of directories and xattrs that it may make.
constexpr uint64_t kRecordBytes = 16 << 10;
// copy_file_range goes by steps of no more than this.
constexpr uint64_t kCopyBytes = 16 << 20;
constexpr uint64_t kXattrBytes = 64 << 10;

}  // namespace

uint64_t Session::bytesOf(uint64_t node) const {
  Inode* inode = volume_->inodes->byNode(node);
  if (inode == nullptr) return 0;
  const FdLease lease = volume_->inodes->lease(inode);
  struct stat st;
  return lease.valid() && fstatat(lease.fd(), "", &st, AT_EMPTY_PATH) == 0 ? static_cast<uint64_t>(st.st_blocks) * 512 : 0;
}

RoomNeed Session::needOf(const Request& request) const {
  using Kind = RoomNeed::Kind;
  switch (request.header().opcode) {
    case FUSE_WRITE: {
      // New bytes, and those that they destroy.
      const auto* in = request.body<fuse_write_in>();
      return {in == nullptr ? 0 : 2 * uint64_t{in->size} + kRecordBytes, Kind::kBytes};
    }
    case FUSE_CREATE:
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_SYMLINK:
    case FUSE_TMPFILE: return {kRecordBytes, Kind::kInode};
    case FUSE_LINK: return {kRecordBytes, Kind::kBytes};
    case FUSE_RENAME:
    case FUSE_RENAME2:
    case FUSE_UNLINK:
    case FUSE_RMDIR:
    case FUSE_REMOVEXATTR: return {kRecordBytes, Kind::kLittle};
    case FUSE_SETXATTR: return {kXattrBytes + kRecordBytes, Kind::kBytes};
    case FUSE_SETATTR: {
      const auto* in = request.body<fuse_setattr_in>();
      if (in == nullptr || (in->valid & FATTR_SIZE) == 0) return {kRecordBytes, Kind::kLittle};
      const uint64_t held = bytesOf(request.node());
      return {held - std::min<uint64_t>(held, in->size) + kRecordBytes, Kind::kBytes};
    }
    case FUSE_FALLOCATE: {
      const auto* in = request.body<fuse_fallocate_in>();
      if (in == nullptr) return {};
      const bool shifts = (in->mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) != 0;
      const bool punches = (in->mode & FALLOC_FL_PUNCH_HOLE) != 0;
      const uint64_t held = shifts || punches ? bytesOf(request.node()) : 0;
      return {(shifts ? held : punches ? std::min<uint64_t>(held, in->length) : in->length) + kRecordBytes, Kind::kBytes};
    }
    case FUSE_COPY_FILE_RANGE: {
      const auto* in = request.body<fuse_copy_file_range_in>();
      return {in == nullptr ? 0 : 2 * std::min<uint64_t>(in->len, kCopyBytes) + kRecordBytes, Kind::kBytes};
    }
    default: return {};
  }
}

void Session::runWithRoom(Request& request, unsigned failures) {
  const RoomNeed need = needOf(request);
  if (need.bytes == 0) return run(request);
  Room& room = volume_->room;
  const Room::Verdict verdict = room.admit(need);
  if (verdict == Room::Verdict::kWait) return waitForRoom(request, need.bytes, failures);
  if (verdict == Room::Verdict::kRefuse) {
    room.countRefused();
    return request.error(ENOSPC);
  }
  request.mayLackRoom(room.isGuarded() && failures < WaitingRequests::kMostFailures);
  run(request);
  room.done(need.bytes);
  if (!request.lacksRoom()) return;
  if (room.failed()) return waitForRoom(request, need.bytes, failures + 1);
  room.countRefused();
  request.mayLackRoom(false);
  request.error(ENOSPC);
}

void Session::waitForRoom(Request& request, uint64_t bytes, unsigned failures) {
  WaitingRequest waiting;
  // A copy: buffers that are read into are as long as the longest request.
  waiting.bytes.reset(new char[request.length()]);
  memcpy(waiting.bytes.get(), request.all(), request.length());
  waiting.device = request.to().device;
  waiting.length = request.length();
  waiting.latency = request.latency();
  waiting.startNs = request.startNs();
  waiting.sink = request.to().sink;
  waiting.neededBytes = bytes;
  waiting.failures = failures;
  waiting_.add(std::move(waiting));
}

}  // namespace tidemark
