// Acting as the caller, on the calling thread only (raw system calls: glibc's wrappers would change every thread).
#pragma once

#include "types.h"

namespace tidemark {

// While it lives, files are made with the caller's ids. The right to pass closed directories is kept: the kernel has
// already decided that the caller may. Does nothing for root, or when the daemon is not root.
class ActAs {
 public:
  ActAs(uint32_t uid, uint32_t gid);
  ~ActAs();
  ActAs(const ActAs&) = delete;
  ActAs& operator=(const ActAs&) = delete;

 private:
  bool active_ = false;
};

// Gives the calling thread a umask of its own; once per thread.
void ownUmask();
// Prepares for making a file with `mode` under the caller's umask (which a default ACL overrides, so that the backing file
// system must see it). Returns the mode to pass.
uint32_t underUmask(uint32_t mode, uint32_t mask);

// Asks the kernel whether the caller, with his supplementary groups, may access `path` below directoryFd. 0 or an errno.
int accessAs(uint32_t uid, uint32_t gid, uint32_t pid, int directoryFd, const char* path, int mask, int flags);

}  // namespace tidemark
