// Making and ending a mount: mount(2) for root, fusermount3 for everybody else.
#pragma once

#include <string>

#include "backing.h"

namespace tidemark {

struct MountRequest {
  std::string mountpoint;
  std::string source;
  bool allowOther;
};

// Mounts and gives the connection's descriptor. 0 or an errno; *message may say more.
int mountFuse(const MountRequest& request, UniqueFd* device, std::string* message);

// Lets the kernel read ahead by large requests, several at a time; 128 KiB at a time is its default. Root only, and never
// a failure: reads are then slower. Sends no request to whoever serves the mount.
void widenReadAhead(const std::string& mountpoint);

// 0 or an errno (EBUSY: in use, and still after half a second).
int unmountFuse(const std::string& mountpoint);

}  // namespace tidemark
