// A set of 4 KiB block numbers: sparse, cheap to ask and to clear. Not shared between threads.
#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <unordered_map>

namespace tidemark {

class BlockSet {
 public:
  bool has(uint64_t block) const {
    auto it = chunks_.find(block / kChunk);
    return it != chunks_.end() && it->second->test(block % kChunk);
  }
  void add(uint64_t first, uint64_t last) {
    for (uint64_t block = first; block < last; block++) {
      std::unique_ptr<Chunk>& chunk = chunks_[block / kChunk];
      if (chunk == nullptr) chunk = std::make_unique<Chunk>();
      chunk->set(block % kChunk);
    }
  }
  // true when any block in [first, last) is in the set.
  bool touches(uint64_t first, uint64_t last) const {
    if (chunks_.empty()) return false;
    for (uint64_t block = first; block < last; block++)
      if (has(block)) return true;
    return false;
  }
  void clear() { chunks_.clear(); }

 private:
  static constexpr uint64_t kChunk = 4096;  // 16 MiB of file in 512 bytes
  using Chunk = std::bitset<kChunk>;
  std::unordered_map<uint64_t, std::unique_ptr<Chunk>> chunks_;
};

}  // namespace tidemark
