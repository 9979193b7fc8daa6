#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../src/keeper_socket.h"
#include "telling.h"

namespace tidemark {
namespace {

constexpr int kMostFailures = 5;
// One that lived so long has not failed to start, and did not die soon.
constexpr uint64_t kLongStartNs = 10ull * 1000000000;
// One that follows may take so long until the volume can be used; where systemd watches, it is killed then.
constexpr uint64_t kLongestStartNs = 600ull * 1000000000;
// Pauses before the next daemon, by how many failed in a row; and after many early deaths in a row, whatever they had answered.
constexpr int kPausesMs[kMostFailures] = {0, 250, 500, 1000, 2000};
constexpr int kManyEarlyDeaths = 10;
constexpr int kEarlyPauseMs = 1000;
// How long to wait for why a daemon died, once its descriptors are closed.
constexpr int kMostWaitMs = 50;

// The status of a process that cannot be waited for yet, because one of its threads still waits for the kernel: the last number of /proc/PID/stat. 0: not to be had.
int statusOfDying(pid_t pid) {
  char text[1024];
  const int fd = open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC);
  const ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  text[length > 0 ? length : 0] = 0;
  const char* last = strrchr(text, ' ');
  return last == nullptr ? 0 : atoi(last);
}

}  // namespace

int Keeper::run() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  // A file without a name is a descriptor here.
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (const char* usec = getenv("WATCHDOG_USEC")) watchdogNs_ = strtoull(usec, nullptr, 10) * 1000;
  do {
    begin();
    for (bool isOpen = true; isOpen;) {
      struct pollfd ready[2] = {{link_, POLLIN, 0}, {signals_, POLLIN, 0}};
      if (poll(ready, 2, pollMs()) < 0 && errno != EINTR) return 70;
      if (ready[1].revents != 0) passSignals();
      if (ready[0].revents != 0) isOpen = receive();
      watch();
    }
  } while (ended());
  if (!reaped_) waitpid(pid_, &status_, 0);
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

// Where there is no room for another process now there may be soon, and the mount is lost if this one gives up.
void Keeper::begin() {
  int ends[2];
  for (;;) {
    pid_ = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0) {
      pid_ = fork();
      if (pid_ >= 0) break;
      close(ends[0]);
      close(ends[1]);
    }
    say(50, std::string("cannot start the daemon now: ") + strerror(errno));
    pause(kPausesMs[kMostFailures - 1]);
  }
  if (pid_ == 0) become(ends[1]);
  begunNs_ = aliveNs_ = clockNs(CLOCK_MONOTONIC);
  reaped_ = isReady_ = isHandedOver_ = isHung_ = hasServed_ = false;
  close(ends[1]);
  link_ = ends[0];
  sendKept();
}

// systemd hears of it that the mount is looked after.
void Keeper::pause(int ms) {
  if (go_.restarts > 0 && watchdogNs_ != 0) tellSystemd("WATCHDOG=1");
  usleep(static_cast<useconds_t>(ms) * 1000);
}

void Keeper::become(int link) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  fcntl(link, F_SETFD, 0);
  setenv(kKeeperVariable, std::to_string(link).c_str(), 1);
  unsetenv("NOTIFY_SOCKET");
  // A crash that a test has ordered comes once.
  if (go_.restarts > 0) unsetenv("TIDEMARK_FAILPOINT");
  std::vector<char*> arguments;
  for (const std::string& argument : program_) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  say(60, std::string("cannot start the daemon: ") + strerror(errno));
  _exit(127);
}

void Keeper::sendKept() {
  for (const auto& [key, fd] : kept_) {
    KeeperMessage message{};
    message.word = KeeperWord::kKept;
    message.kind = key.first;
    message.number = key.second;
    // One that has died meanwhile is noticed by the end of the socket.
    sendMessage(link_, message, fd, {});
  }
  go_.word = KeeperWord::kGo;
  go_.keeper = static_cast<uint32_t>(getpid());
  sendMessage(link_, go_, -1, {});
}

bool Keeper::receive() {
  KeeperMessage message{};
  int fd = -1;
  std::string text;
  if (receiveMessage(link_, &message, &fd, &text) != 0) return false;
  take(message, fd, text);
  return true;
}

void Keeper::take(const KeeperMessage& message, int fd, const std::string& text) {
  const std::pair<KeptKind, uint64_t> key(message.kind, message.number);
  aliveNs_ = clockNs(CLOCK_MONOTONIC);
  switch (message.word) {
    case KeeperWord::kKept:
    case KeeperWord::kDropped: {
      const auto found = kept_.find(key);
      if (found != kept_.end()) {
        close(found->second);
        kept_.erase(found);
      }
      if (fd >= 0) kept_[key] = fd;
      break;
    }
    case KeeperWord::kReady:
      isReady_ = true;
      before_.clear();
      for (const int signal : waiting_) kill(pid_, signal);
      waiting_.clear();
      return tellSystemd("READY=1");
    case KeeperWord::kAlive: return tellSystemd("WATCHDOG=1");
    case KeeperWord::kServed:
      hasServed_ = true;
      failures_ = 0;
      break;
    case KeeperWord::kEnded:
      isEnded_ = true;
      // At once: the file system below may be about to be unmounted, too.
      for (const auto& [kept, descriptor] : kept_) close(descriptor);
      kept_.clear();
      return tellSystemd("STOPPING=1");
    case KeeperWord::kHandOver: {
      go_.downSinceNs = aliveNs_;
      isHandedOver_ = true;
      Program next;
      for (size_t at = 0; at < text.size(); at += next.back().size() + 1) next.emplace_back(text.c_str() + at);
      if (next.empty()) break;
      before_ = program_;
      program_ = next;
      break;
    }
    case KeeperWord::kGo: break;
  }
}

void Keeper::passSignals() {
  struct signalfd_siginfo info;
  while (read(signals_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo == SIGCHLD) {
      reap();
      continue;
    }
    // One that is still beginning would be killed by it.
    if (isReady_) kill(pid_, static_cast<int>(info.ssi_signo));
    else waiting_.push_back(static_cast<int>(info.ssi_signo));
  }
}

void Keeper::reap() {
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid != pid_) continue;
    reaped_ = true;
    status_ = status;
  }
}

int Keeper::pollMs() const { return watchdogNs_ == 0 ? -1 : static_cast<int>(watchdogNs_ / 8000000) + 1; }

// systemd would end the mount with everything; so the daemon alone is ended before.
void Keeper::watch() {
  if (watchdogNs_ == 0 || isHung_ || reaped_) return;
  const uint64_t nowNs = clockNs(CLOCK_MONOTONIC);
  if (!isReady_) {
    if (go_.restarts == 0) return;
    if (nowNs - begunNs_ < kLongestStartNs) return tellSystemd("WATCHDOG=1");
  } else if (nowNs - aliveNs_ < watchdogNs_ / 2) {
    return;
  }
  isHung_ = true;
  kill(pid_, SIGKILL);
}

bool Keeper::isConnected() const {
  const auto device = kept_.find({KeptKind::kDevice, 0});
  if (device == kept_.end()) return false;
  struct pollfd ready = {device->second, POLLOUT, 0};
  return poll(&ready, 1, 0) >= 0 && (ready.revents & POLLERR) == 0;
}

int32_t Keeper::whyEnded() {
  for (int waitedMs = 0; waitedMs < kMostWaitMs && !reaped_; waitedMs++) {
    reap();
    if (!reaped_) usleep(1000);
  }
  if (isHandedOver_) return kWhyUpgrade;
  if (isHung_) return kWhyHung;
  const int status = reaped_ ? status_ : statusOfDying(pid_);
  if (!reaped_ && status == 0) return kWhyUnknown;
  return WIFSIGNALED(status) ? WTERMSIG(status) : kWhyExit + WEXITSTATUS(status);
}

bool Keeper::giveUp() {
  const bool isEarly = clockNs(CLOCK_MONOTONIC) - begunNs_ < kLongStartNs;
  earlyDeaths_ = isEarly && !isHandedOver_ ? earlyDeaths_ + 1 : 0;
  if (hasServed_ || isHandedOver_ || !isEarly) failures_ = 0;
  else if (go_.restarts > 0) failures_++;
  return failures_ >= kMostFailures;
}

bool Keeper::ended() {
  close(link_);
  isReady_ = false;
  const uint64_t nowNs = clockNs(CLOCK_MONOTONIC);
  const int32_t why = whyEnded();
  if (isEnded_ || !isConnected()) return false;
  if (giveUp()) {
    say(60, "the daemon died " + std::to_string(failures_) + " times in a row before it had answered anything (it " + describeEnd(why) + "): given up, the mount is dead; mount again to recover");
    return false;
  }
  // Nobody has served since the one before died.
  if (!isHandedOver_ && (hasServed_ || go_.restarts == 0)) go_.downSinceNs = nowNs;
  go_.diedNs = nowNs;
  go_.downAtNs = static_cast<int64_t>(clockNs(CLOCK_REALTIME));
  go_.restarts++;
  go_.why = why;
  if (!isHandedOver_ && !before_.empty()) {
    program_.swap(before_);
    before_.clear();
    go_.why = kWhyUpgradeFailed;
    say(50, "the new daemon " + describeEnd(why) + " before it was ready: the one before is started again");
    return true;
  }
  say(isHandedOver_ ? 30 : 50, "the daemon " + describeEnd(why) + ": another one is started on the same connection");
  pause(earlyDeaths_ > kManyEarlyDeaths ? kEarlyPauseMs : kPausesMs[failures_]);
  return true;
}

}  // namespace tidemark
