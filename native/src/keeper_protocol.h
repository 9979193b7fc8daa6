// What a daemon and its keeper say to each other, over a socket pair (SOCK_SEQPACKET): one message a packet, a descriptor with some.
//
// When a daemon begins, the keeper sends it all that is kept (kKept, with a descriptor each), and then kGo. The end of the socket tells the keeper that
// the daemon has died.
#pragma once

#include <signal.h>

#include <cstdint>
#include <string>

namespace tidemark {

enum class KeeperWord : uint32_t {
  // Daemon: keep this descriptor. Keeper: here it is.
  kKept = 1,
  // Daemon: close the descriptor of this kind and number.
  kDropped = 2,
  // Keeper: this is all.
  kGo = 3,
  // Daemon: the volume can be used.
  kReady = 4,
  // Daemon: a request was answered.
  kServed = 5,
  // Daemon: still alive.
  kAlive = 6,
  // Daemon: the mount has ended, and nothing is to be kept.
  kEnded = 7,
  // Daemon: I end, and nobody reads requests from now on; begin the next one. The text has its program and arguments, each ended by a NUL.
  kHandOver = 8,
};

enum class KeptKind : uint32_t { kDevice = 1, kClone, kLookingClone, kRoot, kAgreement, kAttempts, kTries, kInodes, kFiles, kDirectories, kSnapshotFiles, kSnapshotDirectories, kSnapshotNodes, kPinned };

// Why a daemon was started again, as `why`: the signal that killed the last one, or one of these.
constexpr int32_t kWhyUpgrade = 1000;
// The new program of an upgrade did not start, and the one before serves again.
constexpr int32_t kWhyUpgradeFailed = 1001;
// It gave no sign of life for half the time of systemd's watchdog.
constexpr int32_t kWhyHung = 1002;
// 2000 and an exit status.
constexpr int32_t kWhyExit = 2000;
// It cannot be known yet.
constexpr int32_t kWhyUnknown = 0;

struct KeeperMessage {
  KeeperWord word;
  KeptKind kind;
  uint64_t number;
  // kGo: how often a daemon was started again, why the last time, the keeper's process, and since when nobody serves: CLOCK_MONOTONIC, and the time, in ns.
  uint32_t restarts;
  int32_t why;
  uint32_t keeper;
  uint32_t zero;
  uint64_t downSinceNs;
  int64_t downAtNs;
  // When the last daemon died, which may have begun and never served: CLOCK_MONOTONIC.
  uint64_t diedNs;
};
static_assert(sizeof(KeeperMessage) == 56, "shared with other processes");

// As kill(1) calls it, with SIG before it.
inline std::string signalName(int signal) {
  switch (signal) {
    case SIGABRT: return "SIGABRT";
    case SIGBUS: return "SIGBUS";
    case SIGFPE: return "SIGFPE";
    case SIGHUP: return "SIGHUP";
    case SIGILL: return "SIGILL";
    case SIGINT: return "SIGINT";
    case SIGKILL: return "SIGKILL";
    case SIGSEGV: return "SIGSEGV";
    case SIGTERM: return "SIGTERM";
    case SIGTRAP: return "SIGTRAP";
    case SIGXCPU: return "SIGXCPU";
    default: return "signal " + std::to_string(signal);
  }
}

constexpr unsigned kLongestText = 16384;
// In the daemon's environment: its end of the socket.
constexpr const char* kKeeperVariable = "TIDEMARK_KEEPER";

}  // namespace tidemark
