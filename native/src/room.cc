#include "room.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>

#include "log.h"

namespace tidemark {
namespace {

constexpr char kReserveName[] = "reserve";
constexpr uint64_t kMebibyte = 1ull << 20;
// Given up at a time: more than any batch of records that has to be written needs.
constexpr uint64_t kSliceBytes = kMebibyte;
// Fewer free inodes than these: none is left for whoever makes a file.
constexpr uint64_t kLeastInodes = 32;

uint64_t part(uint64_t total, uint64_t divisor, uint64_t least, uint64_t most) { return std::min(std::max(total / divisor, least), most); }

uint64_t floorOf(uint64_t total) { return part(total, 512, kMebibyte / 2, 32 * kMebibyte); }
uint64_t reserveOf(uint64_t total) { return part(total, 128, kMebibyte, 64 * kMebibyte); }
// The index grows by about as much as it reads where records are small, by far less where they are not.
uint64_t mostUnread(uint64_t total) { return part(total, 32, kMebibyte, 64 * kMebibyte); }

}  // namespace

int Room::open(int storeFd) {
  storeFd_ = storeFd;
  struct statvfs st;
  if (fstatvfs(storeFd_, &st) != 0) return errno;
  totalBytes_ = uint64_t{st.f_blocks} * st.f_frsize;
  reserveWanted_ = reserveOf(totalBytes_);
  std::lock_guard<std::mutex> guard(mutex_);
  reserve_.reset(openat(storeFd_, kReserveName, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  // A disk without a free inode: then there is no reserve.
  if (!reserve_.valid()) return errno == ENOSPC || errno == EDQUOT ? 0 : errno;
  struct stat reserve;
  if (fstat(reserve_.get(), &reserve) != 0) return errno;
  reserveBytes_ = static_cast<uint64_t>(reserve.st_size);
  // Opening has to write a little.
  if (uint64_t{st.f_bavail} * st.f_frsize < reserveWanted_ + floorOf(totalBytes_)) cutReserve(0);
  return 0;
}

uint64_t Room::segmentBytes() const { return part(totalBytes_, 64, 2 * kMebibyte, Log::kSegmentBytes); }

int64_t Room::look() {
  struct statvfs st;
  if (fstatvfs(storeFd_, &st) != 0) return INT64_MAX;
  freeBytes_ = uint64_t{st.f_bavail} * st.f_frsize;
  // btrfs makes inodes as they are needed, and tells of none.
  lacksInodes_ = st.f_files > 0 && st.f_favail < kLeastInodes;
  const uint64_t held = reserveBytes_.load();
  const uint64_t wanted = reserveWanted_.load();
  const uint64_t kept = floorOf(totalBytes_) + (wanted > held ? wanted - held : 0) + std::min(unread_.load(), mostUnread(totalBytes_)) + inFlight_.load();
  const int64_t available = static_cast<int64_t>(freeBytes_.load()) - static_cast<int64_t>(kept);
  budget_ = std::max<int64_t>(available, 0);
  return available;
}

Room::Verdict Room::tooMuch() {
  Mode open = Mode::kOpen;
  // The keeper sees it when it looks next.
  mode_.compare_exchange_strong(open, Mode::kShort);
  return mode_.load() == Mode::kRefusing ? Verdict::kRefuse : Verdict::kWait;
}

Room::Verdict Room::admit(const RoomNeed& need) {
  hold(need.bytes);
  if (!isGuarded()) return Verdict::kGo;
  const auto bytes = static_cast<int64_t>(need.bytes);
  const bool isLittle = need.kind == RoomNeed::Kind::kLittle;
  if (mode_.load() != Mode::kShort || isLittle) {
    const bool hasInode = need.kind != RoomNeed::Kind::kInode || !lacksInodes_.load();
    if (hasInode && budget_.fetch_sub(bytes) >= bytes) return Verdict::kGo;
    const int64_t available = look();
    if (available >= 0 && (need.kind != RoomNeed::Kind::kInode || !lacksInodes_.load())) return Verdict::kGo;
    if (isLittle && freeBytes_.load() + reserveBytes_.load() >= (floorOf(totalBytes_) + reserveWanted_.load()) / 4) return Verdict::kGo;
  }
  done(need.bytes);
  return tooMuch();
}

bool Room::failed() {
  if (!isGuarded()) return false;
  budget_ = 0;
  return tooMuch() == Verdict::kWait;
}

void Room::setWaiting(uint64_t count, uint64_t largest) {
  waiting_ = count;
  largestWaiting_ = largest;
}

bool Room::cutReserve(uint64_t bytes) {
  if (!reserve_.valid() || reserveBytes_.load() <= bytes || ftruncate(reserve_.get(), static_cast<off_t>(bytes)) != 0) return false;
  reserveBytes_ = bytes;
  budget_ = 0;
  return true;
}

bool Room::giveSlice() {
  std::lock_guard<std::mutex> guard(mutex_);
  const uint64_t held = reserveBytes_.load();
  return cutReserve(held - std::min(held, kSliceBytes));
}

void Room::giveReserve() {
  std::lock_guard<std::mutex> guard(mutex_);
  cutReserve(0);
}

int Room::makeReserve() {
  std::lock_guard<std::mutex> guard(mutex_);
  const uint64_t wanted = reserveWanted_.load();
  if (reserveBytes_.load() >= wanted) return 0;
  if (!reserve_.valid()) reserve_.reset(openat(storeFd_, kReserveName, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!reserve_.valid()) return errno;
  if (fallocate(reserve_.get(), 0, 0, static_cast<off_t>(wanted)) == 0) {
    reserveBytes_ = wanted;
    return 0;
  }
  const int error = errno;
  // What was had of it counts for nothing; and a file system that cannot set room aside has no reserve.
  if (error == EOPNOTSUPP || error == ENOSYS) reserveWanted_ = 0;
  reserveBytes_ = ftruncate(reserve_.get(), 0) == 0 ? 0 : reserveBytes_.load();
  return error;
}

RoomState Room::state(uint64_t unread) {
  unread_ = unread;
  RoomState state;
  state.availableBytes = look();
  guarded_ = true;
  state.totalBytes = totalBytes_;
  state.reserveBytes = reserveBytes_;
  state.reserveWanted = reserveWanted_;
  state.lacksInodes = lacksInodes_;
  state.isShort = mode_ == Mode::kShort;
  state.isRefusing = mode_ == Mode::kRefusing;
  state.waiting = waiting_;
  state.largestWaiting = largestWaiting_;
  state.refused = refused_;
  return state;
}

void Room::answer(uint64_t mostBytes) {
  mode_ = mostBytes > 0 ? Mode::kOpen : Mode::kRefusing;
  std::lock_guard<std::mutex> guard(answerMutex_);
  if (onAnswer_) onAnswer_(mostBytes);
}

void Room::onAnswer(std::function<void(uint64_t)> call) {
  std::lock_guard<std::mutex> guard(answerMutex_);
  onAnswer_ = std::move(call);
}

}  // namespace tidemark
