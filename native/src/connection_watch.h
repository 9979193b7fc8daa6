// Notices the end of a mount that something else in this process (libfuse, inside fuse-native) reads the requests of.
//
// Invariants:
// 1. `ended` is called once, on the watch's thread: when the kernel has ended the connection, also when that took its time (umount -l).
#pragma once

#include <functional>
#include <thread>

#include "backing.h"

namespace tidemark {

class ConnectionWatch {
 public:
  ~ConnectionWatch();

  // Finds this process's connection and watches it. 0 or an errno (ENOTCONN: there is none).
  int start(std::function<void()> ended);

 private:
  // A duplicate, by which the connection can be watched after libfuse has closed its own.
  UniqueFd device_;
  std::thread thread_;
};

}  // namespace tidemark
