#include "volume.h"

#include <errno.h>
#include <fnmatch.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace tidemark {
namespace {

constexpr rlim_t kWantedDescriptors = 65536;

constexpr int kLockTries = 1000;
constexpr useconds_t kLockPauseUs = 5000;

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
  // Who left the mount may still be on his way out.
  for (int tries = resumes ? kLockTries : 1; flock(lockFd_.get(), LOCK_EX | LOCK_NB) != 0; usleep(kLockPauseUs))
    if (errno != EWOULDBLOCK || --tries == 0) return errno;
  char text[16];
  const int length = snprintf(text, sizeof text, "%d\n", getpid());
  if (const int error = room.open(backing.storeFd())) return error;
  // Over what stands there, which takes no room.
  if (pwrite(lockFd_.get(), text, static_cast<size_t>(length), 0) < 0 || ftruncate(lockFd_.get(), length) != 0) return errno;
  return 0;
}

int Volume::open(const VolumeOptions& options, const uint8_t (&id)[16]) {
  strict = options.strict || options.exact;
  exact = options.exact;
  resumes = options.resumes;
  exclude_ = options.exclude;
  if (const int error = backing.open(options.directory)) return error;
  if (const int error = takeLock()) return error;
  log.setLimits(room.segmentBytes(), [this] { return room.giveSlice(); });
  if (const int error = log.open(backing.logFd(), id, &recovery)) return error;
  transactions = std::make_unique<Transactions>(&log, !strict);
  inodes = std::make_unique<Inodes>(&backing, descriptorLimit());
  intents = std::make_unique<Intents>(this);
  if (!resumes && !recovery.clean && !intents->livedOn()) {
    if (const int error = recoverDepartures()) return error;
  }
  recovery.recoveredCount = options.follows ? 0 : recovery.lastSeen - recovery.lastEnded;
  if (const int error = rollForward()) return error;
  if (const int error = transactions->start(recovery.lastEnded, recovery.lastSeen, recovery.lastTimeNs, options.follows)) return error;
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

void Volume::holdChanges() { holdsChanges_.store(true, std::memory_order_release); }

void Volume::releaseChanges() {
  std::lock_guard<std::mutex> lock(holdMutex_);
  holdsChanges_.store(false, std::memory_order_release);
  released_.notify_all();
}

void Volume::awaitChanges() {
  std::unique_lock<std::mutex> lock(holdMutex_);
  released_.wait(lock, [this] { return !holdsChanges(); });
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

namespace {

ssize_t readProc(uint32_t pid, const char* file, char* into, size_t length) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%u/%s", pid, file);
  UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  return fd.valid() ? read(fd.get(), into, length) : -1;
}

// The kernel tells of threads; people know processes. The thread itself when it has gone.
uint32_t processOf(uint32_t thread) {
  char status[256];
  const ssize_t length = readProc(thread, "status", status, sizeof status - 1);
  if (length <= 0) return thread;
  status[length] = 0;
  const char* line = strstr(status, "\nTgid:");
  const unsigned long process = line != nullptr ? strtoul(line + 6, nullptr, 10) : 0;
  return process != 0 ? static_cast<uint32_t>(process) : thread;
}

}  // namespace

void Volume::fillCommand(Actor* actor) {
  constexpr int64_t kFreshNs = 50 * 1000000;
  if (actor->pid == 0) return;
  const int64_t now = wallClockNs();
  std::lock_guard<std::mutex> guard(commandsMutex_);
  Remembered& slot = commands_[actor->pid % 64];
  if (slot.pid != actor->pid || now - slot.atNs > kFreshNs || now < slot.atNs) {
    slot.process = processOf(actor->pid);
    memset(slot.command, 0, sizeof slot.command);
    const ssize_t length = readProc(slot.process, "comm", slot.command, sizeof slot.command - 1);
    if (length > 0 && slot.command[length - 1] == '\n') slot.command[length - 1] = 0;
    const pid_t session = getsid(static_cast<pid_t>(actor->pid));
    slot.session = session >= 0 ? static_cast<uint32_t>(session) : actor->pid;
    slot.pid = actor->pid;
    slot.atNs = now;
  }
  actor->session = slot.session;
  actor->pid = slot.process;
  memcpy(actor->command, slot.command, sizeof actor->command);
}

}  // namespace tidemark
