// Requests that wait for room on the disk, whole, as they were read: no thread and no lock is held for them. While they wait nothing of them has happened, or what has
// happened of them (a write that went half-way) may happen again.
//
// Invariants:
// 1. Each is answered once: by being run again, or with ENOSPC when nothing more can be given up, when it has waited for kMostNs, and when the session ends; or, when the mount goes on without this process, by the next one.
// 2. First in, first out; those that have to wait again keep their age.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "request.h"
#include "room.h"

namespace tidemark {

struct WaitingRequest {
  int device = -1;
  RequestBuffer bytes;
  size_t length = 0;
  LatencyHistogram* latency = nullptr;
  uint64_t startNs = 0;
  AnswerSink* sink = nullptr;
  uint64_t neededBytes = 0;
  // How often the disk was full though there had seemed to be room.
  unsigned failures = 0;
};

class WaitingRequests {
 public:
  static constexpr uint64_t kMostNs = 60ull * 1000000000;
  static constexpr unsigned kMostFailures = 5;

  // `again`: runs a request, and may add it again. Starts the thread that calls it.
  void start(Room* room, std::function<void(WaitingRequest)> again);
  // Refuses what waits and ends the thread.
  void stop();
  // Ends the thread. What waits stays unanswered: the daemon that goes on with the mount gets it again.
  void leave();

  void add(WaitingRequest request);
  bool any() const { return count_.load() > 0; }

 private:
  void loop();
  // One round: with an answer all are tried again, else only those that have waited too long are seen to. Enters and leaves with `lock` held.
  void settle(std::unique_lock<std::mutex>& lock);
  void refuse(const WaitingRequest& request);

  Room* room_ = nullptr;
  std::function<void(WaitingRequest)> again_;
  std::atomic<size_t> count_{0};
  std::atomic<bool> isLeaving_{false};

  // Guards all below. Taken last.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<WaitingRequest> queue_;
  uint64_t largest_ = 0;
  bool isAnswered_ = false;
  uint64_t mostBytes_ = 0;
  bool isStopping_ = false;
  std::thread thread_;
};

}  // namespace tidemark
