#include "connection_watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <cstdlib>

namespace tidemark {
namespace {

constexpr const char* kDevice = "/dev/fuse";

// A new descriptor of the connection that this process has open; not valid when there is none.
UniqueFd findConnection() {
  DIR* all = opendir("/proc/self/fd");
  if (all == nullptr) return UniqueFd();
  int found = -1;
  while (const struct dirent* entry = readdir(all)) {
    char target[16];
    const ssize_t length = readlinkat(dirfd(all), entry->d_name, target, sizeof target);
    if (length == static_cast<ssize_t>(strlen(kDevice)) && memcmp(target, kDevice, strlen(kDevice)) == 0) found = atoi(entry->d_name);
  }
  closedir(all);
  return UniqueFd(found < 0 ? -1 : fcntl(found, F_DUPFD_CLOEXEC, 3));
}

}  // namespace

ConnectionWatch::~ConnectionWatch() {
  if (thread_.joinable()) thread_.join();
}

int ConnectionWatch::start(std::function<void()> ended) {
  device_ = findConnection();
  if (!device_.valid()) return ENOTCONN;
  thread_ = std::thread([this, ended = std::move(ended)] {
    // Without events asked for, only the end is told (POLLERR). A connection that has not been mounted yet says the same; hence not before INIT was answered.
    struct pollfd wanted = {device_.get(), 0, 0};
    while (poll(&wanted, 1, -1) <= 0) continue;
    ended();
  });
  return 0;
}

}  // namespace tidemark
