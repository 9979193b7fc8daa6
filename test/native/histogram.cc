// Checks the bucket layout that native/src/histogram.h promises, and that nothing recorded is lost between threads. Exit status 1 and a line on stderr
// at the first thing that does not hold.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#include "../../native/src/histogram.h"

using tidemark::LatencyHistogram;

namespace {

void require(bool holds, const char* what, uint64_t of) {
  if (holds) return;
  fprintf(stderr, "does not hold: %s (%llu)\n", what, static_cast<unsigned long long>(of));
  exit(1);
}

uint64_t beginNs(unsigned bucket) { return bucket == 0 ? 0 : LatencyHistogram::endNs(bucket - 1); }

void checkBorders() {
  for (unsigned bucket = 0; bucket < LatencyHistogram::kBuckets; bucket++) {
    const uint64_t begin = beginNs(bucket), end = LatencyHistogram::endNs(bucket);
    require(end > begin, "buckets go up", bucket);
    require(LatencyHistogram::bucketOf(begin) == bucket, "a bucket holds where it begins", bucket);
    require(LatencyHistogram::bucketOf(end - 1) == bucket, "a bucket holds the last before its end", bucket);
    if (begin >= 1000) require((end - begin) * 8 <= begin, "from 1 µs on a bucket is no wider than 1/8 of where it begins", bucket);
  }
  for (uint64_t us = 1; us <= uint64_t{1} << 25; us *= 2) require(beginNs(LatencyHistogram::bucketOf(us * 1000)) == us * 1000, "powers of two are borders", us);
  require(LatencyHistogram::endNs(LatencyHistogram::kBuckets - 1) == (uint64_t{1} << 26) * 1000, "the last bucket ends at 2^26 µs", 0);
  for (const uint64_t ns : {uint64_t{68000000000}, uint64_t{1} << 40, ~uint64_t{0}}) require(LatencyHistogram::bucketOf(ns) == LatencyHistogram::kBuckets - 1, "the last takes whatever is longer", ns);
}

void checkRecording() {
  constexpr uint64_t kEach = 100000, kThreads = 4;
  const auto histogram = std::make_unique<LatencyHistogram>();
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < kThreads; thread++) {
    threads.emplace_back([&histogram, thread] {
      for (uint64_t i = 0; i < kEach; i++) histogram->record(i * kThreads + thread);
    });
  }
  for (std::thread& thread : threads) thread.join();
  constexpr uint64_t kAll = kEach * kThreads;
  require(histogram->count() == kAll, "every duration is counted", histogram->count());
  require(histogram->totalNs() == kAll * (kAll - 1) / 2, "the sum is exact", histogram->totalNs());
  require(histogram->maxNs() == kAll - 1, "the longest is kept", histogram->maxNs());
  // Every nanosecond below kAll came once, so a bucket's count is its width.
  for (unsigned bucket = 0; LatencyHistogram::endNs(bucket) <= kAll; bucket++) require(histogram->countIn(bucket) == LatencyHistogram::endNs(bucket) - beginNs(bucket), "a bucket counts what lies in it", bucket);
}

}  // namespace

int main() {
  checkBorders();
  checkRecording();
  puts("the histogram holds");
  return 0;
}
