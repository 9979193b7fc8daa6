// The keeper: a process of a few hundred kilobytes that outlives the daemon. It holds the connection to the kernel (/dev/fuse and its clones) and the daemon's
// tables (kept_table.h) open; when the daemon dies it starts another one, which goes on where the last one stopped. Applications wait meanwhile.
//
// Usage: tidemark-keeper PROGRAM ARGUMENT…, which is the daemon; its end of the socket (keeper_protocol.h) is in the environment. The exit status is the daemon's,
// once the mount has ended. Signals that ask the daemon to end are handed on. For systemd (NOTIFY_SOCKET) it tells readiness and signs of life.
//
// Invariants:
// 1. A daemon is begun only when the last one has closed every descriptor of its own: the end of the socket says so, even while one of its threads waits for the kernel.
// 2. Descriptors are kept from their message on until they are dropped, whatever the daemon does.
// 3. A daemon that died kMostFailures times in a row without having answered a request is given up: everything is closed, and so the mount is dead. Until then, and
//    where daemons die again and again soon after they began, the next one is begun after a pause, which what was wrong may not outlast.
// 4. While a daemon begins it owes no sign of life. systemd gets those of the keeper then, but for the first one: it does not ask for any before the volume is ready.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "../src/keeper_protocol.h"

namespace tidemark {

using Program = std::vector<std::string>;

class Keeper {
 public:
  explicit Keeper(Program program) : program_(std::move(program)) {}

  int run();

 private:
  void begin();
  void pause(int ms);
  [[noreturn]] void become(int link);
  void sendKept();
  // One message. false: the daemon has closed its end.
  bool receive();
  void take(const KeeperMessage& message, int fd, const std::string& text);
  void passSignals();
  // Takes note of children that have ended, the daemon or earlier ones.
  void reap();
  // The daemon is gone. true: another one is to be begun.
  bool ended();
  int32_t whyEnded();
  bool isConnected() const;
  bool giveUp();
  void watch();
  int pollMs() const;

  Program program_;
  // Before an upgrade whose program has not served yet.
  Program before_;
  std::map<std::pair<KeptKind, uint64_t>, int> kept_;
  int signals_ = -1;
  int link_ = -1;
  pid_t pid_ = -1;
  int status_ = 0;
  bool reaped_ = false;
  // Signals that came before the daemon could take them.
  std::vector<int> waiting_;
  bool isReady_ = false;
  bool isEnded_ = false;
  bool isHandedOver_ = false;
  bool isHung_ = false;
  bool hasServed_ = false;
  int failures_ = 0;
  int earlyDeaths_ = 0;
  uint64_t begunNs_ = 0;
  uint64_t aliveNs_ = 0;
  uint64_t watchdogNs_ = 0;
  KeeperMessage go_{};
};

}  // namespace tidemark
