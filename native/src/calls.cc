#include "calls.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "credentials.h"
#include "wakefulness.h"

namespace tidemark {
namespace {

// Takes one answer, for the thread that waits for it.
class Answer : public AnswerSink {
 public:
  explicit Answer(Call* call) : call_(call) {}

  void take(int error, const struct iovec* parts, int count) override {
    // Told with the mutex held: when it is free again, all this may be gone.
    std::lock_guard<std::mutex> guard(mutex_);
    call_->error = error;
    for (int i = 0; i < count; i++) keep(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    given_ = true;
    changed_.notify_one();
  }

  void await() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!given_) changed_.wait(lock);
  }

 private:
  void keep(const char* bytes, size_t length) {
    if (call_->target == nullptr) {
      call_->answer.append(bytes, length);
    } else {
      // No request is answered with more than it asked for.
      length = std::min(length, call_->targetLength - call_->answerLength);
      memcpy(call_->target + call_->answerLength, bytes, length);
    }
    call_->answerLength += length;
  }

  Call* const call_;
  std::mutex mutex_;  // guards given_ and the answer
  std::condition_variable changed_;
  bool given_ = false;
};

bool makesEntry(uint32_t opcode) {
  switch (opcode) {
    case FUSE_CREATE:
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_SYMLINK:
    case FUSE_LINK: return true;
    default: return false;
  }
}

}  // namespace

bool Calls::add(std::unique_ptr<Call>* call) {
  std::lock_guard<std::mutex> guard(mutex_);
  if (stopping_) return false;
  queue_.push_back(std::move(*call));
  if (idleThreads_ >= queue_.size() || threads_.size() >= kMostThreads) changed_.notify_one();
  else threads_.emplace_back([this] { loop(); });
  return true;
}

void Calls::stop() {
  {
    std::lock_guard<std::mutex> guard(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  std::lock_guard<std::mutex> guard(nodesMutex_);
  names_.clear();
  held_.clear();
}

void Calls::loop() {
  ownUmask();
  preferThread();
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    idleThreads_++;
    while (queue_.empty() && !stopping_) changed_.wait(lock);
    idleThreads_--;
    if (queue_.empty()) return;
    std::unique_ptr<Call> call = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    run(call.get());
    auto done = std::move(call->done);
    done(std::move(call));
    lock.lock();
  }
}

void Calls::run(Call* call) {
  if (call->opcode == FUSE_FORGET) return letGo(call->node);
  // A node that the caller holds stays.
  Held node = std::make_shared<const uint64_t>(call->node);
  if (call->node == 0) call->error = find(call->path, &node);
  Held other;
  if (call->error == 0 && call->hasOther) {
    call->error = call->body.size() < sizeof *other ? EINVAL : find(call->otherPath, &other);
    if (call->error == 0) memcpy(call->body.data(), other.get(), sizeof *other);
  }
  if (call->error == 0) exchange(call, *node);
  if (call->error != 0) return;
  if (makesEntry(call->opcode)) {
    // What was made has been looked up by that; its number is the first of the answer.
    uint64_t made;
    memcpy(&made, call->answer.data(), sizeof made);
    node = hold(made);
  }
  if (!call->holds) return;
  call->heldNode = *node;
  std::lock_guard<std::mutex> guard(nodesMutex_);
  held_.emplace(*node, std::move(node));
}

void Calls::letGo(uint64_t node) {
  Held last;
  std::lock_guard<std::mutex> guard(nodesMutex_);
  const auto found = held_.find(node);
  if (found == held_.end()) return;
  last = std::move(found->second);
  held_.erase(found);
}

Calls::Held Calls::hold(uint64_t node) {
  return Held(new uint64_t(node), [this](const uint64_t* number) {
    forget(*number);
    delete number;
  });
}

int Calls::find(std::string_view path, Held* node) {
  *node = std::make_shared<const uint64_t>(Inodes::kRootNode);
  while (!path.empty()) {
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(name.size() + 1, path.size()));
    if (name.empty()) continue;
    if (name.size() > NAME_MAX) return ENAMETOOLONG;
    if (const int error = findName(name, path.empty(), node)) return error;
  }
  return 0;
}

int Calls::findName(std::string_view name, bool isLast, Held* node) {
  const uint64_t now = monotonicNs();
  const std::string key = std::to_string(**node).append(1, '/').append(name);
  {
    std::lock_guard<std::mutex> guard(nodesMutex_);
    const auto known = names_.find(key);
    if (known != names_.end() && known->second.untilNs > now) {
      if (!isLast && !known->second.isDirectory) return ENOTDIR;
      *node = known->second.node;
      return 0;
    }
  }
  Call lookup;
  lookup.opcode = FUSE_LOOKUP;
  lookup.body.assign(name).push_back(0);
  exchange(&lookup, **node);
  if (lookup.error != 0) return lookup.error;
  fuse_entry_out entry;
  memcpy(&entry, lookup.answer.data(), sizeof entry);
  if (entry.nodeid == 0) return ENOENT;
  *node = hold(entry.nodeid);
  const uint64_t forNs = entry.entry_valid * 1000000000 + entry.entry_valid_nsec;
  if (Snapshots::isSnapshotNode(entry.nodeid) && forNs > 0) remember(key, {*node, S_ISDIR(entry.attr.mode), now + forNs});
  return isLast || S_ISDIR(entry.attr.mode) ? 0 : ENOTDIR;
}

void Calls::remember(const std::string& key, Name name) {
  std::unordered_map<std::string, Name> all;
  std::lock_guard<std::mutex> guard(nodesMutex_);
  // Who walks through so much hardly comes back to the first.
  if (names_.size() >= kMostNames) all.swap(names_);
  // The one before is let go of when the lock is.
  std::swap(names_[key], name);
}

void Calls::exchange(Call* call, uint64_t node) {
  fuse_in_header header{};
  header.len = static_cast<uint32_t>(sizeof header + call->body.size() + call->dataLength);
  header.opcode = call->opcode;
  header.unique = nextUnique_.fetch_add(2);
  header.nodeid = node;
  header.uid = geteuid();
  header.gid = getegid();
  RequestBuffer buffer(new char[header.len]);
  memcpy(buffer.get(), &header, sizeof header);
  memcpy(buffer.get() + sizeof header, call->body.data(), call->body.size());
  if (call->dataLength > 0) memcpy(buffer.get() + sizeof header + call->body.size(), call->data, call->dataLength);
  Answer answer(call);
  Request request(-1, &buffer, header.len);
  request.answerTo(&answer);
  requestCount_->fetch_add(1, std::memory_order_relaxed);
  session_->dispatch(request);
  answer.await();
}

void Calls::forget(uint64_t node) {
  if (node == Inodes::kRootNode) return;
  fuse_in_header header{};
  const fuse_forget_in in = {1};
  header.len = sizeof header + sizeof in;
  header.opcode = FUSE_FORGET;
  header.nodeid = node;
  RequestBuffer buffer(new char[header.len]);
  memcpy(buffer.get(), &header, sizeof header);
  memcpy(buffer.get() + sizeof header, &in, sizeof in);
  Request request(-1, &buffer, header.len);
  session_->dispatch(request);
}

}  // namespace tidemark
