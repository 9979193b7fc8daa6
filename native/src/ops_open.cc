// Open and release of files. Handles are never passed through to the backing file: the kernel refuses that beside a writeback cache,
// and without one it refuses writers while a reader is passed through.
#include <unistd.h>

#include "session.h"

namespace tidemark {

void Session::countHandle(Inode* inode, const OpenFile& file) {
  ChangeLock lock(volume_->inodes.get(), inode);
  if (inode->file == nullptr) inode->file = std::make_unique<FileState>();
  FileState& state = *inode->file;
  state.handles++;
  if (!file.writable) return;
  if (state.writableHandles++ > 0) {
    state.severalWriters |= severalFlags(state.writer, file.actor);
    return;
  }
  state.writer = file.actor;
  state.severalWriters = 0;
}

void Session::uncountHandle(Inode* inode, const OpenFile& file) {
  ChangeLock lock(volume_->inodes.get(), inode);
  FileState& state = *inode->file;
  state.handles--;
  if (file.writable) state.writableHandles--;
  // What was saved in the open transaction is forgotten with it; saving again is harmless.
  if (state.handles != 0 || state.pendingActs != 0) return;
  watchClose(file.actor, inode);
  inode->file.reset();
}

int Session::openBacking(Inode* inode, int flags) {
  const int byId = volume_->backing.openById(inode->id, flags);
  if (byId >= 0) return byId;
  FdLease lease = volume_->inodes->lease(inode);
  if (!lease.valid()) return -lease.error();
  int fd = open(lease.path().c_str(), flags);
  if (fd < 0 && errno == EPERM) fd = open(lease.path().c_str(), flags & ~O_NOATIME);
  return fd >= 0 ? fd : -errno;
}

int Session::descriptorOf(OpenFile* file) {
  if (file->isOpen.load(std::memory_order_acquire)) return file->fd.get();
  std::lock_guard<std::mutex> guard(file->openMutex);
  if (file->isOpen.load(std::memory_order_relaxed)) return file->fd.get();
  const int fd = openBacking(file->inode.get(), file->flags);
  if (fd < 0) return fd;
  file->fd.reset(fd);
  file->isOpen.store(true, std::memory_order_release);
  return fd;
}

void Session::keepForHandles(Inode* inode) {
  if (inode->file == nullptr || inode->file->handles == 0) return;
  FdLease lease = volume_->inodes->lease(inode);
  const int fd = lease.valid() ? fcntl(lease.fd(), F_DUPFD_CLOEXEC, 3) : -1;
  if (fd >= 0) volume_->inodes->pin(inode, fd);
}

std::shared_ptr<OpenFile> Session::makeFile(Inode* inode, uint32_t flags, const Actor& actor, UniqueFd fd) {
  auto file = std::make_shared<OpenFile>();
  file->isOpen = fd.valid();
  file->fd = std::move(fd);
  file->flags = O_RDONLY | O_CLOEXEC | (static_cast<int>(flags) & O_NOATIME);
  file->inode = volume_->inodes->hold(inode);
  file->actor = actor;
  file->writable = (flags & O_ACCMODE) != O_RDONLY;
  if (file->writable) writers_++;
  countHandle(inode, *file);
  return file;
}

fuse_open_out Session::openFile(Inode* inode, uint32_t flags, const fuse_in_header& header, UniqueFd fd) {
  fuse_open_out out{};
  out.open_flags = FOPEN_KEEP_CACHE;
  out.fh = openedBefore(files_, header);
  if (out.fh != 0) return out;
  Actor actor;
  if ((flags & O_ACCMODE) != O_RDONLY) actor = actorOf(header);
  out.fh = files_.add(makeFile(inode, flags, actor, std::move(fd)), {Inodes::nodeOf(inode), firstUnique(header.unique), flags, actor});
  return out;
}

void Session::handleOpen(Request& request) {
  Inode* inode = inodeOf(request);
  const auto* in = request.body<fuse_open_in>();
  if (inode == nullptr || in == nullptr) return request.error(ESTALE);
  if (!S_ISREG(inode->type)) return request.error(EINVAL);
  const bool writable = (in->flags & O_ACCMODE) != O_RDONLY;
  // Writers read too: pre-images, and the pages around a small write in the kernel's cache. Appending is done by the
  // kernel, which knows the size; alignment of O_DIRECT is the application's, not ours; truncation comes as SETATTR.
  const int flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | (static_cast<int>(in->flags) & O_NOATIME);
  // Most readers find all they want in the kernel's cache. What is captured can be opened later, too, wherever it will be then.
  const bool opensLater = !writable && isCaptured(inode) && volume_->backing.opensById();
  UniqueFd fd;
  if (!opensLater) {
    const int opened = openBacking(inode, flags);
    if (opened < 0) return request.error(-opened);
    fd.reset(opened);
  }
  request.value(openFile(inode, in->flags, request.header(), std::move(fd)));
}

void Session::handleRelease(Request& request) {
  const auto* in = request.body<fuse_release_in>();
  const auto file = in == nullptr ? nullptr : files_.get(in->fh);
  if (file == nullptr) return request.error(EBADF);
  // While a handle is open the kernel does not forget the inode, and what has yet to act stays known with it.
  awaitGiven(file->inode.get());
  files_.remove(in->fh);
  if (options_.writeback) volume_->inodes->closed(file->inode.get());
  if (file->written) tellBlocks(file->inode.get(), file->fd.get());
  uncountHandle(file->inode.get(), *file);
  if (file->writable) writers_--;
  if (file->written) quietBarrier(Reason::kClose, 0);
  request.error(0);
}

}  // namespace tidemark
