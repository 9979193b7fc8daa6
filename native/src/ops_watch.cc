// What operations tell the mass watch: which file loses what it was, and to what.
//
// It costs nothing where nothing is lost (appends, new files); a sample of at most 1 KiB once a file and transaction where bytes are overwritten; a statx, and
// for a rename over a file some reads, where a file loses its name.
#include <algorithm>
#include <utility>

#include "file_io.h"
#include "session.h"

namespace tidemark {
namespace {

// A few bytes of a range of a file, from several places.
Sample readSample(int fd, uint64_t offset, uint64_t length) {
  constexpr uint64_t kPieces = Sample::kMost / Sample::kMostOfPiece;
  Sample sample;
  char bytes[Sample::kMost];
  const bool isShort = length <= Sample::kMost;
  const size_t each = isShort ? static_cast<size_t>(length) : Sample::kMostOfPiece;
  for (uint64_t i = 0; i < (isShort ? 1 : kPieces); i++) {
    const ssize_t count = readFully(fd, bytes, each, offset + (isShort ? 0 : (length - each) / (kPieces - 1) * i));
    if (count > 0) sample.add(bytes, static_cast<size_t>(count), nullptr, Sample::kMost);
  }
  return sample;
}

// 0 means "not at all" in the watch's structs.
int64_t bornOf(int fd) { return std::max<int64_t>(1, Backing::bornNs(fd, "", AT_EMPTY_PATH)); }

// false for what only takes off what marked a name as unfinished ("x.part", "x.dpkg-new", ".x.Qz7"), and for the flags of a mail in a Maildir ("x:2,S"): such
// renames come by the hundreds, and are no harm.
bool isOtherName(std::string_view before, std::string_view after) {
  if (before.find(after) != std::string_view::npos) return false;
  const size_t flags = after.find(":2,");
  return flags == std::string_view::npos || before.substr(0, before.find(":2,")) != after.substr(0, flags);
}

}  // namespace

void Session::noteLost(const Actor& actor, Inode* inode, MassKind kind, int64_t bornNs, Txid txid) {
  if (isCaptured(inode)) noteLost(actor, inode, {kind, inode->id, txid, bornNs});
}

void Session::noteLost(const Actor& actor, Inode* inode, const LostFile& lost) {
  massWatch_.note(actor, lost, wallClockNs(), [this, inode] {
    std::string path;
    volume_->inodes->pathOf(inode, &path);
    return path;
  });
}

void Session::watchWrite(const OpenFile& file, const Sample& sample, const fuse_write_in& in, const char* bytes, Txid txid) {
  if (!massWatch_.enabled()) return;
  Inode* inode = file.inode.get();
  FileState& state = *inode->file;
  if (state.emptied.bornNs != 0) {
    Sample whole;
    whole.add(bytes, in.size, nullptr, Sample::kMost);
    return watchRefill(file.actor, inode, whole);
  }
  if (!sample.isEnough()) return;
  state.watchedTxid = txid;
  if (!sample.rewrites()) return;
  if (sample.looksRandom()) noteLost(file.actor, inode, MassKind::kOverwritten, bornOf(file.fd.get()), txid);
  else if (sample.isConstant()) noteLost(file.actor, inode, MassKind::kRemoved, bornOf(file.fd.get()), txid);
}

void Session::watchRefill(const Actor& actor, Inode* inode, const Sample& filled) {
  const Emptied emptied = std::exchange(inode->file->emptied, {});
  if (filled.looksRandom()) noteLost(actor, inode, MassKind::kOverwritten, emptied.bornNs, emptied.txid);
  else if (filled.isConstant()) noteLost(actor, inode, MassKind::kRemoved, emptied.bornNs, emptied.txid);
}

void Session::watchCopy(const OpenFile& file, const Sample& sample, int sourceFd, uint64_t offset, uint64_t length, Txid txid) {
  Inode* inode = file.inode.get();
  if (!massWatch_.enabled() || inode->file == nullptr) return;
  const bool isRefill = inode->file->emptied.bornNs != 0;
  struct stat source;
  if ((!isRefill && sample.destroyed() == 0) || fstat(sourceFd, &source) != 0 || static_cast<uint64_t>(source.st_size) <= offset) return;
  const Sample copied = readSample(sourceFd, offset, std::min(length, static_cast<uint64_t>(source.st_size) - offset));
  if (isRefill) watchRefill(file.actor, inode, copied);
  else if (copied.looksRandom()) noteLost(file.actor, inode, MassKind::kOverwritten, bornOf(file.fd.get()), txid);
}

void Session::watchSize(const Actor& actor, Inode* inode, int fd, uint64_t size, Txid txid) {
  FileState& state = *inode->file;
  if (!massWatch_.enabled() || state.sizeAtBarrier == 0 || size > state.sizeAtBarrier / 2) return;
  if (state.handles > 0) state.emptied = {bornOf(fd), txid};
  else noteLost(actor, inode, MassKind::kRemoved, bornOf(fd), txid);
}

void Session::watchPunch(const OpenFile& file, const Sample& sample, Txid txid) {
  Inode* inode = file.inode.get();
  if (sample.destroyed() == 0 || sample.destroyed() < inode->file->sizeAtBarrier / 2) return;
  noteLost(file.actor, inode, MassKind::kRemoved, bornOf(file.fd.get()), txid);
}

void Session::watchClose(const Actor& actor, Inode* inode) {
  const Emptied emptied = inode->file->emptied;
  if (emptied.bornNs != 0) noteLost(actor, inode, MassKind::kRemoved, emptied.bornNs, emptied.txid);
}

void Session::watchRemoval(const Actor& actor, const Inode* directory, const char* name, Inode* removed, const struct stat& st, int64_t bornNs, Txid txid) {
  if (!massWatch_.enabled() || !S_ISREG(st.st_mode)) return;
  noteLost(actor, removed, {MassKind::kRemoved, removed->id, txid, bornNs, MassWatch::nameOf(directory->id, name), st.st_size > 0});
}

void Session::watchCreation(FileId directory, const char* name, Inode* made) {
  const Emptied emptied = massWatch_.takeBack(MassWatch::nameOf(directory, name), wallClockNs());
  if (emptied.bornNs == 0) return;
  ChangeLock lock(volume_->inodes.get(), made);
  if (made->file != nullptr) made->file->emptied = emptied;
}

Session::RenameSeen Session::seeRename(const Rename& rename, int fromFd, int toFd, const struct stat& moved, const struct stat* replaced) {
  RenameSeen seen;
  if (!massWatch_.enabled() || !S_ISREG(moved.st_mode) || rename.flags != 0) return seen;
  if (replaced == nullptr) {
    if (isOtherName(rename.name, rename.targetName)) seen.movedBornNs = Backing::bornNs(fromFd, rename.name, 0);
    return seen;
  }
  // With another link, or empty, nothing of it is lost.
  if (!S_ISREG(replaced->st_mode) || replaced->st_nlink != 1 || replaced->st_size == 0) return seen;
  const UniqueFd fd(openat(fromFd, rename.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid()) return seen;
  seen.replacedBornNs = Backing::bornNs(toFd, rename.targetName, 0);
  seen.isEmpty = moved.st_size == 0;
  seen.sample = readSample(fd.get(), 0, static_cast<uint64_t>(moved.st_size));
  return seen;
}

void Session::watchRename(const Actor& actor, const RenameSeen& seen, Inode* moved, Inode* replaced, Txid txid) {
  if (seen.movedBornNs != 0) noteLost(actor, moved, MassKind::kRenamed, seen.movedBornNs, txid);
  if (seen.replacedBornNs == 0) return;
  // Its bytes may be in the kernel's cache still, if they are not yet to be written.
  if (seen.isEmpty && moved->file != nullptr && moved->file->handles > 0) moved->file->emptied = {seen.replacedBornNs, txid};
  else if (seen.isEmpty) noteLost(actor, replaced, MassKind::kRemoved, seen.replacedBornNs, txid);
  else if (seen.sample.looksRandom()) noteLost(actor, replaced, MassKind::kOverwritten, seen.replacedBornNs, txid);
}

}  // namespace tidemark
