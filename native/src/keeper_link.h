// The daemon's end of the way to its keeper (native/keeper): the process that holds the connection to the kernel open, and what has to outlive the daemon.
//
// Any thread may use it. Invariants:
// 1. What keep() was given is in the keeper's hands, or on its way there, when it returns: a daemon that is killed takes nothing along.
// 2. When the keeper has died everything goes on without it.
#pragma once

#include <atomic>
#include <map>
#include <string>
#include <utility>

#include "backing.h"
#include "keeper_protocol.h"

namespace tidemark {

class KeeperLink {
 public:
  // Reads what is kept. `fd`: the end of the socket, owned from here on. 0 or an errno.
  int open(int fd);

  // Another daemon has left a mount to be served.
  bool resumes() const { return has(KeptKind::kDevice); }
  bool isAlive() const { return alive_.load(std::memory_order_relaxed); }
  const KeeperMessage& start() const { return start_; }

  bool has(KeptKind kind) const { return kept_.lower_bound({kind, 0}) != kept_.end() && kept_.lower_bound({kind, 0})->first.first == kind; }
  // The descriptor of a kind with the least number, and that number. It stays kept. Invalid: there is none (any more).
  UniqueFd take(KeptKind kind, uint64_t* number = nullptr);

  void keep(KeptKind kind, uint64_t number, int fd);
  void drop(KeptKind kind, uint64_t number);
  void say(KeeperWord word, const std::string& text = {});

 private:
  void send(const KeeperMessage& message, int fd, const std::string& text);

  UniqueFd socket_;
  KeeperMessage start_{};
  // Until taken. Of the thread that opens and mounts.
  std::map<std::pair<KeptKind, uint64_t>, UniqueFd> kept_;
  std::atomic<bool> alive_{false};
};

}  // namespace tidemark
