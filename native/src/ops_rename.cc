// Rename: plain, without replacing, and exchange. A replaced inode leaves the tree whole.
//
// Replacing is done in two steps that no crash can tear: first the two names are exchanged (atomically, so the target
// name always exists), then the replaced inode, now under the old name, moves into objects/. Recovery after a crash in
// between needs nothing: the log says what both names were.
#include <stdio.h>

#include "failpoint.h"
#include "session.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif

namespace tidemark {
int Session::actRename(const Rename& rename, int fromFd, int toFd, bool replaces, FileId replacedId, const struct stat& replaced, bool history) {
  if ((rename.flags & RENAME_EXCHANGE) != 0) return renameat2(fromFd, rename.name, toFd, rename.targetName, RENAME_EXCHANGE) == 0 ? 0 : errno;
  const bool leavesTree = replaces && history && (S_ISDIR(replaced.st_mode) || replaced.st_nlink == 1);
  if (!leavesTree) return renameat(fromFd, rename.name, toFd, rename.targetName) == 0 ? 0 : errno;
  if (renameat2(fromFd, rename.name, toFd, rename.targetName, RENAME_EXCHANGE) == 0) {
    failpoint("rename-exchange");
    const int error = volume_->backing.moveToObjects(fromFd, rename.name, replacedId);
    if (error == 0) return 0;
    // The disk is full: the names go back to what the log will say they are.
    return renameat2(fromFd, rename.name, toFd, rename.targetName, RENAME_EXCHANGE) == 0 ? error : EIO;
  }
  if (errno != EINVAL && errno != ENOSYS) return errno;
  // A file system without exchange: for a moment the target name is absent.
  if (const int error = volume_->backing.moveToObjects(toFd, rename.targetName, replacedId)) return error;
  return renameat(fromFd, rename.name, toFd, rename.targetName) == 0 ? 0 : errno;
}

int Session::renameNode(const Rename& rename, const Actor& actor) {
  const bool exchange = (rename.flags & RENAME_EXCHANGE) != 0;
  FdLease from = volume_->inodes->lease(rename.directory);
  FdLease to = volume_->inodes->lease(rename.targetDirectory);
  if (!from.valid() || !to.valid()) return from.valid() ? to.error() : from.error();
  struct stat st, replacedSt{};
  FileId id, replacedId;
  if (const int error = volume_->backing.identify(from.fd(), rename.name, &st, &id)) {
    return error == ENOENT && isResent(rename.unique) ? adoptRename(rename, to.fd()) : error;
  }
  if (exchange && exchangedBefore(rename, from.fd(), id)) return 0;
  const int found = volume_->backing.identify(to.fd(), rename.targetName, &replacedSt, &replacedId);
  if (found != 0 && found != ENOENT) return found;
  const bool replaces = found == 0;
  if (replaces && (rename.flags & RENAME_NOREPLACE) != 0) return EEXIST;
  if (!replaces && exchange) return ENOENT;
  if (replaces && id == replacedId) return 0;
  if (replaces && !exchange && S_ISDIR(replacedSt.st_mode) && !isEmptyDirectory(to.fd(), rename.targetName)) return ENOTEMPTY;

  InodeRef moved = volume_->inodes->hold(id, st.st_mode & S_IFMT);
  InodeRef replaced;
  if (replaces) replaced = volume_->inodes->hold(replacedId, replacedSt.st_mode & S_IFMT);
  if (moved->parent == nullptr) volume_->inodes->moved(moved.get(), rename.directory, rename.name);
  if (replaces && replaced->parent == nullptr) volume_->inodes->moved(replaced.get(), rename.targetDirectory, rename.targetName);
  const bool fromHistory = !volume_->isExcluded(rename.directory, rename.name);
  const bool toHistory = !volume_->isExcluded(rename.targetDirectory, rename.targetName);

  ChangeLock lock(volume_->inodes.get(), rename.directory, rename.targetDirectory, moved.get(), replaced.get());
  Change change(volume_, actor, &lock);
  // Read again under the lock: another of its links may have gone meanwhile.
  if (replaces && fstatat(to.fd(), rename.targetName, &replacedSt, AT_SYMLINK_NOFOLLOW) != 0) return errno;
  int error = fromHistory ? change.saveAttributes(rename.directory) : 0;
  if (error == 0 && toHistory) error = change.saveAttributes(rename.targetDirectory);
  if (error == 0) error = change.saveAttributes(moved.get());
  if (error == 0 && replaces) error = change.saveAttributes(replaced.get());
  if (error != 0) return error;
  const NameTarget movedTarget{id, moved->type};
  const NameTarget replacedTarget = replaces ? NameTarget{replacedId, replaced->type} : NameTarget{};
  if (fromHistory) {
    change.saveName(rename.directory, rename.name, exchange ? NameOperation::kExchange : NameOperation::kRenameAway, movedTarget, exchange ? replacedTarget : NameTarget{});
  }
  if (toHistory) {
    change.saveName(rename.targetDirectory, rename.targetName, exchange ? NameOperation::kExchange : NameOperation::kRenameTo, replacedTarget, movedTarget);
  }
  if (const int failed = change.commit()) return failed;
  const RenameSeen seen = seeRename(rename, from.fd(), to.fd(), st, replaces ? &replacedSt : nullptr);
  // A name that is on the disk may not move there, or be lost, before the log says where it was.
  const Lsn durable = volume_->log.durable();
  if (volume_->exact || (volume_->strict && (moved->bornAt <= durable || (replaces && replaced->bornAt <= durable)))) {
    mayBlock();
    if (const int failed = change.awaitDurable(change.position())) return failed;
  }
  if (replaces && !toHistory) keepForHandles(replaced.get());
  if (const int failed = actRename(rename, from.fd(), to.fd(), replaces, replacedId, replacedSt, toHistory)) {
    if (fromHistory) change.takeBackName(rename.directory, rename.name, movedTarget);
    if (toHistory) change.takeBackName(rename.targetDirectory, rename.targetName, replacedTarget);
    return failed;
  }
  failpoint("after-act");
  watchRename(actor, seen, moved.get(), replaced.get(), change.txid());
  volume_->inodes->moved(moved.get(), rename.targetDirectory, rename.targetName);
  if (moved->excluded && toHistory) {
    // It enters history now: nothing of it was in any snapshot.
    moved->excluded = false;
    volume_->inodes->keepFlags(moved.get());
    change.bornNow(moved.get());
  }
  if (exchange) {
    volume_->inodes->moved(replaced.get(), rename.directory, rename.name);
  } else if (replaces && toHistory && (S_ISDIR(replacedSt.st_mode) || replacedSt.st_nlink == 1)) {
    replaced->detachedTxid = change.txid();
    replaced->detached = true;
    volume_->inodes->keepFlags(replaced.get());
  }
  if (S_ISDIR(st.st_mode)) accessChanged();
  return 0;
}

void Session::handleRename(Request& request, size_t fixed, uint64_t targetNode, uint32_t flags) {
  Inode* directory = inodeOf(request);
  Inode* target = volume_->inodes->byNode(targetNode);
  const char* name = request.name(fixed);
  const char* targetName = request.name(fixed, 1);
  if (Snapshots::isSnapshotNode(targetNode)) return request.error(EROFS);
  if (directory == nullptr || target == nullptr || name == nullptr || targetName == nullptr) return request.error(EINVAL);
  if (isReserved(directory, name) || isReserved(target, targetName)) return request.error(EPERM);
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0) return request.error(EINVAL);
  const Actor actor = actorOf(request.header());
  awaitWatch(actor);
  const int error = renameNode({directory, name, target, targetName, flags, request.header().unique}, actor);
  if (error == 0) barrier(Reason::kName);
  request.error(error);
  if ((flags & RENAME_EXCHANGE) != 0) forgetAttempt(request.header().unique);
}

}  // namespace tidemark
