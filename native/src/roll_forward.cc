// After a crash: a change of a name may be in the log and not in the tree, or half in it. The log has told it, so it is
// done now (whoever asked for it was given no answer, or an answer that promised it).
//
// What cannot be finished, the log takes back: a rename of which the power took the second half of the records (or whose other name has no
// history); a link to a file that had no name yet, and so went with its last handle.
//
// Idempotent: each step looks first whether the tree still stands as the record says it stood before.
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "volume.h"

namespace tidemark {
namespace {

class Step {
 public:
  Step(const Backing& backing, const UnfinishedName& change) : backing_(backing), change_(change), directory_(backing.openById(change.directory, O_RDONLY | O_DIRECTORY)) {}

  bool valid() const { return directory_.valid(); }
  int fd() const { return directory_.get(); }
  const char* name() const { return change_.name.c_str(); }

  // What the name leads to now; type 0: nothing.
  NameTarget now(struct stat* st) const {
    FileId id;
    if (backing_.identify(fd(), name(), st, &id) != 0) return {};
    return {id, st->st_mode & S_IFMT};
  }
  bool leadsTo(const NameTarget& target) const {
    struct stat st;
    const NameTarget found = now(&st);
    return found.type == 0 ? target.type == 0 : target.type != 0 && found.file == target.file;
  }
  // Takes the name away; an inode that has no other leaves the tree whole.
  void remove() const {
    struct stat st;
    const NameTarget found = now(&st);
    if (found.type == S_IFDIR || st.st_nlink == 1) backing_.moveToObjects(fd(), name(), found.file);
    else if (found.type != 0) unlinkat(fd(), name(), 0);
  }

 private:
  const Backing& backing_;
  const UnfinishedName& change_;
  UniqueFd directory_;
};

void finishRename(const Backing& backing, const UnfinishedName& from, const UnfinishedName& to) {
  const Step source(backing, from);
  const Step target(backing, to);
  if (!source.valid() || !target.valid()) return;
  const NameTarget& moved = from.before;
  const NameTarget& replaced = to.before;
  if (source.leadsTo(moved) && target.leadsTo(replaced)) {
    const int flags = replaced.type != 0 ? 2 /* RENAME_EXCHANGE */ : 1 /* RENAME_NOREPLACE */;
    if (renameat2(source.fd(), source.name(), target.fd(), target.name(), static_cast<unsigned>(flags)) != 0) return;
  }
  // Exchanged, and the replaced inode still stands under the old name.
  const bool isExchange = from.operation == NameOperation::kExchange;
  if (!isExchange && replaced.type != 0 && target.leadsTo(moved) && source.leadsTo(replaced)) source.remove();
}

void finishLink(const Backing& backing, const UnfinishedName& change) {
  const Step step(backing, change);
  UniqueFd file(backing.openById(change.after.file, O_PATH | O_NOFOLLOW));
  if (!step.valid() || !file.valid() || !step.leadsTo({})) return;
  if (linkat(AT_FDCWD, Backing::procPath(file.get()).c_str(), step.fd(), step.name(), AT_SYMLINK_FOLLOW) != 0) return;
}

// Whether the second record tells the other half of the rename of the first: both are of one file, and one stands right behind the other.
bool arePair(const UnfinishedName& from, const UnfinishedName& to) {
  const NameOperation wanted = from.operation == NameOperation::kExchange ? NameOperation::kExchange : NameOperation::kRenameTo;
  return to.txid == from.txid && to.operation == wanted && to.after.file == from.before.file;
}

}  // namespace

int Volume::takeBackUnlessDone(const UnfinishedName& change) {
  const Step step(backing, change);
  if (!step.valid() || step.leadsTo(change.after)) return 0;
  RecordBatch batch(change.txid);
  batch.name(change.directory, change.name, NameOperation::kExternal, change.before, change.before);
  Lsn position;
  return log.append(batch, &position);
}

int Volume::rollForward() {
  const auto& names = recovery.names;
  for (const UnfinishedName& change : names)
    if (change.before.type != 0) recovery.removed.push_back(change.before.file);
  for (size_t i = 0; i < names.size(); i++) {
    const UnfinishedName& change = names[i];
    const bool isPair = i + 1 < names.size() && arePair(change, names[i + 1]);
    switch (change.operation) {
      case NameOperation::kUnlink:
      case NameOperation::kRmdir: {
        const Step step(backing, change);
        if (step.valid() && step.leadsTo(change.before)) step.remove();
        break;
      }
      case NameOperation::kRenameAway:
      case NameOperation::kExchange:
        if (isPair) finishRename(backing, change, names[++i]);
        else if (const int error = takeBackUnlessDone(change)) return error;
        break;
      case NameOperation::kRenameTo:
        if (const int error = takeBackUnlessDone(change)) return error;
        break;
      case NameOperation::kLink:
        finishLink(backing, change);
        if (const int error = takeBackUnlessDone(change)) return error;
        break;
      default: break;
    }
  }
  recovery.names.clear();
  return 0;
}

}  // namespace tidemark
