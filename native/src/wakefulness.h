// Keeps idle processors from falling asleep while requests come in a stream.
//
// A request is two wake-ups: of the reader, and of the program that waits for the answer. Waking a processor that has
// gone idle takes longer than most requests do (in a virtual machine, where it leaves the guest, many times as long). Linux lets
// a process ask for less through PM QoS: while /dev/cpu_dma_latency is open, idle processors stay in states that are left
// within the time written into it. It is closed soon after the stream ends; the kernel closes it for a process that dies.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "backing.h"

namespace tidemark {

class Wakefulness {
 public:
  // Readers report each time that so many requests more have come.
  static constexpr uint64_t kReportEvery = 16;

  // Nothing is done when not wanted, and where the kernel or our rights do not permit it.
  explicit Wakefulness(bool wanted);

  bool available() const { return available_; }
  // Requests stream, and idle processors are kept awake.
  bool awake() const { return awake_.load(std::memory_order_relaxed); }
  // Any reader: kReportEvery requests have come since the last report.
  void report(uint64_t nowNs);
  // One thread, every few milliseconds: whether any request came since the last call.
  void look(bool requestsCame, uint64_t nowNs);

 private:
  bool available_ = false;
  int32_t latencyMicroseconds_ = 0;
  std::atomic<uint64_t> lastReportNs_{0};
  std::atomic<bool> awake_{false};
  // Guards hold_ and its agreement with awake_.
  std::mutex mutex_;
  UniqueFd hold_;
  // Of the thread that looks.
  uint64_t lastRequestNs_ = 0;
};

// Puts the calling thread before applications where processors are short: somebody waits for what it does, and it never does it for long. The file
// system that it stands for would work on the waiting program's own time. Refused without the right to.
void preferThread();

// Whether a reader should look for the next request for some microseconds before it sleeps: that saves the wake-up, as
// long as requests do come so soon. Of one thread.
class SpinAdvice {
 public:
  bool shouldSpin() {
    if (credit_ > 0) return true;
    if (++skipped_ == kSkip) {
      skipped_ = 0;
      credit_ = kMiss;
    }
    return false;
  }
  void spun(bool found) { credit_ = found ? (credit_ < kMost ? credit_ + 1 : kMost) : credit_ - kMiss; }

 private:
  static constexpr int kMost = 32;
  // One miss costs what so many finds save; after too many of them none are tried for so many requests.
  static constexpr int kMiss = 4;
  static constexpr int kSkip = 256;
  int credit_ = kMiss;
  int skipped_ = 0;
};

}  // namespace tidemark
