// Departures: what recovery needs of an inode that left the tree, should the log have lost its record of that with the power.
//
// unlink(2) does not wait for the log (each would cost a flush), and the file system may put the move into objects/ on the disk first. Then the name would be
// gone from every snapshot, for nothing told that it had been there. So the inode carries it along: an extended attribute that is set before the move, and so is on the disk whenever the move is.
//
// Invariants:
// 1. An object of which the log tells is left alone: its departure's position is at or below the log's end, or the tail names it.
// 2. What the log did not tell it tells before the departure is forgotten. An inode of whose creation the log does not tell either is in no snapshot, and goes.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <unordered_set>

#include "volume.h"

namespace tidemark {
namespace {

// Clocks of the log and of the file system are read at different moments, and the latter is a tick behind.
constexpr int64_t kClockSlackNs = 10ll * 1000000000;

// The value of the attribute (FORMAT, Objects); the name follows.
struct PackedDeparture {
  uint64_t position, bornAt, directory;
  uint32_t generation;
} __attribute__((packed));
static_assert(sizeof(PackedDeparture) == 28, "FORMAT: a departure is 28 bytes and a name");

constexpr size_t kMostBytes = sizeof(PackedDeparture) + 256;

// lsetxattr(2) of a name in a directory. 0 or an errno.
int setXattrAt(int directoryFd, const char* name, const char* xattr, const std::string& value) {
  // setxattrat (kernel 6.13) needs no path through /proc.
  constexpr long kSetxattrat = 463;
  static std::atomic<bool> hasSetxattrat{true};
  struct {
    uint64_t value;
    uint32_t size, flags;
  } const arguments = {reinterpret_cast<uint64_t>(value.data()), static_cast<uint32_t>(value.size()), 0};
  if (hasSetxattrat) {
    if (syscall(kSetxattrat, directoryFd, name, AT_SYMLINK_NOFOLLOW, xattr, &arguments, sizeof arguments) == 0) return 0;
    // A sandbox that does not know the call may say EPERM: the path then tells.
    if (errno != ENOSYS && errno != EPERM) return errno;
    if (errno == ENOSYS) hasSetxattrat = false;
  }
  const std::string path = Backing::procPath(directoryFd) + "/" + name;
  return lsetxattr(path.c_str(), xattr, value.data(), value.size(), 0) == 0 ? 0 : errno;
}

bool unpack(const char* bytes, size_t length, Departure* departure) {
  PackedDeparture packed;
  if (length <= sizeof packed) return false;
  memcpy(&packed, bytes, sizeof packed);
  *departure = {packed.position, packed.bornAt, {packed.directory, packed.generation}, std::string(bytes + sizeof packed, length - sizeof packed)};
  return true;
}

struct Lost {
  FileId file;
  uint32_t type;
  Departure departure;
};

}  // namespace

void Backing::noteDeparture(int directoryFd, const char* name, const Departure& departure) const {
  const PackedDeparture packed{departure.position, departure.bornAt, departure.directory.inode, departure.directory.generation};
  const std::string value = std::string(reinterpret_cast<const char*>(&packed), sizeof packed) + departure.name;
  if (setXattrAt(directoryFd, name, kDepartureXattr, value) == EPERM) setXattrAt(directoryFd, name, kUserDepartureXattr, value);
}

void Backing::forgetDeparture(FileId object) const {
  const std::string path = procPath(objectsFd_.get()) + "/" + objectName(object);
  for (const char* xattr : {kDepartureXattr, kUserDepartureXattr}) lremovexattr(path.c_str(), xattr);
}

int Backing::removeObject(FileId object) const {
  const std::string name = objectName(object);
  if (unlinkat(objectsFd_.get(), name.c_str(), 0) == 0) return 0;
  return errno == EISDIR && unlinkat(objectsFd_.get(), name.c_str(), AT_REMOVEDIR) == 0 ? 0 : errno;
}

int Backing::eachDeparture(int64_t sinceNs, const std::function<void(FileId, uint32_t, Departure)>& tell) const {
  for (int i = 0; i < 256; i++) {
    char folder[4];
    snprintf(folder, sizeof folder, "%02x", i);
    struct stat st;
    const int fd = openat(objectsFd_.get(), folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno;
    const bool isRecent = fstat(fd, &st) == 0 && int64_t{st.st_mtim.tv_sec} * 1000000000 + st.st_mtim.tv_nsec >= sinceNs;
    DIR* directory = isRecent ? fdopendir(fd) : nullptr;
    if (directory == nullptr) {
      close(fd);
      continue;
    }
    while (const dirent* entry = readdir(directory)) {
      unsigned long long inode;
      unsigned generation;
      if (sscanf(entry->d_name, "%llx.%x", &inode, &generation) != 2) continue;
      const std::string path = procPath(fd) + "/" + entry->d_name;
      char value[kMostBytes];
      ssize_t length = lgetxattr(path.c_str(), kDepartureXattr, value, sizeof value);
      if (length < 0) length = lgetxattr(path.c_str(), kUserDepartureXattr, value, sizeof value);
      Departure departure;
      if (length < 0 || !unpack(value, static_cast<size_t>(length), &departure)) continue;
      if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) tell({inode, generation}, st.st_mode & S_IFMT, std::move(departure));
    }
    closedir(directory);
  }
  return 0;
}

NameTarget Volume::targetOf(const Departure& departure) const {
  const UniqueFd directory(backing.openById(departure.directory, O_RDONLY | O_DIRECTORY));
  struct stat st;
  FileId file;
  if (!directory.valid() || backing.identify(directory.get(), departure.name.c_str(), &st, &file) != 0) return {};
  return {file, st.st_mode & S_IFMT};
}

int Volume::recoverDepartures() {
  const Lsn end = log.end();
  std::vector<Lost> lost;
  const std::unordered_set<FileId, FileIdHash> told(recovery.unlinked.begin(), recovery.unlinked.end());
  recovery.unlinked.clear();
  const int error = backing.eachDeparture(recovery.lastTimeNs - kClockSlackNs, [&](FileId file, uint32_t type, Departure departure) {
    if (departure.position > end && told.count(file) == 0) lost.push_back({file, type, std::move(departure)});
  });
  if (error != 0 || lost.empty()) return error;
  std::sort(lost.begin(), lost.end(), [](const Lost& a, const Lost& b) { return a.departure.position < b.departure.position; });
  // A transaction of its own: in those that the log has seen, its records count and not these.
  RecordBatch batch(recovery.lastSeen + 1);
  for (const auto& [file, type, departure] : lost) {
    if (departure.bornAt > end) continue;
    const NameTarget now = targetOf(departure);
    const auto operation = now.type != 0 ? NameOperation::kExternal : type == S_IFDIR ? NameOperation::kRmdir : NameOperation::kUnlink;
    batch.place(file, type, departure.directory, departure.name);
    batch.name(departure.directory, departure.name, operation, {file, type}, now);
  }
  if (!batch.empty()) {
    Lsn position;
    if (const int failed = log.append(batch, &position)) return failed;
    if (const int failed = log.waitDurable(position)) return failed;
    recovery.lastSeen++;
  }
  for (const auto& [file, type, departure] : lost) {
    if (departure.bornAt <= end) backing.forgetDeparture(file);
    else if (const int failed = backing.removeObject(file)) return failed;
  }
  return 0;
}

}  // namespace tidemark
