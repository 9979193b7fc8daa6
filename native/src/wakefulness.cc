#include "wakefulness.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>

namespace tidemark {
namespace {

// As the kernel's own threads of block devices.
constexpr int kNiceness = -20;

constexpr const char* kPmQos = "/dev/cpu_dma_latency";

// So many requests (kReportEvery) within this time are a stream; the time without any after which it has ended.
constexpr uint64_t kStreamNs = 8000000;
constexpr uint64_t kQuietNs = 10000000;

// On real processors the first idle state is left within 2 µs and saves much; a virtual one's only sleep is to leave the guest.
int32_t latencyHere() {
  char driver[32] = {};
  const UniqueFd file(open("/sys/devices/system/cpu/cpuidle/current_driver", O_RDONLY | O_CLOEXEC));
  if (file.valid() && read(file.get(), driver, sizeof driver - 1) < 0) return 0;
  return strncmp(driver, "haltpoll", 8) == 0 ? 0 : 2;
}

}  // namespace

void preferThread() {
  // On Linux 0 is the calling thread, not its process.
  if (setpriority(PRIO_PROCESS, 0, kNiceness) != 0) return;
}

Wakefulness::Wakefulness(bool wanted) {
  if (!wanted || access(kPmQos, W_OK) != 0) return;
  latencyMicroseconds_ = latencyHere();
  available_ = true;
}

void Wakefulness::report(uint64_t nowNs) {
  const bool stream = nowNs - lastReportNs_.exchange(nowNs, std::memory_order_relaxed) < kStreamNs;
  if (!available_ || !stream || awake_.load(std::memory_order_relaxed)) return;
  std::lock_guard<std::mutex> guard(mutex_);
  if (hold_.valid()) return;
  hold_.reset(open(kPmQos, O_WRONLY | O_CLOEXEC));
  if (hold_.valid() && write(hold_.get(), &latencyMicroseconds_, sizeof latencyMicroseconds_) < 0) hold_.reset();
  awake_.store(true, std::memory_order_relaxed);
}

void Wakefulness::look(bool requestsCame, uint64_t nowNs) {
  if (requestsCame) lastRequestNs_ = nowNs;
  if (!awake_.load(std::memory_order_relaxed) || nowNs - lastRequestNs_ < kQuietNs) return;
  std::lock_guard<std::mutex> guard(mutex_);
  hold_.reset();
  awake_.store(false, std::memory_order_relaxed);
}

}  // namespace tidemark
