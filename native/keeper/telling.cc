#include "telling.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>

#include "../src/keeper_protocol.h"

namespace tidemark {

uint64_t clockNs(int clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

void say(int level, const std::string& text) {
  char line[512];
  const int length = snprintf(line, sizeof line, "{\"level\":%d,\"time\":%llu,\"pid\":%d,\"msg\":\"%s\"}\n", level,
                              static_cast<unsigned long long>(clockNs(CLOCK_REALTIME) / 1000000), getpid(), text.c_str());
  if (length > 0 && write(2, line, static_cast<size_t>(length)) < 0) errno = 0;
}

std::string describeEnd(int32_t why) {
  if (why == kWhyUpgrade) return "handed over";
  if (why == kWhyHung) return "gave no sign of life and was killed";
  if (why >= kWhyExit) return "ended with status " + std::to_string(why - kWhyExit);
  if (why == kWhyUnknown) return "died";
  return "was killed by " + signalName(why);
}

void tellSystemd(const char* text) {
  const char* path = getenv("NOTIFY_SOCKET");
  struct sockaddr_un address {};
  if (path == nullptr || path[0] == 0 || strlen(path) >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path, strlen(path));
  // An abstract one.
  if (path[0] == '@') address.sun_path[0] = 0;
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + strlen(path));
  if (fd < 0) return;
  if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, reinterpret_cast<struct sockaddr*>(&address), length) < 0) errno = 0;
  close(fd);
}

}  // namespace tidemark
