#include "waiting_requests.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "credentials.h"
#include "wakefulness.h"

namespace tidemark {

void WaitingRequests::start(Room* room, std::function<void(WaitingRequest)> again) {
  room_ = room;
  again_ = std::move(again);
  thread_ = std::thread([this] { loop(); });
  room_->onAnswer([this](uint64_t mostBytes) {
    std::lock_guard<std::mutex> guard(mutex_);
    isAnswered_ = true;
    mostBytes_ = mostBytes;
    changed_.notify_all();
  });
}

void WaitingRequests::stop() {
  if (!thread_.joinable()) return;
  room_->onAnswer({});
  {
    std::lock_guard<std::mutex> guard(mutex_);
    isStopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void WaitingRequests::add(WaitingRequest request) {
  count_.fetch_add(1);
  std::lock_guard<std::mutex> guard(mutex_);
  largest_ = std::max(largest_, request.neededBytes);
  queue_.push_back(std::move(request));
  room_->setWaiting(queue_.size(), largest_);
  if (queue_.size() == 1) changed_.notify_all();
}

void WaitingRequests::leave() {
  isLeaving_ = true;
  stop();
}

void WaitingRequests::refuse(const WaitingRequest& request) {
  if (isLeaving_) return;
  room_->countRefused();
  ReplyTo{request.device, reinterpret_cast<const fuse_in_header*>(request.bytes.get())->unique, request.latency, request.startNs, request.sink}.error(ENOSPC);
}

void WaitingRequests::settle(std::unique_lock<std::mutex>& lock) {
  const bool isAnswered = std::exchange(isAnswered_, false);
  const uint64_t mostBytes = mostBytes_;
  const bool isStopping = isStopping_;
  std::deque<WaitingRequest> taken = std::move(queue_);
  queue_.clear();
  std::deque<WaitingRequest> kept;
  lock.unlock();
  for (WaitingRequest& request : taken) {
    const bool isLate = monotonicNs() - request.startNs > kMostNs;
    if (!isAnswered && !isLate && !isStopping) {
      kept.push_back(std::move(request));
      continue;
    }
    count_.fetch_sub(1);
    if (isLate || isStopping || request.neededBytes > mostBytes) refuse(request);
    else again_(std::move(request));
  }
  lock.lock();
  for (; !kept.empty(); kept.pop_back()) queue_.push_front(std::move(kept.back()));
  largest_ = 0;
  for (const WaitingRequest& request : queue_) largest_ = std::max(largest_, request.neededBytes);
  room_->setWaiting(queue_.size(), largest_);
}

void WaitingRequests::loop() {
  // It makes files, as the readers do.
  ownUmask();
  preferThread();
  std::unique_lock<std::mutex> lock(mutex_);
  while (!isStopping_ || !queue_.empty()) {
    if (queue_.empty()) {
      isAnswered_ = false;
      changed_.wait(lock);
      continue;
    }
    changed_.wait_for(lock, std::chrono::seconds(1), [this] { return isAnswered_ || isStopping_; });
    settle(lock);
  }
}

}  // namespace tidemark
