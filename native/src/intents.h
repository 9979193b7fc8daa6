// The intent log: small syncs are answered from the log alone. The bytes of a write stand in it beside what they destroy (INTENT records; the mtime that
// follows from it, too), so one flush makes both durable; the file itself follows later. Until then its intents are outstanding: after a power cut they are written again.
//
// Who writes says begin() before and appended() after the record is in the log, under the inode's change lock. Whoever is about to change a file in
// another way than by writing bytes (its size, its holes) retires it first: intents written again later must not bring back what he took away.
//
// Invariants:
// 1. An intent is outstanding from before it is in the log until a RETIRED note that covers it is on the disk.
// 2. A file is retired up to a position only when what stood below has acted and the file was synced since, its times included (fsync).
// 3. The log's floor is at or below every outstanding intent.
#pragma once

#include <mutex>
#include <unordered_map>
#include <vector>

#include "types.h"

namespace tidemark {

struct LoggedIntent;
class Volume;

class Intents {
 public:
  explicit Intents(Volume* volume) : volume_(volume) {}

  // true when the last process' page cache lives on: only its daemon died.
  bool livedOn() const;
  // Finishes what the last process left (of a mount that goes on the session does): writes its intents again, unless the page cache they acted in has lived on, and syncs the files. 0 or an errno.
  int recover();
  // Whether small syncs may be answered from the log: files can be opened by their ids, and a later process can tell whether the page cache lived on.
  bool enabled() const { return enabled_; }
  // Files whose intents recover() wrote again, as far as they were not there.
  const std::vector<FileId>& replayed() const { return replayed_; }

  void begin(FileId file);
  // `position`: the log's end behind the record; 0: it was not appended.
  void appended(FileId file, Lsn position);
  // The position behind the file's newest intent; 0: none is outstanding.
  Lsn outstanding(FileId file) const;

  // The file's intents up to `position` have acted and been synced since (fsync): they are done with when this returns. 0 or an errno.
  int retired(FileId file, Lsn position);
  // Syncs `fd`, a descriptor of the file, and retires its intents, all of which have acted. 0 or an errno.
  int retire(FileId file, int fd);
  // Does so for all files. 0 or the first error; those that failed stay outstanding.
  int retireAll();

 private:
  struct Outstanding {
    Lsn first = 0;
    Lsn last = 0;
    // Between begin() and appended().
    unsigned writing = 0;
  };
  using Positions = std::vector<std::pair<FileId, Lsn>>;

  // The file's intents stand at `from` or behind it.
  void begin(FileId file, Lsn from);
  int replay();
  int syncFile(FileId file, Lsn* position);
  // Appends the notes, waits until they are on the disk, and forgets the intents.
  int note(const Positions& retired);
  // The boot and the mount of the backing file system; empty where the kernel cannot tell.
  std::string instance() const;

  Volume* const volume_;
  bool enabled_ = false;
  std::vector<FileId> replayed_;
  // Guards files_. Taken after change locks, before the log's.
  mutable std::mutex mutex_;
  std::unordered_map<FileId, Outstanding, FileIdHash> files_;
};

}  // namespace tidemark
