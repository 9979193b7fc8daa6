#include "intents.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "file_io.h"
#include "intent_replay.h"
#include "volume.h"

namespace tidemark {
namespace {

// Kernel 6.8: a mount's number that is never used again. Not in Debian 12's headers.
constexpr unsigned kStatxUniqueMountId = 0x4000;
constexpr char kInstanceName[] = "instance";

std::string readSmallFile(int directory, const char* name) {
  UniqueFd fd(openat(directory, name, O_RDONLY | O_CLOEXEC));
  char text[128];
  const ssize_t length = fd.valid() ? read(fd.get(), text, sizeof text) : 0;
  return std::string(text, length > 0 ? static_cast<size_t>(length) : 0);
}

}  // namespace

std::string Intents::instance() const {
  struct statx stx;
  if (statx(volume_->backing.rootFd(), "", AT_EMPTY_PATH, kStatxUniqueMountId, &stx) != 0 || (stx.stx_mask & kStatxUniqueMountId) == 0) return {};
  const std::string boot = readSmallFile(AT_FDCWD, "/proc/sys/kernel/random/boot_id");
  return boot.empty() ? boot : boot.substr(0, boot.find('\n')) + " " + std::to_string(stx.stx_mnt_id) + "\n";
}

bool Intents::livedOn() const {
  const std::string now = instance();
  return !now.empty() && readSmallFile(volume_->backing.storeFd(), kInstanceName) == now;
}

int Intents::recover() {
  for (const LoggedIntent& intent : volume_->recovery.intents) {
    begin(intent.file, intent.position);
    appended(intent.file, intent.position + 1);
  }
  // In the page cache they have acted: no sync was answered before. (Of a mount that goes on, some may have to: Session::replayGiven.)
  if (!volume_->resumes && !livedOn()) {
    if (const int error = replay()) return error;
  }
  if (!volume_->resumes) {
    // A file that cannot be synced stays outstanding; all others are to be had.
    retireAll();
    volume_->recovery.intents.clear();
  }
  const std::string now = instance();
  enabled_ = !now.empty() && volume_->strict && volume_->backing.opensById();
  if (!enabled_) return 0;
  UniqueFd fd(openat(volume_->backing.storeFd(), kInstanceName, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  return fd.valid() ? writeFully(fd.get(), now.data(), now.size(), 0) : errno;
}

int Intents::replay() {
  std::unordered_map<FileId, std::vector<LoggedIntent>, FileIdHash> byFile;
  for (const LoggedIntent& intent : volume_->recovery.intents) byFile[intent.file].push_back(intent);
  for (const auto& [file, intents] : byFile) {
    const int opened = volume_->backing.openById(file, O_RDWR);
    // Gone for good since, so nobody can miss it.
    if (opened == -ENOENT) continue;
    if (opened < 0) return -opened;
    const UniqueFd fd(opened);
    if (const int error = IntentReplay(volume_->log, fd.get()).run(intents)) return error;
    replayed_.push_back(file);
  }
  return 0;
}

void Intents::begin(FileId file) { begin(file, volume_->log.end()); }

void Intents::begin(FileId file, Lsn from) {
  std::lock_guard<std::mutex> guard(mutex_);
  Outstanding& outstanding = files_[file];
  outstanding.writing++;
  if (outstanding.first != 0) return;
  outstanding.first = from;
  volume_->log.lowerFloor(outstanding.first);
}

void Intents::appended(FileId file, Lsn position) {
  std::lock_guard<std::mutex> guard(mutex_);
  Outstanding& outstanding = files_[file];
  outstanding.writing--;
  outstanding.last = std::max(outstanding.last, position);
}

Lsn Intents::outstanding(FileId file) const {
  std::lock_guard<std::mutex> guard(mutex_);
  const auto found = files_.find(file);
  return found == files_.end() ? 0 : found->second.last;
}

int Intents::note(const Positions& retired) {
  if (retired.empty()) return 0;
  RecordBatch batch(volume_->transactions->ended().txid + 1);
  for (const auto& [file, position] : retired) batch.note(Note::kRetired, wallClockNs(), position, file);
  Lsn end;
  if (const int error = volume_->log.append(batch, &end)) return error;
  if (const int error = volume_->log.waitDurable(end)) return error;
  std::lock_guard<std::mutex> guard(mutex_);
  for (const auto& [file, position] : retired) {
    const auto found = files_.find(file);
    if (found == files_.end()) continue;
    if (found->second.last <= position && found->second.writing == 0) files_.erase(found);
    else found->second.first = std::max(found->second.first, position);
  }
  Lsn floor = 0;
  for (const auto& [file, outstanding] : files_) floor = floor == 0 ? outstanding.first : std::min(floor, outstanding.first);
  volume_->log.setFloor(floor);
  return 0;
}

int Intents::retired(FileId file, Lsn position) { return note({{file, position}}); }

int Intents::retire(FileId file, int fd) {
  const Lsn position = outstanding(file);
  if (position == 0) return 0;
  if (fsync(fd) != 0) return errno;
  return retired(file, position);
}

int Intents::syncFile(FileId file, Lsn* position) {
  InodeRef inode = volume_->inodes->find(file);
  {
    ChangeLock lock(volume_->inodes.get(), inode.get());
    lock.awaitQuiet();
    *position = outstanding(file);
  }
  const UniqueFd fd(volume_->backing.openById(file, O_RDONLY));
  if (fd.get() == -ENOENT) return 0;
  if (fd.get() < 0) return -fd.get();
  if (fsync(fd.get()) == 0) return 0;
  const int error = errno;
  // The next sync of the file has to hear of it.
  ChangeLock lock(volume_->inodes.get(), inode.get());
  if (inode && inode->file != nullptr) inode->file->needsSync = true;
  return error;
}

int Intents::retireAll() {
  std::vector<FileId> files;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    for (const auto& [file, outstanding] : files_) files.push_back(file);
  }
  int failed = 0;
  Positions done;
  for (const FileId file : files) {
    Lsn position = 0;
    const int error = syncFile(file, &position);
    if (error != 0) failed = error;
    else done.emplace_back(file, position);
  }
  const int error = note(done);
  return failed != 0 ? failed : error;
}

}  // namespace tidemark
