// Lookup, attributes, extended attributes, readlink, statfs.
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <algorithm>

#include "session.h"

namespace tidemark {
namespace {

// Nobody but us changes the tree: what the kernel was told stays true until it changes it itself.
constexpr uint64_t kForeverSeconds = 86400;

constexpr const char* kAccessAcl = "system.posix_acl_access";

bool isPermission(const char* name) { return strncmp(name, "system.posix_acl_", 17) == 0; }

struct timespec timeOf(uint32_t valid, uint32_t set, uint32_t now, uint64_t seconds, uint32_t nanoseconds) {
  struct timespec time;
  time.tv_sec = static_cast<time_t>(seconds);
  time.tv_nsec = (valid & now) != 0 ? UTIME_NOW : (valid & set) != 0 ? static_cast<long>(nanoseconds) : UTIME_OMIT;
  return time;
}

}  // namespace

void Session::fillAttributes(const Inode* inode, const struct stat& st, fuse_attr* attr) const {
  attr->ino = st.st_ino;
  attr->size = static_cast<uint64_t>(st.st_size);
  attr->blocks = static_cast<uint64_t>(st.st_blocks);
  attr->atime = static_cast<uint64_t>(st.st_atim.tv_sec);
  attr->mtime = static_cast<uint64_t>(st.st_mtim.tv_sec);
  attr->ctime = static_cast<uint64_t>(st.st_ctim.tv_sec);
  attr->atimensec = static_cast<uint32_t>(st.st_atim.tv_nsec);
  attr->mtimensec = static_cast<uint32_t>(st.st_mtim.tv_nsec);
  attr->ctimensec = static_cast<uint32_t>(st.st_ctim.tv_nsec);
  attr->mode = st.st_mode;
  // In objects/ the inode still has a name, of which the application must not know.
  struct stat shown = st;
  volume_->backing.hideStore(inode->id, &shown);
  attr->nlink = inode->detached ? 0 : static_cast<uint32_t>(shown.st_nlink);
  attr->uid = st.st_uid;
  attr->gid = st.st_gid;
  // The kernel's encoding of device numbers: 20 bits of minor around 12 of major.
  attr->rdev = (minor(st.st_rdev) & 0xFF) | (major(st.st_rdev) << 8) | ((minor(st.st_rdev) & ~0xFFu) << 12);
  attr->blksize = static_cast<uint32_t>(st.st_blksize);
}

Inode* Session::fillEntry(Inode* directory, std::string_view name, const struct stat& st, FileId id, fuse_entry_out* entry) {
  Inode* inode = volume_->inodes->remember(id, st.st_mode & S_IFMT, directory, name);
  if (!inode->excluded && volume_->isExcluded(directory, name)) {
    inode->excluded = true;
    volume_->inodes->keepFlags(inode);
  }
  *entry = fuse_entry_out{};
  entry->nodeid = Inodes::nodeOf(inode);
  entry->generation = inode->slotGeneration;
  entry->entry_valid = kForeverSeconds;
  entry->attr_valid = choices_.attributes ? kForeverSeconds : 0;
  fillAttributes(inode, st, &entry->attr);
  return inode;
}

bool Session::isReserved(const Inode* directory, const char* name) const {
  return strcmp(name, Snapshots::kName) == 0 || (directory == volume_->inodes->root() && strcmp(name, Backing::kStoreName) == 0);
}

void Session::handleLookup(Request& request) {
  Inode* directory = inodeOf(request);
  const char* name = request.name(0);
  if (directory == nullptr || name == nullptr) return request.error(directory == nullptr ? ESTALE : EINVAL);
  if (strcmp(name, Snapshots::kName) == 0) return directory->excluded ? request.error(ENOENT) : snapshots_.lookupRoot(request, directory);
  fuse_entry_out entry{};
  entry.entry_valid = kForeverSeconds;
  if (directory == volume_->inodes->root() && strcmp(name, Backing::kStoreName) == 0) return request.value(entry);
  FdLease lease = volume_->inodes->lease(directory);
  if (!lease.valid()) return request.error(lease.error());
  struct stat st;
  FileId id;
  const int error = volume_->backing.identify(lease.fd(), name, &st, &id);
  // Node number 0: the kernel may remember that the name is absent.
  if (error == ENOENT && choices_.absentNames) return request.value(entry);
  if (error != 0) return request.error(error);
  fillEntry(directory, name, st, id, &entry);
  request.value(entry);
}

void Session::handleGetattr(Request& request) {
  Inode* inode = inodeOf(request);
  const auto* in = request.body<fuse_getattr_in>();
  if (inode == nullptr || in == nullptr) return request.error(ESTALE);
  struct stat st;
  const auto file = (in->getattr_flags & FUSE_GETATTR_FH) != 0 ? files_.get(in->fh) : nullptr;
  if (file == nullptr || !file->isOpen) return answerAttributes(request, inode);
  if (fstat(file->fd.get(), &st) != 0) return request.error(errno);
  answerAttributes(request, inode, st);
}

void Session::answerAttributes(Request& request, Inode* inode) {
  FdLease lease = volume_->inodes->lease(inode);
  struct stat st;
  if (!lease.valid()) return request.error(lease.error());
  if (fstatat(lease.fd(), "", &st, AT_EMPTY_PATH) != 0) return request.error(errno);
  answerAttributes(request, inode, st);
}

void Session::answerAttributes(Request& request, Inode* inode, const struct stat& st) {
  fuse_attr_out out{};
  out.attr_valid = choices_.attributes ? kForeverSeconds : 0;
  fillAttributes(inode, st, &out.attr);
  request.value(out);
}

void Session::handleStatx(Request& request) {
  Inode* inode = inodeOf(request);
  if (inode == nullptr) return request.error(ESTALE);
  FdLease lease = volume_->inodes->lease(inode);
  if (!lease.valid()) return request.error(lease.error());
  struct statx stx;
  if (statx(lease.fd(), "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &stx) != 0) return request.error(errno);
  abi::StatxOut out{};
  out.attrValid = choices_.attributes ? kForeverSeconds : 0;
  out.mask = stx.stx_mask & (STATX_BASIC_STATS | STATX_BTIME);
  out.blksize = stx.stx_blksize;
  out.attributes = stx.stx_attributes;
  out.attributesMask = stx.stx_attributes_mask;
  out.nlink = inode->detached ? 0 : stx.stx_nlink;
  out.uid = stx.stx_uid;
  out.gid = stx.stx_gid;
  out.mode = stx.stx_mode;
  out.ino = stx.stx_ino;
  out.size = stx.stx_size;
  out.blocks = stx.stx_blocks;
  out.atime = {stx.stx_atime.tv_sec, stx.stx_atime.tv_nsec, 0};
  out.btime = {stx.stx_btime.tv_sec, stx.stx_btime.tv_nsec, 0};
  out.ctime = {stx.stx_ctime.tv_sec, stx.stx_ctime.tv_nsec, 0};
  out.mtime = {stx.stx_mtime.tv_sec, stx.stx_mtime.tv_nsec, 0};
  out.rdevMajor = stx.stx_rdev_major;
  out.rdevMinor = stx.stx_rdev_minor;
  request.value(out);
}

UniqueFd Session::openForChange(Inode* inode, int* error) {
  FdLease lease = volume_->inodes->lease(inode);
  UniqueFd fd(lease.valid() ? open(lease.path().c_str(), O_RDWR | O_CLOEXEC) : -1);
  *error = fd.valid() ? 0 : lease.valid() ? errno : lease.error();
  return fd;
}

int Session::commitAhead(Change* change, const Inode* inode) {
  const int error = change->commit();
  if (error != 0 || !volume_->exact) return error;
  mayBlock();
  return change->awaitDurable(inode->lastUndo);
}

int Session::changeSize(Inode* inode, int fd, uint64_t size, Change* change) {
  mayBlock();
  if (const int error = change->prepareFile(inode, fd)) return error;
  if (inode->file != nullptr) {
    if (const int error = change->saveRange(inode, fd, size, inode->file->sizeAtBarrier, nullptr)) return error;
  }
  if (const int error = commitAhead(change, inode)) return error;
  return change->awaitDurable(inode->file != nullptr ? inode->file->savedLsn : 0);
}

namespace {

// The kernel hands back the times that it keeps itself (of writes, links and renames); often they are what the file has.
bool isOfTimes(const fuse_setattr_in& in) {
  constexpr uint32_t kOwn = FATTR_MTIME | FATTR_CTIME | FATTR_FH | FATTR_LOCKOWNER;
  return (in.valid & FATTR_CTIME) != 0 && (in.valid & FATTR_MTIME) != 0 && (in.valid & ~kOwn) == 0;
}

struct timespec mtimeOf(const fuse_setattr_in& in) { return timeOf(in.valid, FATTR_MTIME, FATTR_MTIME_NOW, in.mtime, in.mtimensec); }

// chown(-1, -1) arrives as a change of the ctime alone, or (without the writeback cache) of nothing; it takes setuid and setgid from programs like any
// other chown.
bool isBareChown(uint32_t valid) {
  constexpr uint32_t kOthers = FATTR_MODE | FATTR_UID | FATTR_GID | FATTR_SIZE | FATTR_ATIME | FATTR_MTIME;
  return (valid & kOthers) == 0;
}

}  // namespace

int Session::attributesNow(Inode* inode, int fd, struct stat* st) {
  if (inode->file != nullptr) return inode->file->times.stat(fd, st);
  return fstatat(fd, "", st, AT_EMPTY_PATH) == 0 ? 0 : errno;
}

int Session::changeAttributes(int fd, int sizeFd, const fuse_setattr_in& in) {
  const uint32_t valid = in.valid;
  if ((valid & FATTR_SIZE) != 0) {
    const KernelTimes times(sizeFd, options_.writeback && (valid & FATTR_MTIME) == 0);
    if (ftruncate(sizeFd, static_cast<off_t>(in.size)) != 0) return errno;
  }
  if ((valid & (FATTR_UID | FATTR_GID)) != 0 || isBareChown(valid)) {
    const uid_t uid = (valid & FATTR_UID) != 0 ? in.uid : static_cast<uid_t>(-1);
    const gid_t gid = (valid & FATTR_GID) != 0 ? in.gid : static_cast<gid_t>(-1);
    if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) != 0) return errno;
  }
  if ((valid & FATTR_MODE) != 0) {
    if (const int error = Backing::changeMode(fd, in.mode & 07777)) return error;
  }
  if ((valid & FATTR_KILL_SUIDGID) != 0 && (valid & FATTR_MODE) == 0) {
    struct stat st;
    if (fstatat(fd, "", &st, AT_EMPTY_PATH) != 0) return errno;
    const mode_t mode = Backing::withoutPrivilegeBits(st.st_mode);
    if (S_ISREG(st.st_mode) && mode != st.st_mode) {
      if (const int error = Backing::changeMode(fd, mode & 07777)) return error;
    }
  }
  if ((valid & (FATTR_ATIME | FATTR_MTIME)) != 0) {
    const struct timespec times[2] = {timeOf(valid, FATTR_ATIME, FATTR_ATIME_NOW, in.atime, in.atimensec), mtimeOf(in)};
    if (utimensat(fd, "", times, AT_EMPTY_PATH) != 0) return errno;
  }
  return 0;
}

int Session::commitMtime(Change* change, Inode* inode, const struct timespec& mtime) {
  FileState* state = inode->file.get();
  if (state == nullptr || state->needsSync || state->needsFullSync || !expectsSync(*state)) {
    if (state != nullptr) state->needsFullSync = true;
    return change->commit();
  }
  change->batch().intent(inode->id, mtime);
  return commitIntent(change, inode);
}

int Session::applySetattr(Inode* inode, const fuse_setattr_in& in, const Actor& actor, std::optional<struct stat>* same) {
  const auto file = (in.valid & FATTR_FH) != 0 ? files_.get(in.fh) : nullptr;
  FdLease lease = volume_->inodes->lease(inode);
  if (!lease.valid()) return lease.error();
  UniqueFd opened;
  int sizeFd = file != nullptr && file->writable ? file->fd.get() : -1;
  if ((in.valid & FATTR_SIZE) != 0 && sizeFd < 0) {
    int error;
    opened = openForChange(inode, &error);
    if (error != 0) return error;
    sizeFd = opened.get();
  }
  ChangeLock lock(volume_->inodes.get(), inode);
  const bool isTimes = isOfTimes(in);
  struct stat before;
  if (isTimes) {
    if (const int error = attributesNow(inode, lease.fd(), &before)) return error;
    if (FileTimes::same(before.st_mtim, mtimeOf(in))) {
      *same = before;
      return 0;
    }
  }
  if (isCaptured(inode)) {
    Change change(volume_, actor, &lock, isTimes ? Change::Kind::kTimes : Change::Kind::kOther);
    if ((in.valid & FATTR_SIZE) != 0) {
      if (const int error = changeSize(inode, sizeFd, in.size, &change)) return error;
      watchSize(actor, inode, sizeFd, in.size, change.txid());
    } else {
      if (const int error = change.saveAttributes(inode, isTimes ? &before : nullptr)) return error;
      // chmod rewrites the mask of an ACL.
      if ((in.valid & FATTR_MODE) != 0 && !inode->noXattrs && getxattr(lease.path().c_str(), kAccessAcl, nullptr, 0) > 0) {
        if (const int error = change.saveXattr(inode, lease.path(), kAccessAcl)) return error;
      }
      if (const int error = isTimes ? commitMtime(&change, inode, mtimeOf(in)) : change.commit()) return error;
      // Who may read a file is not left to luck: unless the file itself could vanish with the power, its old permissions are on the disk first.
      const bool permissions = (in.valid & (FATTR_MODE | FATTR_UID | FATTR_GID)) != 0;
      if (volume_->exact || (permissions && volume_->strict && inode->bornAt <= volume_->log.durable())) {
        mayBlock();
        // Not this change's own records: there are none when this transaction saved the attributes before, as for a change of times.
        if (const int error = change.awaitDurable(inode->lastUndo)) return error;
      }
    }
  }
  const int error = changeAttributes(lease.fd(), sizeFd, in);
  if (inode->file != nullptr && isTimes && error == 0) inode->file->times.setMtime(mtimeOf(in));
  else if (inode->file != nullptr) inode->file->times.forget();
  return error;
}

void Session::handleSetattr(Request& request) {
  Inode* inode = inodeOf(request);
  const auto* in = request.body<fuse_setattr_in>();
  if (inode == nullptr || in == nullptr) return request.error(ESTALE);
  const Actor actor = actorOf(request.header());
  if ((in->valid & FATTR_SIZE) != 0) awaitWatch(actor);
  std::optional<struct stat> same;
  if (const int error = applySetattr(inode, *in, actor, &same)) return request.error(error);
  if ((in->valid & FATTR_SIZE) != 0) {
    barrier(Reason::kTruncate);
    ChangeLock lock(volume_->inodes.get(), inode);
    if (inode->file != nullptr && inode->file->handles == 0 && inode->file->pendingActs == 0) inode->file.reset();
  }
  if ((in->valid & (FATTR_MODE | FATTR_UID | FATTR_GID)) != 0) accessChanged();
  if (!isOfTimes(*in)) return answerAttributes(request, inode);
  if (same) {
    // The kernel's own word after an unlink, for one.
    ChangeLock lock(volume_->inodes.get(), inode);
    return answerAttributes(request, inode, *same);
  }
  FdLease lease = volume_->inodes->lease(inode);
  if (!lease.valid()) return request.error(lease.error());
  ChangeLock lock(volume_->inodes.get(), inode);
  struct stat st;
  if (const int error = attributesNow(inode, lease.fd(), &st)) return request.error(error);
  answerAttributes(request, inode, st);
}

void Session::handleReadlink(Request& request) {
  Inode* inode = inodeOf(request);
  if (inode == nullptr) return request.error(ESTALE);
  FdLease lease = volume_->inodes->lease(inode);
  if (!lease.valid()) return request.error(lease.error());
  char target[PATH_MAX];
  const ssize_t length = readlinkat(lease.fd(), "", target, sizeof target);
  if (length < 0) return request.error(errno);
  request.data(target, static_cast<size_t>(length));
}

void Session::handleStatfs(Request& request) {
  struct statvfs st;
  if (fstatvfs(volume_->backing.rootFd(), &st) != 0) return request.error(errno);
  fuse_statfs_out out{};
  out.st.blocks = st.f_blocks;
  out.st.bfree = st.f_bfree;
  out.st.bavail = st.f_bavail;
  out.st.files = st.f_files;
  out.st.ffree = st.f_ffree;
  out.st.bsize = static_cast<uint32_t>(st.f_bsize);
  out.st.namelen = static_cast<uint32_t>(st.f_namemax);
  out.st.frsize = static_cast<uint32_t>(st.f_frsize);
  request.value(out);
}

bool Session::learnNoXattrs(Inode* inode, const FdLease& lease) {
  if (!S_ISREG(inode->type)) return false;
  ChangeLock lock(volume_->inodes.get(), inode);
  inode->noXattrs = listxattr(lease.path().c_str(), nullptr, 0) == 0;
  return inode->noXattrs;
}

void Session::handleGetxattr(Request& request) {
  Inode* inode = inodeOf(request);
  const auto* in = request.body<fuse_getxattr_in>();
  const char* name = request.name(sizeof(fuse_getxattr_in));
  if (inode == nullptr || in == nullptr || name == nullptr) return request.error(EINVAL);
  if (inode->noXattrs || Backing::isOwnXattr(name)) return request.error(ENODATA);
  FdLease lease = volume_->inodes->lease(inode);
  if (!lease.valid()) return request.error(lease.error());
  if (learnNoXattrs(inode, lease)) return request.error(ENODATA);
  std::string value(std::min<uint32_t>(in->size, 65536), '\0');
  const ssize_t length = getxattr(lease.path().c_str(), name, value.data(), value.size());
  if (length < 0) return request.error(errno);
  if (in->size == 0) return request.value(fuse_getxattr_out{static_cast<uint32_t>(length), 0});
  request.data(value.data(), static_cast<size_t>(length));
}

void Session::handleListxattr(Request& request) {
  Inode* inode = inodeOf(request);
  const auto* in = request.body<fuse_getxattr_in>();
  if (inode == nullptr || in == nullptr) return request.error(EINVAL);
  FdLease lease = volume_->inodes->lease(inode);
  if (!lease.valid()) return request.error(lease.error());
  std::string all(65536, '\0');
  const ssize_t length = listxattr(lease.path().c_str(), all.data(), all.size());
  if (length < 0) return request.error(errno);
  std::string names;
  for (const char* name = all.data(); name < all.data() + length; name += strlen(name) + 1) {
    if (Backing::isOwnXattr(name)) continue;
    // Only the administrator sees these; we list with his rights.
    if (request.header().uid != 0 && strncmp(name, "trusted.", 8) == 0) continue;
    names.append(name, strlen(name) + 1);
  }
  if (in->size == 0) return request.value(fuse_getxattr_out{static_cast<uint32_t>(names.size()), 0});
  if (names.size() > in->size) return request.error(ERANGE);
  request.data(names.data(), names.size());
}

int Session::changeXattr(Inode* inode, const fuse_in_header& header, const char* name, const char* value, size_t size, uint32_t flags, bool killSgid) {
  const Actor actor = actorOf(header);
  FdLease lease = volume_->inodes->lease(inode);
  if (!lease.valid()) return lease.error();
  const std::string path = lease.path();
  ChangeLock lock(volume_->inodes.get(), inode);
  // These two fail when they are done again.
  if ((value == nullptr || (flags & XATTR_CREATE) != 0) && xattrChangedBefore(header, inode->id, getxattr(path.c_str(), name, nullptr, 0) >= 0)) return 0;
  Change change(volume_, actor, &lock);
  if (const int error = change.saveAttributes(inode)) return error;
  if (const int error = change.saveXattr(inode, path, name)) return error;
  if (const int error = change.commit()) return error;
  if (volume_->exact || (volume_->strict && inode->bornAt <= volume_->log.durable())) {
    mayBlock();
    if (const int error = change.awaitDurable(change.position())) return error;
  }
  inode->noXattrs = false;
  const int done = value != nullptr ? setxattr(path.c_str(), name, value, size, static_cast<int>(flags)) : removexattr(path.c_str(), name);
  if (done != 0) return errno;
  struct stat st;
  if (killSgid && fstatat(lease.fd(), "", &st, AT_EMPTY_PATH) == 0 && (st.st_mode & S_ISGID) != 0) {
    if (const int error = Backing::changeMode(lease.fd(), st.st_mode & 07777 & ~static_cast<mode_t>(S_ISGID))) return error;
  }
  return 0;
}

void Session::handleSetxattr(Request& request) {
  Inode* inode = inodeOf(request);
  const size_t fixed = (features_ & FUSE_SETXATTR_EXT) != 0 ? sizeof(fuse_setxattr_in) : FUSE_COMPAT_SETXATTR_IN_SIZE;
  const char* head = request.bytes(0, fixed);
  const char* name = request.name(fixed);
  if (inode == nullptr || head == nullptr || name == nullptr) return request.error(EINVAL);
  fuse_setxattr_in in{};
  memcpy(&in, head, fixed);
  const char* value = request.bytes(fixed + strlen(name) + 1, in.size);
  if (value == nullptr) return request.error(EINVAL);
  if (Backing::isOwnXattr(name)) return request.error(EPERM);
  // The kernel says so of either list, but the list for new files says nothing about this one.
  const bool killSgid = (in.setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID) != 0 && strcmp(name, kAccessAcl) == 0;
  const int error = changeXattr(inode, request.header(), name, value, in.size, in.flags, killSgid);
  if (error == 0 && isPermission(name)) accessChanged();
  request.error(error);
  forgetAttempt(request.header().unique);
}

void Session::handleRemovexattr(Request& request) {
  Inode* inode = inodeOf(request);
  const char* name = request.name(0);
  if (inode == nullptr || name == nullptr) return request.error(EINVAL);
  if (Backing::isOwnXattr(name)) return request.error(EPERM);
  const int error = changeXattr(inode, request.header(), name, nullptr, 0, 0, false);
  if (error == 0 && isPermission(name)) accessChanged();
  request.error(error);
  forgetAttempt(request.header().unique);
}

}  // namespace tidemark
