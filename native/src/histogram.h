// How long requests of one kind took, as counts in buckets: fixed memory, no lock. To record costs one relaxed addition for the bucket
// and one for the sum.
//
// Layout (log-linear, as in HDR histograms). A step is 125 ns. Below 8 steps (1 µs) each step is a bucket; above, each power of two
// is split into 8 buckets of the same width, so that no bucket is wider than 1/8 of where it begins:
//
//   index   0 …   7   from 0          125 ns each
//   index   8 …  15   from 1 µs       125 ns each
//   index  16 …  23   from 2 µs       250 ns each
//   …                 from 2^k µs     2^k / 8 µs each
//   index 208 … 215   from 2^25 µs    4.2 s each, up to 2^26 µs (67 s); the last one takes whatever is longer
//
// Invariants:
// 1. Every duration has one bucket, and bucket i + 1 begins where bucket i ends: below its end and not at it.
// 2. Powers of two of microseconds are borders, so that whole buckets add up to them.
// 3. Numbers only grow. Who looks while others record may find a request in the sum and not yet in its bucket.
#pragma once

#include <atomic>
#include <cstdint>

namespace tidemark {

class LatencyHistogram {
 public:
  static constexpr uint64_t kStepNs = 125;
  static constexpr unsigned kSplitBits = 3;
  static constexpr unsigned kSplit = 1u << kSplitBits;
  static constexpr unsigned kPowers = 26;
  static constexpr unsigned kBuckets = (kPowers + 1) * kSplit;
  static_assert(kStepNs * kSplit == 1000, "the first power of two begins at 1 µs: docs and metrics count on borders at powers of two of it");

  static unsigned bucketOf(uint64_t ns) {
    const uint64_t steps = ns / kStepNs;
    if (steps < kSplit) return static_cast<unsigned>(steps);
    const unsigned shift = 63 - static_cast<unsigned>(__builtin_clzll(steps)) - kSplitBits;
    const unsigned bucket = (shift + 1) * kSplit + static_cast<unsigned>((steps >> shift) & (kSplit - 1));
    return bucket < kBuckets ? bucket : kBuckets - 1;
  }

  // Where a bucket ends.
  static uint64_t endNs(unsigned bucket) {
    if (bucket < kSplit) return (bucket + 1) * kStepNs;
    return ((kSplit + bucket % kSplit + 1) * kStepNs) << (bucket / kSplit - 1);
  }

  // From any thread.
  void record(uint64_t ns) {
    buckets_[bucketOf(ns)].fetch_add(1, std::memory_order_relaxed);
    totalNs_.fetch_add(ns, std::memory_order_relaxed);
    uint64_t most = maxNs_.load(std::memory_order_relaxed);
    while (ns > most && !maxNs_.compare_exchange_weak(most, ns, std::memory_order_relaxed)) continue;
  }

  uint64_t countIn(unsigned bucket) const { return buckets_[bucket].load(std::memory_order_relaxed); }
  uint64_t totalNs() const { return totalNs_.load(std::memory_order_relaxed); }
  uint64_t maxNs() const { return maxNs_.load(std::memory_order_relaxed); }
  uint64_t count() const {
    uint64_t all = 0;
    for (unsigned bucket = 0; bucket < kBuckets; bucket++) all += countIn(bucket);
    return all;
  }

 private:
  std::atomic<uint64_t> totalNs_{0};
  std::atomic<uint64_t> maxNs_{0};
  std::atomic<uint64_t> buckets_[kBuckets] = {};
};

}  // namespace tidemark
