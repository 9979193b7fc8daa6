// Requests that no kernel sends: whoever has made a mount by other means (the driver fuse-native) asks here, by path, what a kernel would ask by node number. A path is looked
// up name by name, by requests as well, so that each operation, and `.snapshots`, is what it is on a mount of our own.
//
// Threads: some of its own, as many as there are calls under way, kMostThreads at most; a call keeps its thread until it is answered.
//
// Invariants:
// 1. Each call that was taken ends once, on one of these threads.
// 2. What a call has looked up is forgotten when it ends, but for a node that it `holds` for its caller, who forgets it, and for names below `.snapshots`, which are remembered for as
//    long as the kernel would remember them.
// 3. All requests carry the ids of this process: nobody else may enter such a mount.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "session.h"

namespace tidemark {

struct Call {
  uint32_t opcode = 0;
  // What it is about: a node; where that is 0, what `path` leads to, from the root, without a leading slash.
  uint64_t node = 0;
  std::string path;
  // Of RENAME and LINK, whose arguments begin with the number of another node: where that is.
  bool hasOther = false;
  std::string otherPath;
  // The arguments: what follows the kernel's header; and bytes behind them, which stay the caller's.
  std::string body;
  const char* data = nullptr;
  size_t dataLength = 0;
  // Where the answer is to go; null: into `answer`.
  char* target = nullptr;
  size_t targetLength = 0;
  // The node that was opened or made stays looked up.
  bool holds = false;

  // Afterwards: 0 or an errno, what came back, the node that is held.
  int error = 0;
  std::string answer;
  size_t answerLength = 0;
  uint64_t heldNode = 0;

  std::function<void(std::unique_ptr<Call>)> done;
};

class Calls {
 public:
  explicit Calls(Session* session, std::atomic<uint64_t>* requestCount) : session_(session), requestCount_(requestCount) {}
  ~Calls() { stop(); }

  // Takes the call; false, and leaves it, after stop().
  bool add(std::unique_ptr<Call>* call);
  // Waits for the calls under way and ends the threads.
  void stop();

 private:
  static constexpr unsigned kMostThreads = 16;

  void loop();
  void run(Call* call);
  // A node that was looked up; forgotten when nobody has it any more.
  using Held = std::shared_ptr<const uint64_t>;
  Held hold(uint64_t node);
  // The node behind a path. 0 or an errno.
  int find(std::string_view path, Held* node);
  // Goes on from a directory to what a name in it is. 0 or an errno (ENOTDIR when more names follow, and it is no directory).
  int findName(std::string_view name, bool isLast, Held* node);
  // Runs one request and waits for its answer, which goes into the call.
  void exchange(Call* call, uint64_t node);
  void forget(uint64_t node);
  // A caller does not need its node any more.
  void letGo(uint64_t node);

  Session* const session_;
  std::atomic<uint64_t>* const requestCount_;
  std::atomic<uint64_t> nextUnique_{1};

  struct Name {
    Held node;
    bool isDirectory = false;
    uint64_t untilNs = 0;
  };
  void remember(const std::string& key, Name name);
  static constexpr size_t kMostNames = 4096;
  // Guards names_, by the directory's number and the name, and what is held for callers.
  std::mutex nodesMutex_;
  std::unordered_map<std::string, Name> names_;
  std::unordered_multimap<uint64_t, Held> held_;

  // Guards the rest.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Call>> queue_;
  std::vector<std::thread> threads_;
  unsigned idleThreads_ = 0;
  bool stopping_ = false;
};

}  // namespace tidemark
