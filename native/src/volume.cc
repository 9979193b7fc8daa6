#include "volume.h"

#include <errno.h>
#include <fnmatch.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

namespace tidemark {
namespace {

constexpr rlim_t kWantedDescriptors = 65536;

// Descriptors that may be kept for known inodes: half of what the process may open (root raises that); the rest stays for
// handles, segments and Node.
size_t descriptorLimit() {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 256;
  const struct rlimit wanted = {std::max(limit.rlim_max, kWantedDescriptors), std::max(limit.rlim_max, kWantedDescriptors)};
  if (limit.rlim_cur < wanted.rlim_cur && setrlimit(RLIMIT_NOFILE, &wanted) == 0) limit = wanted;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return std::min<size_t>(limit.rlim_cur / 2, kWantedDescriptors / 2);
}

}  // namespace

Volume::~Volume() = default;

int Volume::takeLock() {
  lockFd_.reset(openat(backing.storeFd(), "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lockFd_.valid()) return errno;
  if (flock(lockFd_.get(), LOCK_EX | LOCK_NB) != 0) return errno;
  char text[16];
  const int length = snprintf(text, sizeof text, "%d\n", getpid());
  if (ftruncate(lockFd_.get(), 0) != 0 || pwrite(lockFd_.get(), text, static_cast<size_t>(length), 0) < 0) return errno;
  return 0;
}

int Volume::open(const VolumeOptions& options, const uint8_t (&id)[16]) {
  strict = options.strict;
  exclude_ = options.exclude;
  if (const int error = backing.open(options.directory)) return error;
  if (const int error = takeLock()) return error;
  if (const int error = log.open(backing.logFd(), id, &recovery)) return error;
  transactions = std::make_unique<Transactions>(&log, !strict);
  inodes = std::make_unique<Inodes>(&backing, descriptorLimit());
  recovery.recoveredCount = recovery.lastSeen - recovery.lastEnded;
  if (const int error = rollForward()) return error;
  if (const int error = transactions->start(recovery.lastEnded, recovery.lastSeen, recovery.lastTimeNs)) return error;
  intents = std::make_unique<Intents>(this);
  if (const int error = intents->recover()) return error;
  RecordBatch batch(recovery.lastSeen + 1);
  if (!recovery.clean) batch.note(Note::kRecovered, wallClockNs());
  batch.note(Note::kMounted, wallClockNs());
  Lsn position;
  if (const int error = log.append(batch, &position)) return error;
  open_ = true;
  return 0;
}

int Volume::close() {
  if (!open_) return 0;
  open_ = false;
  if (const int error = transactions->settle(Reason::kUnmount)) return error;
  if (const int error = intents->retireAll()) return error;
  if (const int error = log.waitDurable(log.end())) return error;
  // The clean mark promises that nothing is missing: it may only reach the disk after everything else has.
  RecordBatch batch(transactions->ended().txid + 1);
  batch.note(Note::kCleanUnmount, wallClockNs());
  Lsn position;
  if (const int error = log.append(batch, &position)) return error;
  if (const int error = log.waitDurable(position)) return error;
  if (const int error = log.finish()) return error;
  lockFd_.reset();
  return 0;
}

bool Volume::isExcluded(Inode* directory, std::string_view name) {
  if (exclude_.empty()) return false;
  if (directory->excluded) return true;
  const std::string own(name);
  std::string path;
  for (const std::string& glob : exclude_) {
    if (glob.find('/') == std::string::npos) {
      if (fnmatch(glob.c_str(), own.c_str(), 0) == 0) return true;
      continue;
    }
    if (path.empty()) {
      if (!inodes->pathOf(directory, &path)) continue;
      path += path.empty() ? own : "/" + own;
    }
    if (fnmatch(glob.c_str() + (glob[0] == '/' ? 1 : 0), path.c_str(), FNM_PATHNAME) == 0) return true;
  }
  return false;
}

int Volume::openInode(FileId id, const std::string* hint, int flags) {
  const int byId = backing.openById(id, flags | O_NOFOLLOW);
  if (byId != -ENOSYS) return byId;
  if (InodeRef known = inodes->find(id)) {
    FdLease lease = inodes->lease(known.get());
    // Opening through /proc follows to the inode itself, also when that is a symlink.
    if (lease.valid()) {
      const int fd = ::open(lease.path().c_str(), (flags & ~O_NOFOLLOW) | O_CLOEXEC);
      if (fd >= 0) return fd;
    }
  }
  if (hint == nullptr) return -ENOENT;
  const int byPath = backing.openByPath(*hint, id, flags);
  return byPath == -ESTALE ? -ENOENT : byPath;
}

void Volume::fillCommand(Actor* actor) {
  constexpr int64_t kFreshNs = 50 * 1000000;
  if (actor->pid == 0) return;
  const int64_t now = wallClockNs();
  std::lock_guard<std::mutex> guard(commandsMutex_);
  Remembered& slot = commands_[actor->pid % 64];
  if (slot.pid != actor->pid || now - slot.atNs > kFreshNs || now < slot.atNs) {
    char path[32];
    snprintf(path, sizeof path, "/proc/%u/comm", actor->pid);
    memset(slot.command, 0, sizeof slot.command);
    UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
    const ssize_t length = fd.valid() ? read(fd.get(), slot.command, sizeof slot.command - 1) : 0;
    if (length > 0 && slot.command[length - 1] == '\n') slot.command[length - 1] = 0;
    slot.pid = actor->pid;
    slot.atNs = now;
  }
  memcpy(actor->command, slot.command, sizeof actor->command);
}

}  // namespace tidemark
