// Directories: opendir, readdir, readdirplus, releasedir, fsyncdir.
#include <sys/syscall.h>

#include "session.h"

namespace tidemark {
namespace {

constexpr size_t kEntriesBytes = 64 << 10;

struct RawEntry {
  uint64_t ino;
  int64_t next;
  uint16_t length;
  uint8_t type;
  char name[];
};

// A listing with attributes pays from about so many files on of which the kernel has forgotten them.
constexpr uint32_t kManyStale = 8;

bool isDots(const char* name) { return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0)); }

// The position behind the last entry of the root, where the shown ".snapshots" stands.
constexpr int64_t kBehindSnapshots = INT64_MAX;

}  // namespace

std::shared_ptr<OpenDirectory> Session::makeDirectory(Inode* inode, const FdLease& lease) {
  auto directory = std::make_shared<OpenDirectory>();
  directory->fd.reset(openat(lease.fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory->fd.valid()) return nullptr;
  directory->inode = volume_->inodes->hold(inode);
  return directory;
}

void Session::handleOpendir(Request& request) {
  Inode* inode = inodeOf(request);
  if (inode == nullptr) return request.error(ESTALE);
  FdLease lease = volume_->inodes->lease(inode);
  if (!lease.valid()) return request.error(lease.error());
  const auto directory = makeDirectory(inode, lease);
  if (directory == nullptr) return request.error(errno);
  fuse_open_out out{};
  // Nobody else changes directories, so what the kernel has listed once stays listed. But where it has forgotten attributes of many files, one more
  // listing, which brings them along, is cheaper than a question for each.
  const bool brings = inode->staleChildren.exchange(0, std::memory_order_relaxed) >= kManyStale;
  out.open_flags = brings ? FOPEN_CACHE_DIR : FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE;
  out.fh = openedBefore(directories_, request.header());
  if (out.fh == 0) out.fh = directories_.add(std::move(directory), {request.node(), firstUnique(request.header().unique), 0, {}});
  request.value(out);
}

bool Session::nextEntries(OpenDirectory* directory) {
  directory->entries.resize(kEntriesBytes);
  const long length = syscall(SYS_getdents64, directory->fd.get(), directory->entries.data(), kEntriesBytes);
  directory->used = 0;
  directory->length = length > 0 ? static_cast<size_t>(length) : 0;
  return length > 0;
}

bool Session::appendEntry(std::vector<char>* out, size_t room, OpenDirectory* directory, const DirectoryEntry& entry, bool plus) {
  const size_t nameLength = strlen(entry.name);
  const size_t head = plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
  const size_t length = FUSE_DIRENT_ALIGN(head + nameLength);
  if (out->size() + length > room) return false;
  const size_t start = out->size();
  out->resize(start + length, 0);
  auto* plusEntry = reinterpret_cast<fuse_direntplus*>(out->data() + start);
  auto* dirent = plus ? &plusEntry->dirent : reinterpret_cast<fuse_dirent*>(out->data() + start);
  dirent->ino = entry.ino;
  dirent->off = static_cast<uint64_t>(entry.next);
  dirent->namelen = static_cast<uint32_t>(nameLength);
  dirent->type = entry.type;
  memcpy(dirent->name, entry.name, nameLength);
  if (!plus || isDots(entry.name)) return true;
  struct stat st;
  FileId id;
  // Without attributes (node number 0) the kernel asks by itself when it wants them.
  if (volume_->backing.identify(directory->fd.get(), entry.name, &st, &id) != 0) return true;
  fillEntry(directory->inode.get(), entry.name, st, id, &plusEntry->entry_out);
  return true;
}

void Session::handleReaddir(Request& request, bool plus) {
  const auto* in = request.body<fuse_read_in>();
  const auto directory = in == nullptr ? nullptr : directories_.get(in->fh);
  if (directory == nullptr || in->size > kMaxWrite) return request.error(EBADF);
  std::lock_guard<std::mutex> guard(directory->mutex);
  const int64_t wanted = static_cast<int64_t>(in->offset);
  const bool isRoot = directory->inode.get() == volume_->inodes->root();
  std::vector<char> out;
  out.reserve(in->size);
  if (wanted == kBehindSnapshots) return request.data(nullptr, 0);
  if (wanted != directory->position || wanted == 0) {
    if (lseek(directory->fd.get(), wanted, SEEK_SET) < 0) return request.error(errno);
    directory->position = wanted;
    directory->used = directory->length = 0;
  }
  for (;;) {
    if (directory->used >= directory->length && !nextEntries(directory.get())) {
      if (isRoot && options_.snapshotsVisible) appendEntry(&out, in->size, directory.get(), {1, kBehindSnapshots, DT_DIR, Snapshots::kName}, plus);
      break;
    }
    const auto* raw = reinterpret_cast<const RawEntry*>(directory->entries.data() + directory->used);
    const bool hidden = isRoot && strcmp(raw->name, Backing::kStoreName) == 0;
    if (!hidden && !appendEntry(&out, in->size, directory.get(), {raw->ino, raw->next, raw->type, raw->name}, plus)) break;
    directory->used += raw->length;
    directory->position = raw->next;
  }
  request.data(out.data(), out.size());
}

void Session::handleReleasedir(Request& request) {
  const auto* in = request.body<fuse_release_in>();
  if (in != nullptr) directories_.remove(in->fh);
  request.error(0);
}

void Session::handleFsyncdir(Request& request) {
  const auto* in = request.body<fuse_fsync_in>();
  const auto directory = in == nullptr ? nullptr : directories_.get(in->fh);
  if (directory == nullptr) return request.error(EBADF);
  mayBlock();
  quietBarrier(Reason::kSync, 0);
  const Txid txid = promised();
  answerSync(request.to(), syncBoth(directory->fd.get(), false, directory->inode->lastUndo), txid);
}

}  // namespace tidemark
