// What of the nodes and handles below ".snapshots" outlives the process (kept_table.h), and how the next one goes on with them.
#include <errno.h>

#include <algorithm>

#include "snapshots.h"

namespace tidemark {

int Snapshots::makeTables() {
  int error = keptFiles_.create("tidemark-snapshot-files");
  if (error == 0) error = keptDirectories_.create("tidemark-snapshot-directories");
  if (error == 0) error = keptNodes_.create("tidemark-snapshot-nodes");
  files_.keepIn(&keptFiles_);
  directories_.keepIn(&keptDirectories_);
  return error;
}

int Snapshots::adoptTables(KeeperLink* keeper) {
  int error = keptFiles_.adopt(keeper->take(KeptKind::kSnapshotFiles));
  if (error == 0) error = keptDirectories_.adopt(keeper->take(KeptKind::kSnapshotDirectories));
  if (error == 0) error = keptNodes_.adopt(keeper->take(KeptKind::kSnapshotNodes));
  return error;
}

void Snapshots::keepTables(KeeperLink* keeper) {
  keeper->keep(KeptKind::kSnapshotFiles, 0, keptFiles_.fd());
  keeper->keep(KeptKind::kSnapshotDirectories, 0, keptDirectories_.fd());
  keeper->keep(KeptKind::kSnapshotNodes, 0, keptNodes_.fd());
}

void Snapshots::keepNode(Known* known, const SnapshotNode& node, uint64_t parent, const std::string& name) {
  if (!keptNodes_.exists()) return;
  size_t slot = nextSlot_;
  if (freeSlots_.empty()) {
    nextSlot_++;
  } else {
    slot = freeSlots_.back();
    freeSlots_.pop_back();
  }
  KeptSnapshotNode* kept = keptNodes_.at(slot);
  if (kept == nullptr) return;
  known->slot = slot;
  kept->lookups = 0;
  kept->number = node.node;
  kept->parent = parent;
  kept->snapshot = node.snapshot;
  kept->size = node.attributes.size;
  kept->inode = node.file.inode;
  kept->generation = node.file.generation;
  kept->isList = node.isList ? 1 : 0;
  kept->isPrivileged = known->privileged ? 1 : 0;
  kept->nameLength = static_cast<uint8_t>(std::min<size_t>(name.size(), 255));
  memcpy(kept->name, name.data(), std::min(name.size(), KeptSnapshotNode::kName));
}

void Snapshots::keepLookups(const Known& known) {
  KeptSnapshotNode* kept = known.slot == 0 ? nullptr : keptNodes_.at(known.slot);
  if (kept != nullptr) kept->lookups = known.lookups;
}

void Snapshots::freeNode(const Known& known) {
  if (known.slot != 0) freeSlots_.push_back(known.slot);
}

void Snapshots::restore() {
  auto event = std::make_unique<SnapshotEvent>();
  event->operation = SnapshotOperation::kRestore;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    nextSlot_ = std::max<size_t>(1, keptNodes_.size());
    for (size_t slot = nextSlot_; slot-- > 1;) {
      const KeptSnapshotNode* kept = keptNodes_.at(slot);
      if (kept->lookups == 0) {
        freeSlots_.push_back(slot);
        continue;
      }
      Known& known = known_[kept->number];
      known.lookups = kept->lookups;
      known.privileged = kept->isPrivileged != 0;
      known.slot = slot;
      const FileId file{kept->inode, kept->generation};
      const bool hasName = kept->nameLength <= KeptSnapshotNode::kName;
      event->restored.push_back({kept->number, kept->parent, kept->snapshot, kept->size, file, kept->isList != 0, hasName ? std::string(kept->name, kept->nameLength) : std::string()});
    }
  }
  if (!event->restored.empty()) sink_->deliver(std::move(event));
  files_.keepIn(&keptFiles_);
  directories_.keepIn(&keptDirectories_);
  files_.restore([](const HandleOrigin& origin) {
    auto file = std::make_shared<OpenSnapshotFile>();
    file->node = origin.node;
    return file;
  });
  directories_.restore([](const HandleOrigin& origin) {
    auto directory = std::make_shared<OpenSnapshotDirectory>();
    directory->node = origin.node;
    directory->isListed = false;
    return directory;
  });
}

}  // namespace tidemark
