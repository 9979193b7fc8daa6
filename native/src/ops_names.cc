// Names: create, mknod, mkdir, symlink, link, unlink, rmdir, tmpfile. Each is a barrier.
#include <sys/sysmacros.h>

#include "credentials.h"
#include "failpoint.h"
#include "session.h"

namespace tidemark {
namespace {

// The device number as mknod(2) takes it, from the kernel's encoding.
dev_t deviceOf(uint32_t rdev) { return makedev((rdev >> 8) & 0xFFF, (rdev & 0xFF) | ((rdev >> 12) & 0xFFF00)); }

}  // namespace

bool Session::isEmptyDirectory(int directoryFd, const char* name) {
  const int fd = openat(directoryFd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR* directory = fd < 0 ? nullptr : fdopendir(fd);
  if (directory == nullptr) return false;
  int names = 0;
  while (names <= 2 && readdir(directory) != nullptr) names++;
  closedir(directory);
  return names <= 2;
}

int Session::makeOnBacking(int directoryFd, const char* name, const NewNode& wanted, const fuse_in_header& header, UniqueFd* fd) {
  const uint32_t mode = underUmask(wanted.mode, wanted.umask);
  ActAs caller(header.uid, header.gid);
  switch (wanted.operation) {
    case NameOperation::kCreate:
      fd->reset(openat(directoryFd, name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, mode & 07777));
      return fd->valid() ? 0 : errno;
    case NameOperation::kMkdir: return mkdirat(directoryFd, name, mode & 07777) == 0 ? 0 : errno;
    case NameOperation::kSymlink: return symlinkat(wanted.target, directoryFd, name) == 0 ? 0 : errno;
    default: return mknodat(directoryFd, name, mode, wanted.rdev) == 0 ? 0 : errno;
  }
}

int Session::makeNode(const fuse_in_header& header, const char* name, const NewNode& wanted, UniqueFd* fd, fuse_entry_out* entry) {
  Inode* directory = volume_->inodes->byNode(header.nodeid);
  if (directory == nullptr) return ESTALE;
  if (isReserved(directory, name)) return EPERM;
  if (directory->detached) return ENOENT;
  FdLease lease = volume_->inodes->lease(directory);
  if (!lease.valid()) return lease.error();
  const Actor actor = actorOf(header);
  const bool history = !volume_->isExcluded(directory, name);
  {
    ChangeLock lock(volume_->inodes.get(), directory);
    struct stat st;
    FileId id;
    // An undo record that says "absent" must not be written for a name that exists.
    const bool exists = volume_->backing.identify(lease.fd(), name, &st, &id) == 0;
    if (exists && !hasActed(header, st, wanted)) return EEXIST;
    Change change(volume_, actor, &lock);
    if (exists) return adoptNode(directory, name, st, id, history ? &change : nullptr, fd, entry);
    if (history) {
      if (const int error = change.saveAttributes(directory)) return error;
      change.saveName(directory, name, wanted.operation, {}, {{}, wanted.mode & S_IFMT});
      if (const int error = commitAhead(&change, directory)) return error;
    }
    if (const int error = makeOnBacking(lease.fd(), name, wanted, header, fd)) {
      if (history) change.takeBackName(directory, name, {});
      return error;
    }
    const int error = fd->valid() ? volume_->backing.identify(fd->get(), &st, &id) : volume_->backing.identify(lease.fd(), name, &st, &id);
    if (error != 0) return error;
    failpoint("after-act");
    Inode* made = fillEntry(directory, name, st, id, entry);
    if (history) {
      made->placeKnown = true;
      change.batch().place(id, made->type, directory->id, name);
      if (const int error = change.commitSurely()) return error;
      volume_->inodes->keepFlags(made);
      change.bornNow(made);
    }
  }
  if (history) barrier(Reason::kName);
  return 0;
}

void Session::handleCreate(Request& request) {
  const auto* in = request.body<fuse_create_in>();
  const char* name = request.name(sizeof(fuse_create_in));
  if (in == nullptr || name == nullptr) return request.error(EINVAL);
  NewNode wanted;
  wanted.mode = (in->mode & 07777) | S_IFREG;
  wanted.umask = in->umask;
  UniqueFd fd;
  struct {
    fuse_entry_out entry;
    fuse_open_out open;
  } out{};
  if (const int error = makeNode(request.header(), name, wanted, &fd, &out.entry)) return request.error(error);
  Inode* inode = volume_->inodes->byNode(out.entry.nodeid);
  const FileId directory = volume_->inodes->byNode(request.node())->id;
  out.open = openFile(inode, in->flags, request.header(), std::move(fd));
  if (massWatch_.hasRemovals()) watchCreation(directory, name, inode);
  request.value(out);
}

void Session::handleMknod(Request& request) {
  const auto* in = request.body<fuse_mknod_in>();
  const char* name = request.name(sizeof(fuse_mknod_in));
  if (in == nullptr || name == nullptr) return request.error(EINVAL);
  NewNode wanted;
  wanted.mode = in->mode;
  wanted.umask = in->umask;
  wanted.rdev = deviceOf(in->rdev);
  wanted.operation = NameOperation::kMknod;
  UniqueFd fd;
  fuse_entry_out entry;
  if (const int error = makeNode(request.header(), name, wanted, &fd, &entry)) return request.error(error);
  request.value(entry);
}

void Session::handleMkdir(Request& request) {
  const auto* in = request.body<fuse_mkdir_in>();
  const char* name = request.name(sizeof(fuse_mkdir_in));
  if (in == nullptr || name == nullptr) return request.error(EINVAL);
  NewNode wanted;
  wanted.mode = (in->mode & 07777) | S_IFDIR;
  wanted.umask = in->umask;
  wanted.operation = NameOperation::kMkdir;
  UniqueFd fd;
  fuse_entry_out entry;
  if (const int error = makeNode(request.header(), name, wanted, &fd, &entry)) return request.error(error);
  request.value(entry);
}

void Session::handleSymlink(Request& request) {
  const char* name = request.name(0);
  const char* target = request.name(0, 1);
  if (name == nullptr || target == nullptr) return request.error(EINVAL);
  NewNode wanted;
  wanted.mode = S_IFLNK | 0777;
  wanted.target = target;
  wanted.operation = NameOperation::kSymlink;
  UniqueFd fd;
  fuse_entry_out entry;
  if (const int error = makeNode(request.header(), name, wanted, &fd, &entry)) return request.error(error);
  request.value(entry);
}

void Session::handleTmpfile(Request& request) {
  Inode* directory = inodeOf(request);
  const auto* in = request.body<fuse_create_in>();
  if (directory == nullptr || in == nullptr) return request.error(EINVAL);
  FdLease lease = volume_->inodes->lease(directory);
  if (!lease.valid()) return request.error(lease.error());
  UniqueFd fd = madeBefore(request.header());
  if (!fd.valid()) {
    const uint32_t mode = underUmask(in->mode & 07777, in->umask);
    ActAs caller(request.header().uid, request.header().gid);
    fd.reset(openat(lease.fd(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
  }
  if (!fd.valid()) return request.error(errno);
  struct stat st;
  FileId id;
  if (const int error = volume_->backing.identify(fd.get(), &st, &id)) return request.error(error);
  struct {
    fuse_entry_out entry;
    fuse_open_out open;
  } out{};
  // It has no name to be reopened by, and a handle by id would not reach a file without links.
  const int keep = open(Backing::procPath(fd.get()).c_str(), O_PATH | O_CLOEXEC);
  if (keep < 0) return request.error(errno);
  Inode* inode = volume_->inodes->remember(id, S_IFREG, nullptr, "");
  inode->unnamed = true;
  volume_->inodes->keepFlags(inode);
  volume_->inodes->pin(inode, keep);
  out.entry.nodeid = Inodes::nodeOf(inode);
  out.entry.generation = inode->slotGeneration;
  out.entry.attr_valid = 1;
  fillAttributes(inode, st, &out.entry.attr);
  out.open = openFile(inode, in->flags, request.header(), std::move(fd));
  request.value(out);
}

void Session::handleLink(Request& request) {
  Inode* directory = inodeOf(request);
  const auto* in = request.body<fuse_link_in>();
  const char* name = request.name(sizeof(fuse_link_in));
  Inode* inode = in == nullptr ? nullptr : volume_->inodes->byNode(in->oldnodeid);
  if (directory == nullptr || inode == nullptr || name == nullptr) return request.error(EINVAL);
  if (isReserved(directory, name)) return request.error(EPERM);
  if (directory->detached || inode->detached) return request.error(ENOENT);
  FdLease lease = volume_->inodes->lease(directory);
  FdLease source = volume_->inodes->lease(inode);
  if (!lease.valid() || !source.valid()) return request.error(lease.valid() ? source.error() : lease.error());
  const Actor actor = actorOf(request.header());
  const bool history = !volume_->isExcluded(directory, name);
  fuse_entry_out entry;
  {
    ChangeLock lock(volume_->inodes.get(), directory, inode);
    struct stat st;
    FileId id;
    const bool exists = volume_->backing.identify(lease.fd(), name, &st, &id) == 0;
    const bool hasActed = exists && isResent(request.header().unique) && id == inode->id;
    if (exists && !hasActed) return request.error(EEXIST);
    Change change(volume_, actor, &lock);
    if (history && !hasActed) {
      int error = change.saveAttributes(directory);
      if (error == 0) error = change.saveAttributes(inode);
      if (error != 0) return request.error(error);
      change.saveName(directory, name, NameOperation::kLink, {}, {inode->id, inode->type});
      change.batch().place(inode->id, inode->type, directory->id, name);
      error = commitAhead(&change, directory);
      if (error != 0) return request.error(error);
    }
    if (!hasActed && linkat(AT_FDCWD, source.path().c_str(), lease.fd(), name, AT_SYMLINK_FOLLOW) != 0) {
      const int error = errno;
      if (history) change.takeBackName(directory, name, {});
      return request.error(error);
    }
    failpoint("after-act");
    if (const int error = volume_->backing.identify(lease.fd(), name, &st, &id)) return request.error(error);
    if (inode->unnamed) {
      inode->unnamed = false;
      volume_->inodes->moved(inode, directory, name);
      if (history) change.bornNow(inode);
    }
    inode->placeKnown = inode->placeKnown || history;
    volume_->inodes->keepFlags(inode);
    fillEntry(directory, name, st, id, &entry);
  }
  if (history) barrier(Reason::kName);
  request.value(entry);
}

int Session::removeName(Inode* directory, const char* name, const fuse_in_header& header, bool isDirectory) {
  if (isReserved(directory, name)) return EPERM;
  FdLease lease = volume_->inodes->lease(directory);
  if (!lease.valid()) return lease.error();
  struct stat st;
  FileId id;
  const Actor actor = actorOf(header);
  // Of one that is sent again: it has acted, or recovery has, out of the log.
  if (const int error = volume_->backing.identify(lease.fd(), name, &st, &id)) return error == ENOENT && isResent(header.unique) ? 0 : error;
  if (S_ISDIR(st.st_mode) != isDirectory) return isDirectory ? ENOTDIR : EISDIR;
  if (isDirectory && !isEmptyDirectory(lease.fd(), name)) return ENOTEMPTY;
  InodeRef victim = volume_->inodes->hold(id, st.st_mode & S_IFMT);
  if (victim->parent == nullptr) volume_->inodes->moved(victim.get(), directory, name);
  const bool history = !volume_->isExcluded(directory, name);
  // What was done to it before belongs to the snapshot that shows it last.
  if (history) barrier(Reason::kName);
  {
    ChangeLock lock(volume_->inodes.get(), directory, victim.get());
    if (!history) {
      keepForHandles(victim.get());
      return unlinkat(lease.fd(), name, isDirectory ? AT_REMOVEDIR : 0) == 0 ? 0 : errno;
    }
    Change change(volume_, actor, &lock);
    // Read again under the lock: the other name of a pair of links may have gone meanwhile.
    int64_t bornNs;
    if (const int failed = Backing::lookAt(lease.fd(), name, &st, &bornNs)) return failed;
    const bool last = isDirectory || st.st_nlink == 1;
    int error = change.saveAttributes(directory);
    if (error == 0) error = change.saveAttributes(victim.get(), &st);
    if (error != 0) return error;
    change.saveName(directory, name, isDirectory ? NameOperation::kRmdir : NameOperation::kUnlink, {id, victim->type}, {});
    if (const int failed = commitAhead(&change, directory)) return failed;
    if (last) volume_->backing.noteDeparture(lease.fd(), name, {change.position(), victim->bornAt, directory->id, name});
    failpoint("object-move");
    error = last ? volume_->backing.moveToObjects(lease.fd(), name, id) : unlinkat(lease.fd(), name, 0) == 0 ? 0 : errno;
    if (error != 0) {
      change.takeBackName(directory, name, {id, victim->type});
      return error;
    }
    failpoint("after-act");
    if (last) {
      victim->detachedTxid = change.txid();
      victim->detached = true;
      volume_->inodes->keepFlags(victim.get());
      watchRemoval(actor, directory, name, victim.get(), st, bornNs, change.txid());
    }
  }
  barrier(Reason::kName);
  return 0;
}

void Session::handleUnlink(Request& request) {
  Inode* directory = inodeOf(request);
  const char* name = request.name(0);
  if (directory == nullptr || name == nullptr) return request.error(EINVAL);
  awaitWatch(actorOf(request.header()));
  request.error(removeName(directory, name, request.header(), false));
}

void Session::handleRmdir(Request& request) {
  Inode* directory = inodeOf(request);
  const char* name = request.name(0);
  if (directory == nullptr || name == nullptr) return request.error(EINVAL);
  request.error(removeName(directory, name, request.header(), true));
}

}  // namespace tidemark
