#include "transactions.h"

#include <errno.h>

#include <algorithm>

#include "failpoint.h"

namespace tidemark {
namespace {

constexpr uint8_t kFlagRecovered = 2;
constexpr uint8_t kFlagRelaxed = 4;

}  // namespace

int Transactions::start(Txid lastEnded, Txid lastSeen, int64_t lastTimeNs, bool follows) {
  std::lock_guard<std::mutex> guard(mutex_);
  ended_ = {lastEnded, lastTimeNs};
  follows_ = follows;
  if (follows) {
    open_ = std::max(lastSeen, lastEnded + 1);
    openChanged_ = lastSeen > lastEnded;
    openFrom_ = log_->packableBelow();
    tellOpen();
    return 0;
  }
  for (Txid txid = lastEnded + 1; txid <= lastSeen; txid++) closing_.push_back({txid, log_->packableBelow(), 0, Actor{}, Reason::kRecovery, kFlagRecovered});
  open_ = lastSeen + 1;
  return appendEnds();
}

Txid Transactions::begin(const Actor& actor, Whose whose) {
  std::lock_guard<std::mutex> guard(mutex_);
  const bool joins = openChanged_ && openWhose_ == Whose::kActors;
  if (joins && whose == Whose::kActors) {
    const uint8_t flags = severalFlags(openActor_, actor);
    if ((flags & kFlagSeveralActors) != 0 && holds_ == 0 && !follows_) close(Reason::kActor, 0);
    else openFlags_ |= flags;
  }
  if (!openChanged_) {
    openFrom_ = log_->end();
    if (closing_.empty()) log_->setOpenFrom(openFrom_);
  }
  openPending_++;
  if (whose == Whose::kActors || !openChanged_) {
    openActor_ = actor;
    openWhose_ = whose;
  }
  openChanged_ = true;
  return open_;
}

void Transactions::addFlags(Txid txid, uint8_t flags) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (txid == open_) openFlags_ |= flags;
  for (Closing& closing : closing_) {
    if (closing.txid == txid) closing.flags |= flags;
  }
}

void Transactions::finish(Txid txid) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (txid == open_) {
    if (--openPending_ == 0 && follows_) ends_.notify_all();
    return;
  }
  for (Closing& closing : closing_) {
    if (closing.txid != txid) continue;
    closing.pending--;
    break;
  }
  appendEnds();
}

Txid Transactions::close(Reason reason, uint8_t flags) {
  if (!openChanged_) return 0;
  const Txid txid = open_;
  closing_.push_back({txid, openFrom_, openPending_, openActor_, reason, static_cast<uint8_t>(flags | openFlags_ | (relaxed_ ? kFlagRelaxed : 0))});
  open_++;
  openPending_ = 0;
  openChanged_ = false;
  openFlags_ = 0;
  appendEnds();
  return txid;
}

Txid Transactions::barrier(Reason reason, uint8_t flags) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (follows_) return 0;
  if (holds_ > 0) {
    if (wallClockNs() - heldSinceNs_ < kLongestHoldNs) return 0;
    holds_ = 0;
  }
  return close(reason, flags);
}

int Transactions::appendEnds() {
  while (!closing_.empty() && closing_.front().pending == 0) {
    const Closing& closing = closing_.front();
    failpoint("before-end");
    appendError_ = appendEnd(closing, std::max(wallClockNs(), ended_.timeNs + 1));
    // Kept in closing_: the next change, barrier or query tries again.
    if (appendError_ != 0) break;
    failpoint("after-end");
    closing_.pop_front();
  }
  tellOpen();
  ends_.notify_all();
  return appendError_;
}

int Transactions::appendEnd(const Closing& closing, int64_t timeNs) {
  RecordBatch batch(closing.txid);
  batch.end(closing.actor, closing.reason, closing.flags, timeNs);
  Lsn position;
  if (const int error = log_->append(batch, &position)) return error;
  ended_ = {closing.txid, timeNs};
  return 0;
}

int Transactions::openFollowed(Txid txid) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (!follows_) {
    close(Reason::kQuery, 0);
    while (!closing_.empty() && appendError_ == 0) ends_.wait(lock);
    if (!closing_.empty()) return appendError_;
    follows_ = true;
  }
  if (txid <= ended_.txid || txid < open_) return EINVAL;
  open_ = txid;
  return 0;
}

int Transactions::endFollowed(Txid txid, const Actor& actor, Reason reason, uint8_t flags, int64_t timeNs) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (!follows_ || txid != open_) return EINVAL;
  while (openPending_ > 0) ends_.wait(lock);
  failpoint("before-end");
  if (const int error = appendEnd({txid, openFrom_, 0, actor, reason, flags}, timeNs)) return error;
  failpoint("after-end");
  open_ = txid + 1;
  openChanged_ = false;
  openFlags_ = 0;
  tellOpen();
  return 0;
}

int Transactions::stopFollowing(Txid next) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (!follows_ || openChanged_ || next <= ended_.txid) return EINVAL;
  follows_ = false;
  open_ = next;
  return 0;
}

void Transactions::tellOpen() { log_->setOpenFrom(!closing_.empty() ? closing_.front().from : openChanged_ ? openFrom_ : 0); }

int Transactions::settle(Reason reason) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (openChanged_ && holds_ == 0 && !follows_) close(reason, 0);
  appendEnds();
  const Txid target = closing_.empty() ? ended_.txid : closing_.back().txid;
  while (ended_.txid < target && appendError_ == 0) ends_.wait(lock);
  return ended_.txid >= target ? 0 : appendError_;
}

void Transactions::hold() {
  std::lock_guard<std::mutex> guard(mutex_);
  if (holds_++ == 0) {
    if (!follows_) close(Reason::kQuery, 0);
    heldSinceNs_ = wallClockNs();
  }
}

void Transactions::release(const Actor& actor) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (holds_ == 0 || --holds_ > 0 || follows_) return;
  // Who held it is called by its own name here, not by that of its process.
  if (openChanged_ && openActor_.pid != actor.pid) openFlags_ |= kFlagSeveralProcesses | kFlagSeveralActors;
  openActor_ = actor;
  close(Reason::kName, 0);
}

Txid Transactions::closed() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return closing_.empty() ? ended_.txid : closing_.back().txid;
}

EndedPosition Transactions::ended() const {
  std::lock_guard<std::mutex> guard(mutex_);
  return ended_;
}

}  // namespace tidemark
