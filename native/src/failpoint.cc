#include "failpoint.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

namespace tidemark {
namespace {

std::string armedLabel;
std::atomic<bool> armed{false};
std::atomic<long> remaining{0};

}  // namespace

void setFailpoint(const std::string& label) {
  const size_t colon = label.find(':');
  armedLabel = label.substr(0, colon);
  remaining = colon == std::string::npos ? 1 : strtol(label.c_str() + colon + 1, nullptr, 10);
  armed = !armedLabel.empty();
}

bool armedFailpoint(const char* label) { return armed.load(std::memory_order_relaxed) && armedLabel == label; }

void failpoint(const char* label) {
  if (!armedFailpoint(label)) return;
  if (remaining.fetch_sub(1) == 1) kill(getpid(), SIGKILL);
}

}  // namespace tidemark
