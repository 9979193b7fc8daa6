// The backing directory and its store, reached by descriptors opened once: who a file is, and how to open it again.
//
// In: names below a directory descriptor, or file ids. Out: descriptors, attributes, moves into objects/.
//
// Invariants:
// 1. Nothing here resolves a path through the mount: everything starts from rootFd or storeFd.
// 2. Another file system mounted below the backing directory is never entered (EXDEV).
// 3. An inode that moveToObjects took out keeps its file id, and openById finds it.
#pragma once

#include <fcntl.h>

#include <functional>
#include <string>
#include <string_view>

#include "types.h"

namespace tidemark {

// Owns a descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

// What an inode that leaves the tree was, should the log lose its record of that with the power: unlink(2) does not wait for the log.
struct Departure {
  // The log's end behind the record of the departure, and behind the records of the inode's creation (0: durable, or long ago).
  Lsn position = 0;
  Lsn bornAt = 0;
  FileId directory;
  std::string name;
};

class Backing {
 public:
  static constexpr const char* kStoreName = ".tidemark";

  // Opens the directory and makes the store's folders. 0 or an errno (ENOTSUP: a file system that cannot hold a store).
  int open(const std::string& directory);

  int rootFd() const { return rootFd_.get(); }
  int storeFd() const { return storeFd_.get(); }
  int logFd() const { return logFd_.get(); }
  FileId rootId() const { return rootId_; }
  const std::string& directory() const { return directory_; }
  // true: any inode can be opened by its id (needs CAP_DAC_READ_SEARCH and a file system with known handles).
  bool opensById() const { return opensById_; }

  // Attributes and id of a name; symlinks are not followed. 0 or an errno. The store is not there, by whatever name (a directory may ignore case).
  int identify(int directoryFd, const char* name, struct stat* st, FileId* id) const;
  // The same of an open descriptor.
  int identify(int fd, struct stat* st, FileId* id) const;

  // Attributes of a name, and when its inode was made (as bornNs says). 0 or an errno.
  static int lookAt(int directoryFd, const char* name, struct stat* st, int64_t* bornNs);

  // When the inode behind a name was made (wall clock; where the file system does not know that, when it last changed). `name` "" with AT_EMPTY_PATH: the descriptor's own.
  static int64_t bornNs(int directoryFd, const char* name, int flags);

  // Opens an inode by id, in the tree or in objects/. A descriptor, or -errno (ENOSYS when opensById() is false and it is no object).
  int openById(FileId id, int flags) const;
  // Opens a path below the root if it still leads to `id`; or -errno (ESTALE when it leads elsewhere).
  int openByPath(std::string_view path, FileId id, int flags) const;
  int openObject(FileId id, int flags) const;

  // Takes the inode behind a name out of the tree. 0 or an errno.
  int moveToObjects(int directoryFd, const char* name, FileId id) const;
  bool isObject(FileId id) const;

  // Leaves a departure with an inode whose last name is about to be taken, for recovery; where the file system takes none, recovery finds none.
  void noteDeparture(int directoryFd, const char* name, const Departure& departure) const;
  // Of each object that carries one, in folders that changed since `sinceNs` (wall clock). 0 or an errno.
  int eachDeparture(int64_t sinceNs, const std::function<void(FileId object, uint32_t type, Departure departure)>& tell) const;
  // It is in the log now.
  void forgetDeparture(FileId object) const;
  // Removes an object that no snapshot shows. 0 or an errno.
  int removeObject(FileId object) const;
  // true for the extended attribute that departures stand in: nobody else's affair.
  static bool isOwnXattr(const char* name) { return strcmp(name, kDepartureXattr) == 0 || strcmp(name, kUserDepartureXattr) == 0; }

  // The root's links without the store's.
  void hideStore(FileId id, struct stat* st) const {
    if (id == rootId_ && st->st_nlink > 2) st->st_nlink--;
  }

  // "/proc/self/fd/N" for calls that take only paths.
  static std::string procPath(int fd);
  // What a change of a program's bytes or owner leaves of its mode: no setuid, and no setgid where that means a program.
  static mode_t withoutPrivilegeBits(mode_t mode) {
    return mode & ~static_cast<mode_t>(S_ISUID | ((mode & S_IXGRP) != 0 ? S_ISGID : 0));
  }
  // chmod of an O_PATH descriptor (not of a symlink). 0 or an errno.
  static int changeMode(int fd, mode_t mode);

 private:
  static constexpr const char* kDepartureXattr = "trusted.tidemark";
  // For daemons that may not use the other; symlinks and the like then carry none.
  static constexpr const char* kUserDepartureXattr = "user.tidemark";

  // Below objects/.
  static std::string objectName(FileId id);
  int learnHandles();
  uint32_t generationOf(int directoryFd, const char* name, int flags) const;

  std::string directory_;
  UniqueFd rootFd_, storeFd_, logFd_, objectsFd_;
  FileId rootId_;
  dev_t device_ = 0;
  ino_t storeInode_ = 0;
  bool opensById_ = false;
  // How the file system lays out its handles; 0 = unknown, then generations are 0.
  int handleType_ = 0;
  unsigned handleBytes_ = 0;
  uint64_t btrfsRoot_ = 0;
};

}  // namespace tidemark
