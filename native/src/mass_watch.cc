#include "mass_watch.h"

#include <algorithm>
#include <chrono>

namespace tidemark {
namespace {

constexpr size_t kMostExamples = 3;
constexpr size_t kMostPids = 64;
// A window never holds more: one that was told of goes on being counted, and needs no more to be.
constexpr size_t kLongestWindow = 8192;
constexpr size_t kManyGroups = 64;
constexpr int64_t kSetBackNs = 1000000000;

}  // namespace

uint64_t MassWatch::nameOf(FileId directory, std::string_view name) { return directory.hash() * 31 ^ std::hash<std::string_view>()(name); }

MassWatch::Group* MassWatch::groupOf(uint64_t key, int64_t nowNs) {
  if (groups_.size() >= kManyGroups) forgetQuiet(nowNs);
  Group* group = &groups_[key];
  group->key = key;
  expire(group, nowNs);
  return group;
}

void MassWatch::note(const Actor& actor, const LostFile& lost, int64_t nowNs, const std::function<std::string()>& path) {
  const uint32_t limit = limit_;
  if (limit == 0) return;
  std::lock_guard<std::mutex> guard(mutex_);
  Group* group = groupOf(keyOf(actor.uid, actor.session), nowNs);
  const int64_t beganNs = group->window.empty() ? nowNs : group->window.front().atNs;
  // (A clock that was set back makes old files look as if they were made tomorrow.)
  if (lost.bornNs >= beganNs && lost.bornNs <= nowNs) return;
  const auto known = group->files.find(lost.file);
  if (known != group->files.end()) {
    if (weightOf(known->second->lost.kind) >= weightOf(lost.kind)) return;
    takeOut(group, known->second);
  }
  add(group, {lost, nowNs, actor.pid, group->window.size() < kMostExamples ? path() : std::string()});
  if (group->isTold || group->weight < limit * weightOf(MassKind::kOverwritten)) return;
  group->isTold = true;
  if (!tell_) return;
  group->isSeen = false;
  group->toldAtNs = monotonicNs();
  braking_++;
  tell_(describe(*group, actor));
}

void MassWatch::add(Group* group, Entry entry) {
  if (group->window.size() >= kLongestWindow) leave(group, group->window.begin());
  const LostFile& lost = entry.lost;
  group->weight += weightOf(lost.kind);
  group->counts[static_cast<unsigned>(lost.kind)]++;
  group->lastNs = entry.atNs;
  if (lost.name != 0) names_[lost.name] = {group->key, lost.file};
  removals_ = static_cast<uint32_t>(names_.size());
  group->window.push_back(std::move(entry));
  group->files[group->window.back().lost.file] = std::prev(group->window.end());
}

void MassWatch::leave(Group* group, std::list<Entry>::iterator entry) {
  const LostFile& lost = entry->lost;
  group->weight -= weightOf(lost.kind);
  group->files.erase(lost.file);
  const auto named = names_.find(lost.name);
  if (named != names_.end() && named->second.file == lost.file) names_.erase(named);
  removals_ = static_cast<uint32_t>(names_.size());
  group->window.erase(entry);
}

void MassWatch::takeOut(Group* group, std::list<Entry>::iterator entry) {
  uint32_t* count = &group->counts[static_cast<unsigned>(entry->lost.kind)];
  if (*count > 0) (*count)--;
  leave(group, entry);
}

void MassWatch::expire(Group* group, int64_t nowNs) {
  // Threads may come a little out of order; more than that, and the clock was set back: what it was before tells nothing.
  const bool isSetBack = nowNs < group->lastNs - kSetBackNs;
  while (!group->window.empty() && (isSetBack || nowNs - group->window.front().atNs > kWindowNs)) {
    if (group->isTold) leave(group, group->window.begin());
    else takeOut(group, group->window.begin());
  }
  if (!group->isTold || (!isSetBack && nowNs - group->lastNs <= kQuietNs)) return;
  release(group);
  group->isTold = false;
  std::fill(std::begin(group->counts), std::end(group->counts), 0);
}

void MassWatch::forgetQuiet(int64_t nowNs) {
  for (auto at = groups_.begin(); at != groups_.end();) {
    expire(&at->second, nowNs);
    at = at->second.isTold || !at->second.window.empty() ? std::next(at) : groups_.erase(at);
  }
}

MassChange MassWatch::describe(const Group& group, const Actor& actor) const {
  MassChange change;
  change.uid = actor.uid;
  change.session = actor.session;
  change.last = actor;
  std::copy(std::begin(group.counts), std::end(group.counts), change.counts);
  change.firstTxid = group.window.front().lost.txid;
  change.firstNs = group.window.front().atNs;
  change.lastNs = group.lastNs;
  for (const Entry& entry : group.window) {
    change.firstTxid = std::min(change.firstTxid, entry.lost.txid);
    if (!entry.path.empty() && change.examples.size() < kMostExamples) change.examples.push_back(entry.path);
  }
  for (auto entry = group.window.rbegin(); entry != group.window.rend() && change.pids.size() < kMostPids; ++entry)
    if (std::find(change.pids.begin(), change.pids.end(), entry->pid) == change.pids.end()) change.pids.push_back(entry->pid);
  return change;
}

Emptied MassWatch::takeBack(uint64_t name, int64_t nowNs) {
  std::lock_guard<std::mutex> guard(mutex_);
  const auto named = names_.find(name);
  if (named == names_.end()) return {};
  Group* group = &groups_[named->second.group];
  const auto entry = group->files.find(named->second.file)->second;
  const LostFile lost = entry->lost;
  if (nowNs - entry->atNs > kWindowNs) return {};
  takeOut(group, entry);
  // An empty file that is made again has lost nothing.
  return lost.hadBytes ? Emptied{lost.bornNs, lost.txid} : Emptied{};
}

void MassWatch::awaitSeen(const Actor& actor) {
  std::unique_lock<std::mutex> lock(mutex_);
  const uint64_t key = keyOf(actor.uid, actor.session);
  if (braked_ >= kMostBraked) return;
  braked_++;
  for (;;) {
    const auto found = groups_.find(key);
    if (found == groups_.end() || found->second.isSeen) break;
    const uint64_t endNs = found->second.toldAtNs + kLongestBrakeNs;
    const uint64_t nowNs = monotonicNs();
    if (nowNs >= endNs) {
      release(&found->second);
      break;
    }
    seen_.wait_for(lock, std::chrono::nanoseconds(endNs - nowNs));
  }
  braked_--;
}

void MassWatch::release(Group* group) {
  if (group->isSeen) return;
  group->isSeen = true;
  braking_--;
  seen_.notify_all();
}

void MassWatch::seen(uint32_t uid, uint32_t session) {
  std::lock_guard<std::mutex> guard(mutex_);
  const auto found = groups_.find(keyOf(uid, session));
  if (found != groups_.end()) release(&found->second);
}

void MassWatch::allow(uint32_t uid, uint32_t session, int64_t nowNs) {
  std::lock_guard<std::mutex> guard(mutex_);
  Group* group = groupOf(keyOf(uid, session), nowNs);
  group->isTold = true;
  group->lastNs = nowNs;
  release(group);
}

uint32_t MassWatch::countOf(uint32_t uid, uint32_t session) const {
  std::lock_guard<std::mutex> guard(mutex_);
  const auto found = groups_.find(keyOf(uid, session));
  if (found == groups_.end() || !found->second.isTold) return 0;
  const Group& group = found->second;
  return group.counts[0] + group.counts[1] + group.counts[2];
}

}  // namespace tidemark
