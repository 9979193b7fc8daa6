#include "snapshots.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>

namespace tidemark {
namespace {

// The bit that the kernel sets in OPEN's flags when a program is about to be executed.
constexpr uint32_t kOpenForExec = 0x20;

void fillAttr(const SnapshotNode& node, fuse_attr* attr) {
  const PackedAttributes& a = node.attributes;
  attr->ino = node.ino;
  attr->size = a.size;
  attr->blocks = a.blocks;
  attr->atime = static_cast<uint64_t>(a.atimeSeconds);
  attr->mtime = static_cast<uint64_t>(a.mtimeSeconds);
  attr->ctime = static_cast<uint64_t>(a.ctimeSeconds);
  attr->atimensec = a.atimeNs;
  attr->mtimensec = a.mtimeNs;
  attr->ctimensec = a.ctimeNs;
  attr->mode = a.mode;
  attr->nlink = a.nlink;
  attr->uid = a.uid;
  attr->gid = a.gid;
  attr->rdev = static_cast<uint32_t>(a.rdev);
  attr->blksize = 4096;
}

void splitTimeout(uint32_t ms, uint64_t* seconds, uint32_t* nanoseconds) {
  *seconds = ms / 1000;
  *nanoseconds = (ms % 1000) * 1000000;
}

}  // namespace

void Snapshots::fill(const SnapshotNode& node, fuse_entry_out* entry) const {
  *entry = fuse_entry_out{};
  entry->nodeid = node.node | kNodeBit;
  entry->generation = 1;
  splitTimeout(node.timeoutMs, &entry->entry_valid, &entry->entry_valid_nsec);
  splitTimeout(node.timeoutMs, &entry->attr_valid, &entry->attr_valid_nsec);
  fillAttr(node, &entry->attr);
}

bool Snapshots::anyKnown() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return !known_.empty();
}

void Snapshots::ask(const Request& request, SnapshotOperation operation, Pending pending, const char* name, FileId directory) {
  auto event = std::make_unique<SnapshotEvent>();
  event->operation = operation;
  event->directory = directory;
  event->node = request.node() & ~kNodeBit;
  event->name = name;
  event->uid = request.header().uid;
  event->gid = request.header().gid;
  event->pid = request.header().pid;
  pending.to = request.to();
  pending.opcode = request.header().opcode;
  pending.node = event->node;
  pending.name = name;
  deliver(std::move(event), std::move(pending));
}

void Snapshots::deliver(std::unique_ptr<SnapshotEvent> event, Pending pending) {
  {
    std::lock_guard<std::mutex> guard(mutex_);
    event->id = nextId_++;
    if (nextId_ == 0) nextId_ = 1;
    pending_[event->id] = std::move(pending);
  }
  sink_->deliver(std::move(event));
}

void Snapshots::lookupRoot(Request& request, Inode* directory) {
  if (answerRoot(request.to(), Inodes::nodeOf(directory))) return;
  Pending pending;
  pending.liveDirectory = Inodes::nodeOf(directory);
  ask(request, SnapshotOperation::kRoot, std::move(pending), "", directory->id);
}

bool Snapshots::answerRoot(ReplyTo to, uint64_t liveDirectory) {
  fuse_entry_out entry;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    const auto root = roots_.find(liveDirectory);
    if (root == roots_.end()) return false;
    if (monotonicNs() >= root->second.untilNs) {
      roots_.erase(root);
      return false;
    }
    Known& known = known_[root->second.node.node];
    known.lookups++;
    keepLookups(known);
    fill(root->second.node, &entry);
  }
  entry.entry_valid = entry.entry_valid_nsec = 0;
  to.value(entry);
  return true;
}

void Snapshots::run(Request& request) {
  switch (request.header().opcode) {
    case FUSE_LOOKUP: {
      const char* name = request.name(0);
      if (name == nullptr) return request.error(EINVAL);
      return ask(request, SnapshotOperation::kLookup, {}, name);
    }
    case FUSE_GETATTR: return ask(request, SnapshotOperation::kGetattr, {});
    case FUSE_READLINK: return ask(request, SnapshotOperation::kReadlink, {});
    case FUSE_OPENDIR: return ask(request, SnapshotOperation::kList, {});
    case FUSE_GETXATTR:
    case FUSE_LISTXATTR: {
      const auto* in = request.body<fuse_getxattr_in>();
      const bool one = request.header().opcode == FUSE_GETXATTR;
      const char* name = one ? request.name(sizeof(fuse_getxattr_in)) : "";
      if (in == nullptr || name == nullptr) return request.error(EINVAL);
      Pending pending;
      pending.size = in->size;
      return ask(request, one ? SnapshotOperation::kGetxattr : SnapshotOperation::kListxattr, std::move(pending), name);
    }
    case FUSE_OPEN: return open(request);
    case FUSE_READ: return read(request);
    case FUSE_LSEEK: return seek(request);
    case FUSE_READDIR: return readDirectory(request, false);
    case FUSE_READDIRPLUS: return readDirectory(request, true);
    case FUSE_RELEASEDIR: return releaseDirectory(request);
    case FUSE_RELEASE: {
      const auto* in = request.body<fuse_release_in>();
      if (in != nullptr) files_.remove(in->fh);
      return request.error(0);
    }
    case FUSE_FLUSH:
    case abi::kStatxOpcode: return request.error(ENOSYS);
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR: return request.error(0);
    case FUSE_IOCTL: return request.error(ENOTTY);
    default: return request.error(EROFS);
  }
}

void Snapshots::open(Request& request) {
  const auto* in = request.body<fuse_open_in>();
  if (in == nullptr) return request.error(EINVAL);
  if ((in->flags & O_ACCMODE) != O_RDONLY || (in->flags & O_TRUNC) != 0) return request.error(EROFS);
  if ((in->flags & kOpenForExec) != 0) {
    // A setuid program of then must not act now; the whole mount cannot be nosuid, so such programs do not start here.
    std::lock_guard<std::mutex> guard(mutex_);
    const auto known = known_.find(request.node() & ~kNodeBit);
    if (known != known_.end() && known->second.privileged) return request.error(EPERM);
  }
  // Root needs no permission of now; for everybody else JavaScript decides.
  if (request.header().uid == 0 && openListed(request)) return;
  ask(request, SnapshotOperation::kOpen, {});
}

bool Snapshots::openListed(const Request& request) {
  const uint64_t node = request.node() & ~kNodeBit;
  ListedPlan listed;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    const auto known = known_.find(node);
    if (known == known_.end() || known->second.plan.plannedAt == 0) return false;
    listed = known->second.plan;
  }
  Plan plan{listed.file, listed.size, listed.plannedAt, {}};
  if (listed.pieces != nullptr) plan.pieces = *listed.pieces;
  else if (listed.size > 0) plan.pieces.push_back({0, listed.size, static_cast<uint64_t>(PieceKind::kFile), 0});
  auto planned = std::make_shared<PlannedFile>();
  if (planned->open(volume_, std::move(plan), nullptr) != 0) return false;
  answerOpen(request.to(), node, std::move(planned));
  return true;
}

std::vector<uint64_t> Snapshots::openNodes() const {
  std::vector<uint64_t> nodes;
  for (const auto& file : files_.all()) nodes.push_back(file->node);
  for (const auto& directory : directories_.all()) nodes.push_back(directory->node);
  for (uint64_t& node : nodes) node &= ~kNodeBit;
  return nodes;
}

void Snapshots::answerOpen(ReplyTo to, uint64_t node, std::shared_ptr<const PlannedFile> planned) {
  auto file = std::make_shared<OpenSnapshotFile>();
  file->node = node;
  file->file = std::move(planned);
  fuse_open_out out{};
  // What a snapshot holds never changes, so the kernel may keep what it has read.
  out.open_flags = FOPEN_KEEP_CACHE;
  if (isResent(to.unique)) out.fh = files_.openedBy(firstUnique(to.unique));
  if (out.fh == 0) out.fh = files_.add(std::move(file), {node, firstUnique(to.unique), 0, {}});
  to.value(out);
}

void Snapshots::finishRead(const std::shared_ptr<OpenSnapshotFile>& file, uint64_t offset, uint32_t size, ReplyTo to, uint64_t node) {
  std::shared_ptr<const PlannedFile> planned;
  {
    std::lock_guard<std::mutex> guard(file->mutex);
    planned = file->file;
  }
  std::unique_ptr<char[]> bytes(new char[size]);
  const ssize_t count = planned == nullptr ? -ESTALE : planned->read(bytes.get(), size, offset);
  if (count == -ESTALE) {
    Pending pending;
    pending.to = to;
    pending.opcode = FUSE_READ;
    pending.node = node;
    pending.offset = offset;
    pending.size = size;
    return replan(file, std::move(pending));
  }
  if (count < 0) return to.error(static_cast<int>(-count));
  to.data(bytes.get(), static_cast<size_t>(count));
}

void Snapshots::replan(const std::shared_ptr<OpenSnapshotFile>& file, Pending pending) {
  auto event = std::make_unique<SnapshotEvent>();
  event->operation = SnapshotOperation::kReplan;
  event->node = pending.node;
  pending.file = file;
  deliver(std::move(event), std::move(pending));
}

void Snapshots::read(Request& request) {
  const auto* in = request.body<fuse_read_in>();
  const auto file = in == nullptr ? nullptr : files_.get(in->fh);
  if (file == nullptr || in->size > kMaxWrite) return request.error(EBADF);
  finishRead(file, in->offset, in->size, request.to(), file->node);
}

void Snapshots::seek(Request& request) {
  const auto* in = request.body<fuse_lseek_in>();
  const auto file = in == nullptr ? nullptr : files_.get(in->fh);
  if (file == nullptr) return request.error(EBADF);
  std::shared_ptr<const PlannedFile> planned;
  {
    std::lock_guard<std::mutex> guard(file->mutex);
    planned = file->file;
  }
  if (planned == nullptr) {
    Pending pending;
    pending.to = request.to();
    pending.opcode = FUSE_LSEEK;
    pending.node = file->node;
    pending.offset = in->offset;
    pending.whence = static_cast<int>(in->whence);
    return replan(file, std::move(pending));
  }
  const int64_t found = planned->seek(in->offset, static_cast<int>(in->whence));
  if (found < 0) return request.error(static_cast<int>(-found));
  request.value(fuse_lseek_out{static_cast<uint64_t>(found)});
}

void Snapshots::readDirectory(Request& request, bool plus) {
  const auto* in = request.body<fuse_read_in>();
  const auto directory = in == nullptr ? nullptr : directories_.get(in->fh);
  if (directory == nullptr || in->size > kMaxWrite) return request.error(EBADF);
  {
    std::lock_guard<std::mutex> guard(directory->mutex);
    if (directory->isListed) return answerEntries(directory.get(), in->offset, in->size, plus, request.to());
  }
  relist(request, directory);
}

void Snapshots::relist(const Request& request, const std::shared_ptr<OpenSnapshotDirectory>& directory) {
  const auto* in = request.body<fuse_read_in>();
  Pending pending;
  pending.directory = directory;
  pending.offset = in->offset;
  pending.size = in->size;
  ask(request, SnapshotOperation::kList, std::move(pending));
}

// With the directory's mutex held.
void Snapshots::answerEntries(OpenSnapshotDirectory* directory, uint64_t offset, uint32_t size, bool plus, ReplyTo to) {
  std::vector<char> out;
  out.reserve(size);
  // Positions 0 and 1 are "." and ".."; a dirent's offset is the position behind it.
  for (uint64_t at = offset; at < directory->entries.size() + 2; at++) {
    const SnapshotEntry* entry = at < 2 ? nullptr : &directory->entries[at - 2];
    const std::string name = entry != nullptr ? entry->name : at == 0 ? "." : "..";
    const size_t head = plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
    const size_t length = FUSE_DIRENT_ALIGN(head + name.size());
    if (out.size() + length > size) break;
    const size_t start = out.size();
    out.resize(start + length, 0);
    auto* plusEntry = reinterpret_cast<fuse_direntplus*>(out.data() + start);
    auto* dirent = plus ? &plusEntry->dirent : reinterpret_cast<fuse_dirent*>(out.data() + start);
    dirent->ino = entry != nullptr ? entry->ino : 1;
    dirent->off = at + 1;
    dirent->namelen = static_cast<uint32_t>(name.size());
    dirent->type = entry != nullptr ? (entry->attributes.mode & S_IFMT) >> 12 : uint32_t{DT_DIR};
    memcpy(dirent->name, name.data(), name.size());
    // An entry that must be asked for each time is not handed out in advance.
    if (plus && entry != nullptr && entry->timeoutMs > 0) {
      fill(*entry, &plusEntry->entry_out);
      countLookup(*entry, directory->node, entry->name);
    }
  }
  to.data(out.data(), out.size());
}

void Snapshots::releaseDirectory(Request& request) {
  const auto* in = request.body<fuse_release_in>();
  const auto directory = in == nullptr ? nullptr : directories_.remove(in->fh);
  request.error(0);
  if (directory == nullptr) return;
  std::vector<uint64_t> gone;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    for (const SnapshotEntry& entry : directory->entries) {
      auto known = known_.find(entry.node);
      if (known == known_.end()) continue;
      if (--known->second.listings == 0 && known->second.lookups == 0) {
        freeNode(known->second);
        known_.erase(known);
        gone.push_back(entry.node);
      }
    }
  }
  reportForgotten(std::move(gone));
}

void Snapshots::countLookup(const SnapshotNode& node, uint64_t parent, const std::string& name) {
  std::lock_guard<std::mutex> guard(mutex_);
  Known& known = known_[node.node];
  known.lookups++;
  known.privileged = S_ISREG(node.attributes.mode) && (node.attributes.mode & (S_ISUID | S_ISGID)) != 0;
  if (known.slot == 0) keepNode(&known, node, parent, name);
  keepLookups(known);
}

void Snapshots::keepForgotten(std::vector<uint64_t>* nodes) const {
  std::lock_guard<std::mutex> guard(mutex_);
  nodes->erase(std::remove_if(nodes->begin(), nodes->end(), [this](uint64_t node) { return known_.count(node) != 0; }), nodes->end());
}

void Snapshots::forget(uint64_t node, uint64_t lookups) {
  node &= ~kNodeBit;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    auto known = known_.find(node);
    if (known == known_.end()) return;
    known->second.lookups -= std::min(known->second.lookups, lookups);
    keepLookups(known->second);
    if (known->second.lookups > 0 || known->second.listings > 0) return;
    const auto root = roots_.find(known->second.rootOf);
    if (root != roots_.end() && root->second.node.node == node) roots_.erase(root);
    freeNode(known->second);
    known_.erase(known);
  }
  reportForgotten({node});
}

void Snapshots::reportForgotten(std::vector<uint64_t> nodes) {
  if (nodes.empty()) return;
  auto event = std::make_unique<SnapshotEvent>();
  event->operation = SnapshotOperation::kForget;
  event->nodes = std::move(nodes);
  sink_->deliver(std::move(event));
}

void Snapshots::accessChanged() {
  if (!anyKnown()) return;
  // Whoever walks from now on comes to JavaScript, and behind this event.
  forgetRoots();
  auto event = std::make_unique<SnapshotEvent>();
  event->operation = SnapshotOperation::kAccessChanged;
  sink_->deliver(std::move(event));
}

void Snapshots::forgetRoots() {
  std::lock_guard<std::mutex> guard(mutex_);
  roots_.clear();
}

bool Snapshots::take(uint32_t id, Pending* pending) {
  std::lock_guard<std::mutex> guard(mutex_);
  auto found = pending_.find(id);
  if (found == pending_.end()) return false;
  *pending = std::move(found->second);
  pending_.erase(found);
  return true;
}

void Snapshots::replyError(uint32_t id, int error) {
  Pending pending;
  if (take(id, &pending)) pending.to.error(error);
}

void Snapshots::replyNode(uint32_t id, const SnapshotNode& node) {
  Pending pending;
  if (!take(id, &pending)) return;
  if (pending.opcode == FUSE_GETATTR) {
    fuse_attr_out out{};
    splitTimeout(node.timeoutMs, &out.attr_valid, &out.attr_valid_nsec);
    fillAttr(node, &out.attr);
    return pending.to.value(out);
  }
  countLookup(node, pending.liveDirectory != 0 ? 0 : pending.node, pending.name);
  fuse_entry_out out;
  fill(node, &out);
  if (pending.liveDirectory != 0) {
    std::lock_guard<std::mutex> guard(mutex_);
    known_[node.node].rootOf = pending.liveDirectory;
    roots_[pending.liveDirectory] = {node, monotonicNs() + uint64_t{node.timeoutMs} * 1000000};
    out.entry_valid = out.entry_valid_nsec = 0;
  }
  pending.to.value(out);
}

void Snapshots::replyData(uint32_t id, const char* bytes, size_t length) {
  Pending pending;
  if (!take(id, &pending)) return;
  if (pending.opcode == FUSE_READLINK) return pending.to.data(bytes, length);
  if (pending.size == 0) return pending.to.value(fuse_getxattr_out{static_cast<uint32_t>(length), 0});
  if (length > pending.size) return pending.to.error(ERANGE);
  pending.to.data(bytes, length);
}

void Snapshots::replyListing(uint32_t id, std::vector<SnapshotEntry> entries) {
  Pending pending;
  if (!take(id, &pending)) return;
  if (pending.directory != nullptr) {
    std::lock_guard<std::mutex> guard(pending.directory->mutex);
    if (!pending.directory->isListed) {
      pending.directory->entries = std::move(entries);
      countListings(*pending.directory);
      pending.directory->isListed = true;
    }
    return answerEntries(pending.directory.get(), pending.offset, pending.size, pending.opcode == FUSE_READDIRPLUS, pending.to);
  }
  auto directory = std::make_shared<OpenSnapshotDirectory>();
  directory->node = pending.node;
  directory->entries = std::move(entries);
  countListings(*directory);
  fuse_open_out out{};
  if (isResent(pending.to.unique)) out.fh = directories_.openedBy(firstUnique(pending.to.unique));
  if (out.fh == 0) out.fh = directories_.add(std::move(directory), {pending.node, firstUnique(pending.to.unique), 0, {}});
  pending.to.value(out);
}

void Snapshots::countListings(const OpenSnapshotDirectory& directory) {
  std::lock_guard<std::mutex> guard(mutex_);
  for (const SnapshotEntry& entry : directory.entries) {
    Known& known = known_[entry.node];
    known.listings++;
    known.plan = entry.plan;
  }
}

void Snapshots::replyPlan(uint32_t id, Plan plan, const std::string* hint) {
  Pending pending;
  if (!take(id, &pending)) return;
  auto planned = std::make_shared<PlannedFile>();
  if (const int error = planned->open(volume_, std::move(plan), hint)) return pending.to.error(error == ENOENT ? EIO : error);
  if (pending.file != nullptr) {
    {
      std::lock_guard<std::mutex> guard(pending.file->mutex);
      pending.file->file = planned;
    }
    if (pending.opcode == FUSE_LSEEK) {
      const int64_t found = planned->seek(pending.offset, pending.whence);
      return found < 0 ? pending.to.error(static_cast<int>(-found)) : pending.to.value(fuse_lseek_out{static_cast<uint64_t>(found)});
    }
    return finishRead(pending.file, pending.offset, pending.size, pending.to, pending.node);
  }
  answerOpen(pending.to, pending.node, std::move(planned));
}

}  // namespace tidemark
