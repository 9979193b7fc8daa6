// What of the inode table outlives the process (kept_table.h), and how the next daemon makes its table from it.
//
// Names are not kept. Where one is wanted again (for the path of a file that the log has not told yet), the directory is read, once for all the files that it has.
#include <dirent.h>
#include <unistd.h>

#include "inodes.h"
#include "keeper_link.h"

namespace tidemark {

void Inodes::keepIn(KeptTable<KeptInode>* kept, KeeperLink* keeper) {
  std::lock_guard<std::mutex> guard(mutex_);
  kept_ = kept;
  keeper_ = keeper;
}

void Inodes::keepFlagsLocked(Inode* inode) {
  KeptInode* kept = keptLocked(inode);
  if (kept == nullptr) return;
  uint32_t flags = 0;
  if (inode->detached) flags |= KeptInode::kDetached;
  if (inode->unnamed) flags |= KeptInode::kUnnamed;
  if (inode->excluded) flags |= KeptInode::kExcluded;
  if (inode->placeKnown) flags |= KeptInode::kPlaceKnown;
  kept->typeAndFlags = inode->type | flags;
}

void Inodes::keepFlags(Inode* inode) {
  std::lock_guard<std::mutex> guard(mutex_);
  keepFlagsLocked(inode);
}

void Inodes::keepParentLocked(Inode* inode) {
  KeptInode* kept = keptLocked(inode);
  if (kept == nullptr) return;
  // A kill in between leaves a file id that nobody has: the parent is then not known.
  kept->parentGeneration = 0;
  kept->parentInode = inode->parent->id.inode;
  kept->parentGeneration = inode->parent->id.generation;
}

void Inodes::keepLocked(Inode* inode) {
  KeptInode* kept = keptLocked(inode);
  if (kept == nullptr) return;
  kept->lookups = 0;
  kept->inode = inode->id.inode;
  kept->generation = inode->id.generation;
  kept->givenFrom = 0;
  kept->parentInode = 0;
  kept->slotGeneration = inode->slotGeneration;
  keepFlagsLocked(inode);
}

void Inodes::keepGiven(Inode* inode, Lsn from) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (KeptInode* kept = keptLocked(inode)) kept->givenFrom = from;
}

Lsn Inodes::keptGiven(const Inode* inode) {
  std::lock_guard<std::mutex> guard(mutex_);
  const KeptInode* kept = keptLocked(inode);
  return kept == nullptr ? 0 : kept->givenFrom.load();
}

Inode* Inodes::restoreLocked(uint32_t slot, const KeptInode& kept) {
  const uint32_t typeAndFlags = kept.typeAndFlags;
  if (count_ >= buckets_.size()) grow();
  Inode* inode = new Inode({kept.inode, kept.generation}, typeAndFlags & S_IFMT);
  Inode*& bucket = buckets_[inode->id.hash() & (buckets_.size() - 1)];
  inode->nextInBucket = bucket;
  bucket = inode;
  inode->slot = slot;
  inode->slotGeneration = kept.slotGeneration;
  inode->lookups = kept.lookups;
  inode->detached = (typeAndFlags & KeptInode::kDetached) != 0;
  inode->unnamed = (typeAndFlags & KeptInode::kUnnamed) != 0;
  inode->excluded = (typeAndFlags & KeptInode::kExcluded) != 0;
  inode->placeKnown = (typeAndFlags & KeptInode::kPlaceKnown) != 0;
  slots_[slot] = inode;
  count_++;
  return inode;
}

void Inodes::restore() {
  std::lock_guard<std::mutex> guard(mutex_);
  slots_.resize(std::max(slots_.size(), kept_->size()), nullptr);
  for (size_t slot = slots_.size(); slot-- > kRootNode + 1;) {
    const KeptInode* kept = kept_->at(slot);
    nextSlotGeneration_ = std::max(nextSlotGeneration_, kept->slotGeneration + 1);
    if (kept->lookups == 0) freeSlots_.push_back(static_cast<uint32_t>(slot));
    else restoreLocked(static_cast<uint32_t>(slot), *kept);
  }
  // A parent that the kernel has forgotten gets a slot of its own behind them.
  const size_t restored = kept_->size();
  for (size_t slot = kRootNode + 1; slot < restored; slot++) {
    const KeptInode* kept = kept_->at(slot);
    if (kept->lookups == 0 || kept->parentInode == 0) continue;
    const FileId id{kept->parentInode, kept->parentGeneration};
    Inode* inode = slots_[slot];
    Inode* parent = findLocked(id);
    if (parent == inode) continue;
    if (parent == nullptr) parent = insertLocked(id, S_IFDIR);
    parent->references++;
    inode->parent = parent;
    nameless_[inode->id.inode] = inode;
  }
}

void Inodes::findNames(Inode* directory) {
  const FdLease held = lease(directory);
  const int fd = held.valid() ? openat(held.fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  DIR* listing = fd < 0 ? nullptr : fdopendir(fd);
  if (listing == nullptr) return;
  while (const dirent* entry = readdir(listing)) {
    std::lock_guard<std::mutex> guard(mutex_);
    const auto found = nameless_.find(entry->d_ino);
    if (found == nameless_.end() || found->second->parent != directory) continue;
    struct stat st;
    FileId id;
    if (backing_->identify(fd, entry->d_name, &st, &id) == 0 && id == found->second->id) setPlaceLocked(found->second, directory, entry->d_name);
  }
  closedir(listing);
}

void Inodes::findNamesAbove(Inode* inode) {
  {
    std::lock_guard<std::mutex> guard(mutex_);
    if (nameless_.empty()) return;
  }
  for (InodeRef at = hold(inode); at.get() != root_;) {
    InodeRef parent;
    {
      std::lock_guard<std::mutex> guard(mutex_);
      // The kernel had forgotten its directory already.
      if (at->parent == nullptr) return;
      at->parent->references++;
      parent = InodeRef(this, at->parent);
    }
    if (at->name == nullptr) {
      findNames(parent.get());
      std::lock_guard<std::mutex> guard(mutex_);
      // It has another name meanwhile, or none: it is not looked for again.
      nameless_.erase(at->id.inode);
    }
    at = std::move(parent);
  }
}

}  // namespace tidemark
