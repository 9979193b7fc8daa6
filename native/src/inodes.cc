#include "inodes.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>

#include "keeper_link.h"

namespace tidemark {

InodeRef& InodeRef::operator=(InodeRef&& other) noexcept {
  if (this != &other) {
    reset();
    table_ = other.table_;
    inode_ = other.inode_;
    other.inode_ = nullptr;
  }
  return *this;
}

void InodeRef::reset() {
  if (inode_ != nullptr) table_->release(inode_);
  inode_ = nullptr;
}

ChangeLock::ChangeLock(Inodes* table, Inode* a, Inode* b, Inode* c, Inode* d) : table_(table) {
  for (Inode* inode : {a, b, c, d}) {
    if (inode == nullptr) continue;
    inodes_[inodeCount_++] = inode;
    stripes_[stripeCount_++] = table->stripeOf(inode);
  }
  std::sort(stripes_, stripes_ + stripeCount_);
  stripeCount_ = static_cast<unsigned>(std::unique(stripes_, stripes_ + stripeCount_) - stripes_);
  lockAll();
}

ChangeLock::~ChangeLock() { unlockAll(); }

void ChangeLock::lockAll() {
  for (unsigned i = 0; i < stripeCount_; i++) table_->stripes_[stripes_[i]].mutex.lock();
}

void ChangeLock::unlockAll() {
  for (unsigned i = stripeCount_; i-- > 0;) table_->stripes_[stripes_[i]].mutex.unlock();
}

bool ChangeLock::isQuiet(Txid txid) const {
  return std::all_of(inodes_, inodes_ + inodeCount_, [txid](const Inode* inode) {
    return inode->file == nullptr || inode->file->pendingActs == 0 || inode->file->pendingTxid == txid;
  });
}

void ChangeLock::awaitQuiet() {
  while (!isQuiet(kNoTxid)) {
    Inode* const* busy = std::find_if(inodes_, inodes_ + inodeCount_, [](const Inode* inode) { return inode->file != nullptr && inode->file->pendingActs > 0; });
    Inodes::Stripe& stripe = table_->stripes_[table_->stripeOf(*busy)];
    Inode* const inode = *busy;
    unlockAll();
    if (table_->beforeWaiting_) table_->beforeWaiting_();
    {
      std::unique_lock<std::mutex> lock(stripe.mutex);
      while (inode->file != nullptr && inode->file->pendingActs > 0) stripe.acted.wait(lock);
    }
    lockAll();
  }
}

void ChangeLock::needSync() {
  for (unsigned i = 0; i < inodeCount_; i++)
    if (inodes_[i]->file != nullptr) inodes_[i]->file->needsSync = inodes_[i]->file->needsFullSync = true;
}

void ChangeLock::acted(Inode* inode) { table_->stripes_[table_->stripeOf(inode)].acted.notify_all(); }

Inodes::Inodes(const Backing* backing, size_t descriptorLimit)
    : backing_(backing), descriptorLimit_(descriptorLimit), stripes_(new Stripe[kStripes]), buckets_(1024, nullptr), slots_(2, nullptr) {
  std::lock_guard<std::mutex> guard(mutex_);
  root_ = new Inode(backing->rootId(), S_IFDIR);
  root_->slot = kRootNode;
  root_->references = 1;
  root_->placeKnown = true;
  root_->fd = backing->rootFd();
  root_->pinned = true;
  slots_[kRootNode] = root_;
  Inode*& bucket = buckets_[root_->id.hash() & (buckets_.size() - 1)];
  root_->nextInBucket = bucket;
  bucket = root_;
  count_ = 1;
}

Inodes::~Inodes() {
  for (Inode* inode : slots_) {
    if (inode == nullptr) continue;
    if (inode != root_ && inode->fd >= 0) close(inode->fd);
    delete inode;
  }
}

Inode* Inodes::byNode(uint64_t node) const {
  std::lock_guard<std::mutex> guard(mutex_);
  return node < slots_.size() ? slots_[node] : nullptr;
}

size_t Inodes::count() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return count_;
}

Inode* Inodes::findLocked(FileId id) const {
  for (Inode* inode = buckets_[id.hash() & (buckets_.size() - 1)]; inode != nullptr; inode = inode->nextInBucket)
    if (inode->id == id) return inode;
  return nullptr;
}

void Inodes::grow() {
  std::vector<Inode*> larger(buckets_.size() * 2, nullptr);
  for (Inode* inode : buckets_) {
    while (inode != nullptr) {
      Inode* next = inode->nextInBucket;
      Inode*& bucket = larger[inode->id.hash() & (larger.size() - 1)];
      inode->nextInBucket = bucket;
      bucket = inode;
      inode = next;
    }
  }
  buckets_.swap(larger);
}

Inode* Inodes::insertLocked(FileId id, uint32_t type) {
  if (count_ >= buckets_.size()) grow();
  Inode* inode = new Inode(id, type);
  Inode*& bucket = buckets_[id.hash() & (buckets_.size() - 1)];
  inode->nextInBucket = bucket;
  bucket = inode;
  if (freeSlots_.empty()) {
    inode->slot = static_cast<uint32_t>(slots_.size());
    slots_.push_back(inode);
  } else {
    inode->slot = freeSlots_.back();
    freeSlots_.pop_back();
    slots_[inode->slot] = inode;
  }
  inode->slotGeneration = nextSlotGeneration_++;
  inode->lastDataUndo = droppedDataUndo_;
  count_++;
  keepLocked(inode);
  return inode;
}

void Inodes::setPlaceLocked(Inode* inode, Inode* parent, std::string_view name) {
  if (inode == root_ || inode == parent) return;
  Inode* before = inode->parent;
  parent->references++;
  inode->parent = parent;
  std::unique_ptr<char[]> copy(new char[name.size() + 1]);
  memcpy(copy.get(), name.data(), name.size());
  copy[name.size()] = 0;
  inode->name = std::move(copy);
  if (!nameless_.empty()) nameless_.erase(inode->id.inode);
  keepParentLocked(inode);
  if (before != nullptr) {
    before->references--;
    dropLocked(before);
  }
}

void Inodes::dropLocked(Inode* inode) {
  while (inode != nullptr && inode->lookups == 0 && inode->references == 0 && !inode->inLimbo) {
    // The kernel may forget an inode as soon as it has its answer, before the thread that answered has let go.
    if (inode->leases.load(std::memory_order_acquire) > 0) {
      inode->inLimbo = true;
      limbo_.push_back(inode);
      return;
    }
    Inode** link = &buckets_[inode->id.hash() & (buckets_.size() - 1)];
    while (*link != inode) link = &(*link)->nextInBucket;
    *link = inode->nextInBucket;
    droppedDataUndo_ = std::max(droppedDataUndo_, inode->lastDataUndo.load());
    if (!nameless_.empty()) nameless_.erase(inode->id.inode);
    slots_[inode->slot] = nullptr;
    freeSlots_.push_back(inode->slot);
    count_--;
    {
      std::lock_guard<std::mutex> guard(descriptorMutex_);
      if (inode->fd >= 0) {
        if (!inode->pinned) leaveRingLocked(inode);
        else if (keeper_ != nullptr) keeper_->drop(KeptKind::kPinned, inode->slot);
        close(inode->fd);
      }
    }
    Inode* parent = inode->parent;
    delete inode;
    if (parent != nullptr) parent->references--;
    inode = parent;
  }
}

void Inodes::sweepLimboLocked() {
  if (limbo_.empty()) return;
  std::vector<Inode*> waiting;
  waiting.swap(limbo_);
  for (Inode* inode : waiting) {
    inode->inLimbo = false;
    dropLocked(inode);
  }
}

Inode* Inodes::remember(FileId id, uint32_t type, Inode* parent, std::string_view name) {
  std::lock_guard<std::mutex> guard(mutex_);
  Inode* inode = findLocked(id);
  if (inode == nullptr) inode = insertLocked(id, type);
  inode->lookups++;
  if (KeptInode* kept = keptLocked(inode)) kept->lookups = inode->lookups;
  // The name is kept as first seen, and again after renames (moved): hard links do not make it flap.
  if (inode->name == nullptr && parent != nullptr) setPlaceLocked(inode, parent, name);
  return inode;
}

void Inodes::forget(uint64_t node, uint64_t count) {
  std::lock_guard<std::mutex> guard(mutex_);
  sweepLimboLocked();
  if (node >= slots_.size() || slots_[node] == nullptr || node == kRootNode) return;
  Inode* inode = slots_[node];
  inode->lookups -= std::min(inode->lookups, count);
  if (KeptInode* kept = keptLocked(inode)) kept->lookups = inode->lookups;
  dropLocked(inode);
}

InodeRef Inodes::hold(FileId id, uint32_t type) {
  std::lock_guard<std::mutex> guard(mutex_);
  Inode* inode = findLocked(id);
  if (inode == nullptr) inode = insertLocked(id, type);
  inode->references++;
  return InodeRef(this, inode);
}

InodeRef Inodes::hold(Inode* inode) {
  std::lock_guard<std::mutex> guard(mutex_);
  inode->references++;
  return InodeRef(this, inode);
}

InodeRef Inodes::find(FileId id) {
  std::lock_guard<std::mutex> guard(mutex_);
  Inode* inode = findLocked(id);
  if (inode != nullptr) inode->references++;
  return InodeRef(this, inode);
}

void Inodes::release(Inode* inode) {
  std::lock_guard<std::mutex> guard(mutex_);
  inode->references--;
  dropLocked(inode);
}

void Inodes::moved(Inode* inode, Inode* parent, std::string_view name) {
  std::lock_guard<std::mutex> guard(mutex_);
  setPlaceLocked(inode, parent, name);
}

bool Inodes::place(Inode* inode, InodeRef* parent, std::string* name) {
  findNamesAbove(inode);
  std::lock_guard<std::mutex> guard(mutex_);
  if (inode->name == nullptr) return false;
  inode->parent->references++;
  *parent = InodeRef(this, inode->parent);
  *name = inode->name.get();
  return true;
}

bool Inodes::pathOf(Inode* inode, std::string* path) {
  findNamesAbove(inode);
  std::lock_guard<std::mutex> guard(mutex_);
  std::vector<const char*> parts;
  // A chain longer than any path the kernel accepts would be a loop.
  for (Inode* at = inode; at != root_; at = at->parent) {
    if (at->name == nullptr || parts.size() > 4096) return false;
    parts.push_back(at->name.get());
  }
  path->clear();
  for (size_t i = parts.size(); i-- > 0;) {
    if (!path->empty()) *path += '/';
    *path += parts[i];
  }
  return true;
}

int Inodes::openAgain(Inode* inode) {
  const int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  const int byId = backing_->openById(inode->id, flags);
  if (byId != -ENOSYS) return byId == -ENOENT ? -ESTALE : byId;
  InodeRef parent;
  std::string name;
  if (!place(inode, &parent, &name)) return -ESTALE;
  FdLease directory = lease(parent.get());
  if (!directory.valid()) return directory.fd();
  const int fd = openat(directory.fd(), name.c_str(), flags);
  if (fd < 0) return errno == ENOENT ? -ESTALE : -errno;
  struct stat st;
  FileId found;
  if (backing_->identify(fd, &st, &found) == 0 && found == inode->id) return fd;
  close(fd);
  return -ESTALE;
}

void Inodes::leaveRingLocked(Inode* inode) {
  Inode* last = ring_.back();
  ring_[inode->ringIndex] = last;
  last->ringIndex = inode->ringIndex;
  ring_.pop_back();
}

void Inodes::evictLocked() {
  size_t tries = ring_.size() * 2;
  while (ring_.size() > descriptorLimit_ && tries-- > 0) {
    hand_ = (hand_ + 1) % ring_.size();
    Inode* inode = ring_[hand_];
    if (inode->leases.load(std::memory_order_acquire) > 0) continue;
    if (inode->recentlyUsed) {
      inode->recentlyUsed = false;
      continue;
    }
    close(inode->fd);
    inode->fd = -1;
    leaveRingLocked(inode);
    if (ring_.empty()) return;
  }
}

FdLease Inodes::lease(Inode* inode) {
  {
    std::lock_guard<std::mutex> guard(descriptorMutex_);
    if (inode->fd >= 0) {
      inode->recentlyUsed = true;
      inode->leases.fetch_add(1, std::memory_order_relaxed);
      return FdLease(inode->fd, &inode->leases);
    }
  }
  const int fd = openAgain(inode);
  if (fd < 0) return FdLease(fd, nullptr);
  std::lock_guard<std::mutex> guard(descriptorMutex_);
  if (inode->fd >= 0) {
    close(fd);
  } else {
    inode->fd = fd;
    inode->ringIndex = static_cast<uint32_t>(ring_.size());
    ring_.push_back(inode);
  }
  inode->recentlyUsed = true;
  inode->leases.fetch_add(1, std::memory_order_relaxed);
  evictLocked();
  return FdLease(inode->fd, &inode->leases);
}

void Inodes::closed(Inode* inode) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (inode->parent != nullptr) inode->parent->staleChildren.fetch_add(1, std::memory_order_relaxed);
}

void Inodes::pin(Inode* inode, int fd) {
  if (keeper_ != nullptr) keeper_->keep(KeptKind::kPinned, inode->slot, fd);
  std::lock_guard<std::mutex> guard(descriptorMutex_);
  if (inode->fd >= 0) {
    close(fd);
    if (!inode->pinned) leaveRingLocked(inode);
  } else {
    inode->fd = fd;
  }
  inode->pinned = true;
}

}  // namespace tidemark
