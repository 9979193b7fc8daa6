// A daemon made of the addon's sources alone, without Node: so that sanitizers see every thread and every allocation. It mounts
// a directory with capture and log as the real one does; below ".snapshots" there is nothing.
//
// Usage: standalone DIRECTORY MOUNTPOINT [relaxed] [every-write]. Says "ready" on stdout; SIGTERM or SIGINT unmounts. Exit status 0
// when it was unmounted and closed properly. Begun by a keeper, it goes on with the mount that the last one left.
#include <signal.h>
#include <string.h>

#include <cstdio>
#include <deque>
#include <thread>

#include "../../native/src/failpoint.h"
#include "../../native/src/session.h"
#include "../../native/src/volume.h"

namespace {

using tidemark::Session;
using tidemark::SessionOptions;
using tidemark::SnapshotEvent;
using tidemark::SnapshotOperation;
using tidemark::SnapshotSink;
using tidemark::Volume;
using tidemark::VolumeOptions;

// Answers every question with ENOENT, on a thread of its own as the JavaScript thread would.
class NothingThere : public SnapshotSink {
 public:
  void deliver(std::unique_ptr<SnapshotEvent> event) override {
    std::lock_guard<std::mutex> lock(mutex_);
    events_.push_back(std::move(event));
    changed_.notify_one();
  }

  void start(Session* session) {
    thread_ = std::thread([this, session] { answer(session); });
  }

  void stop() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
      changed_.notify_one();
    }
    thread_.join();
  }

 private:
  void answer(Session* session) {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || !events_.empty(); });
      if (events_.empty()) return;
      const std::unique_ptr<SnapshotEvent> event = std::move(events_.front());
      events_.pop_front();
      lock.unlock();
      if (event->operation != SnapshotOperation::kForget && event->operation != SnapshotOperation::kAccessChanged) {
        session->snapshots().replyError(event->id, ENOENT);
      }
      lock.lock();
    }
  }

  // Guards events_ and stopping_.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<SnapshotEvent>> events_;
  bool stopping_ = false;
  std::thread thread_;
};

int fail(const char* what, int error) {
  fprintf(stderr, "%s: %s\n", what, strerror(error));
  return 1;
}

// Unmounts when a signal asks for it; tries again while the mount is in use.
void unmountOnSignal(Session* session, const sigset_t* signals) {
  int signal = 0;
  sigwait(signals, &signal);
  while (session->unmount() == EBUSY) usleep(100000);
}

int serve(Volume* volume, const SessionOptions& options, const sigset_t* signals) {
  NothingThere sink;
  Session session(volume, options, &sink);
  std::string message;
  // Nobody is told, but all is counted.
  session.massWatch().limit(60);
  sink.start(&session);
  if (const int error = session.start(&message)) {
    sink.stop();
    return fail(message.c_str(), error);
  }
  printf("ready\n");
  fflush(stdout);
  if (options.keeper != nullptr) options.keeper->say(tidemark::KeeperWord::kReady);
  unmountOnSignal(&session, signals);
  session.awaitEnd();
  if (options.keeper != nullptr) options.keeper->say(tidemark::KeeperWord::kEnded);
  sink.stop();
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) {
    fprintf(stderr, "usage: standalone DIRECTORY MOUNTPOINT [relaxed] [every-write]\n");
    return 2;
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // before any thread: all inherit it
  signal(SIGPIPE, SIG_IGN);
  umask(0);

  VolumeOptions volumeOptions;
  volumeOptions.directory = arguments[1];
  SessionOptions sessionOptions;
  sessionOptions.mountpoint = arguments[2];
  sessionOptions.source = arguments[1];
  for (int i = 3; i < count; i++) {
    if (strcmp(arguments[i], "relaxed") == 0) volumeOptions.strict = false;
    if (strcmp(arguments[i], "every-write") == 0) {
      sessionOptions.writeback = false;
      sessionOptions.everyWrite = true;
    }
  }
  // The pusher's descriptor table is its own, which ThreadSanitizer does not know: no number that it uses may be one of ours.
  for (int fd = 0; fd >= 0 && fd < 8;) fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  tidemark::KeeperLink keeper;
  tidemark::UniqueFd root;
  if (const char* descriptor = getenv(tidemark::kKeeperVariable)) {
    if (const int error = keeper.open(atoi(descriptor))) return fail("keeper", error);
    sessionOptions.keeper = &keeper;
    root = keeper.take(tidemark::KeptKind::kRoot);
    volumeOptions.resumes = keeper.resumes();
    if (keeper.resumes()) volumeOptions.directory = tidemark::Backing::procPath(root.get());
  }
  const char* label = getenv("TIDEMARK_FAILPOINT");
  tidemark::setFailpoint(label == nullptr ? "" : label);
  const uint8_t id[16] = {1, 2, 3};
  Volume volume;
  if (const int error = volume.open(volumeOptions, id)) return fail("open", error);
  const int status = serve(&volume, sessionOptions, &signals);
  if (const int error = volume.close()) return fail("close", error);
  return status;
}
