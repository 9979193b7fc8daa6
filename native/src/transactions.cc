#include "transactions.h"

#include <algorithm>

#include "failpoint.h"

namespace tidemark {
namespace {

constexpr uint8_t kFlagRecovered = 2;
constexpr uint8_t kFlagRelaxed = 4;

}  // namespace

int Transactions::start(Txid lastEnded, Txid lastSeen, int64_t lastTimeNs) {
  std::lock_guard<std::mutex> guard(mutex_);
  ended_ = {lastEnded, lastTimeNs};
  for (Txid txid = lastEnded + 1; txid <= lastSeen; txid++) closing_.push_back({txid, 0, Actor{}, Reason::kRecovery, kFlagRecovered});
  open_ = lastSeen + 1;
  return appendEnds();
}

Txid Transactions::begin(const Actor& actor) {
  std::lock_guard<std::mutex> guard(mutex_);
  openPending_++;
  openChanged_ = true;
  openActor_ = actor;
  return open_;
}

void Transactions::finish(Txid txid) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (txid == open_) {
    openPending_--;
    return;
  }
  for (Closing& closing : closing_) {
    if (closing.txid != txid) continue;
    closing.pending--;
    break;
  }
  appendEnds();
}

Txid Transactions::close(const Actor* actor, Reason reason, uint8_t flags) {
  if (!openChanged_) return 0;
  const Txid txid = open_;
  closing_.push_back({txid, openPending_, actor != nullptr ? *actor : openActor_, reason, static_cast<uint8_t>(flags | (relaxed_ ? kFlagRelaxed : 0))});
  open_++;
  openPending_ = 0;
  openChanged_ = false;
  appendEnds();
  return txid;
}

Txid Transactions::barrier(const Actor* actor, Reason reason, uint8_t flags) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (holds_ > 0) {
    if (wallClockNs() - heldSinceNs_ < kLongestHoldNs) return 0;
    holds_ = 0;
  }
  return close(actor, reason, flags);
}

int Transactions::appendEnds() {
  while (!closing_.empty() && closing_.front().pending == 0) {
    const Closing& closing = closing_.front();
    failpoint("before-end");
    const int64_t timeNs = std::max(wallClockNs(), ended_.timeNs + 1);
    RecordBatch batch(closing.txid);
    batch.end(closing.actor, closing.reason, closing.flags, timeNs);
    Lsn position;
    appendError_ = log_->append(batch, &position);
    // Kept in closing_: the next change, barrier or query tries again.
    if (appendError_ != 0) break;
    failpoint("after-end");
    ended_ = {closing.txid, timeNs};
    closing_.pop_front();
  }
  ends_.notify_all();
  return appendError_;
}

int Transactions::settle(Reason reason) {
  std::unique_lock<std::mutex> lock(mutex_);
  const Txid target = openChanged_ && holds_ == 0 ? close(nullptr, reason, 0) : open_ - 1;
  appendEnds();
  while (ended_.txid < target && appendError_ == 0) ends_.wait(lock);
  return ended_.txid >= target ? 0 : appendError_;
}

void Transactions::hold() {
  std::lock_guard<std::mutex> guard(mutex_);
  if (holds_++ == 0) {
    close(nullptr, Reason::kQuery, 0);
    heldSinceNs_ = wallClockNs();
  }
}

void Transactions::release(const Actor& actor) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (holds_ > 0 && --holds_ == 0) close(&actor, Reason::kName, 0);
}

EndedPosition Transactions::ended() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return ended_;
}

}  // namespace tidemark
