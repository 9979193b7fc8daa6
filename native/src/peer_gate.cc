#include "peer_gate.h"

#include <algorithm>

namespace tidemark {

void PeerGate::close(Txid had, std::function<void()> onWaiting) {
  std::lock_guard<std::mutex> guard(mutex_);
  had_ = isClosed() ? std::max(had_, had) : had;
  onWaiting_ = std::move(onWaiting);
  closed_.store(true, std::memory_order_release);
}

std::vector<ReplyTo> PeerGate::takeUpTo(Txid txid) {
  std::vector<ReplyTo> taken;
  const auto last = waiting_.upper_bound(txid);
  for (auto at = waiting_.begin(); at != last; ++at) taken.push_back(at->second);
  waiting_.erase(waiting_.begin(), last);
  return taken;
}

void PeerGate::acknowledged(Txid txid) {
  std::vector<ReplyTo> answered;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    had_ = std::max(had_, txid);
    answered = takeUpTo(had_);
  }
  for (const ReplyTo& to : answered) to.error(0);
}

bool PeerGate::park(Txid txid, const ReplyTo& to) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (!isClosed() || txid <= had_) return false;
  waiting_.emplace(txid, to);
  if (onWaiting_) onWaiting_();
  return true;
}

size_t PeerGate::waiting() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return waiting_.size();
}

void PeerGate::end(int error) {
  std::vector<ReplyTo> answered;
  {
    std::lock_guard<std::mutex> guard(mutex_);
    closed_.store(false, std::memory_order_release);
    onWaiting_ = nullptr;
    answered = takeUpTo(~Txid{0});
  }
  for (const ReplyTo& to : answered) to.error(error);
}

void PeerGate::leave() {
  std::lock_guard<std::mutex> guard(mutex_);
  closed_.store(false, std::memory_order_release);
  onWaiting_ = nullptr;
  waiting_.clear();
}

}  // namespace tidemark
