// One kernel request: its bytes, safely read, and its one answer.
//
// Invariants:
// 1. Nothing outside the bytes that were read is ever looked at: body() and name() return null for short requests.
// 2. A request is answered on the device descriptor it was read from, with a single writev, or, when no kernel sent it, to its AnswerSink; exactly once (FORGETs never).
// 3. With its answer, whichever thread gives it and however late, a request is counted in its operation's latency, once.
#pragma once

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "fuse_abi.h"
#include "histogram.h"
#include "kernel_order.h"
#include "types.h"

namespace tidemark {

// Room for the largest request the kernel was told it may send.
constexpr size_t kMaxWrite = 1u << 20;
constexpr size_t kRequestBytes = kMaxWrite + 8192;

using RequestBuffer = std::unique_ptr<char[]>;

// With all its pages there: where the kernel has to find them first while a request is copied, and the process is killed just then, it fails the request.
inline RequestBuffer newRequestBuffer() {
  RequestBuffer buffer(new char[kRequestBytes]);
  for (size_t at = 0; at < kRequestBytes; at += 4096) static_cast<volatile char*>(buffer.get())[at] = 0;
  static_cast<volatile char*>(buffer.get())[kRequestBytes - 1] = 0;
  return buffer;
}

// Takes the answer of a request that no kernel sent (Calls), on whichever thread gives it.
class AnswerSink {
 public:
  virtual ~AnswerSink() = default;
  virtual void take(int error, const struct iovec* parts, int count) = 0;
};

// What is needed to answer later, from any thread.
struct ReplyTo {
  int device = -1;
  uint64_t unique = 0;
  // Where the time from startNs (monotonicNs) to the answer is recorded; null: nowhere.
  LatencyHistogram* latency = nullptr;
  uint64_t startNs = 0;
  // Takes the answer in the kernel's stead.
  AnswerSink* sink = nullptr;

  void vector(int error, const struct iovec* parts, int count) const {
    if (sink != nullptr) {
      // Whoever waits for the answer may take all of this with it.
      recordLatency();
      return sink->take(error, parts, count);
    }
    struct iovec all[4];
    fuse_out_header header{};
    header.unique = unique;
    header.error = -error;
    header.len = sizeof header;
    all[0] = {&header, sizeof header};
    for (int i = 0; i < count; i++) {
      all[i + 1] = parts[i];
      header.len += static_cast<uint32_t>(parts[i].iov_len);
    }
    // ENOENT: the request was interrupted meanwhile; ENODEV: unmounted. Nobody is left to be told.
    ssize_t done;
    beforeAnswer();
    do done = writev(device, all, count + 1);
    while (done < 0 && errno == EINTR);
    recordLatency();
  }
  void error(int error) const { vector(error, nullptr, 0); }
  void data(const void* bytes, size_t length) const {
    const struct iovec part = {const_cast<void*>(bytes), length};
    vector(0, &part, 1);
  }
  template <typename T>
  void value(const T& out) const {
    data(&out, sizeof out);
  }
  // For requests that have no answer, when they are done; answers do it themselves.
  void recordLatency() const {
    if (latency != nullptr) latency->record(monotonicNs() - startNs);
  }
};

class Request {
 public:
  Request(int device, RequestBuffer* buffer, size_t length) : device_(device), buffer_(buffer), bytes_(buffer->get()), length_(length) {}

  const fuse_in_header& header() const { return *reinterpret_cast<const fuse_in_header*>(bytes_); }
  uint64_t node() const { return header().nodeid; }
  ReplyTo to() const { return {device_, header().unique, latency_, startNs_, sink_}; }
  // The answer goes there.
  void answerTo(AnswerSink* sink) { sink_ = sink; }
  // From now on time runs, which is recorded when the request is answered.
  void measure(LatencyHistogram* latency) { measure(latency, monotonicNs()); }
  void measure(LatencyHistogram* latency, uint64_t startNs) {
    latency_ = latency;
    startNs_ = startNs;
  }

  // The fixed part of the arguments; null when the request is too short.
  template <typename T>
  const T* body() const {
    return length_ < sizeof(fuse_in_header) + sizeof(T) ? nullptr : reinterpret_cast<const T*>(bytes_ + sizeof(fuse_in_header));
  }
  // The n-th NUL-terminated string behind `fixed` bytes of arguments; null when it does not end within the request.
  const char* name(size_t fixed, int n = 0) const {
    size_t at = sizeof(fuse_in_header) + fixed;
    for (;; n--) {
      if (at >= length_) return nullptr;
      const void* end = memchr(bytes_ + at, 0, length_ - at);
      if (end == nullptr) return nullptr;
      if (n == 0) return bytes_ + at;
      at = static_cast<size_t>(static_cast<const char*>(end) - bytes_) + 1;
    }
  }
  // `length` bytes at `offset` behind the header; null when there are not so many.
  const char* bytes(size_t offset, size_t length) const {
    const size_t at = sizeof(fuse_in_header) + offset;
    return at > length_ || length > length_ - at ? nullptr : bytes_ + at;
  }

  void error(int error) {
    lacksRoom_ = error == ENOSPC && mayLackRoom_;
    if (!lacksRoom_) to().error(error);
  }
  void data(const void* bytes, size_t length) const { to().data(bytes, length); }
  template <typename T>
  void value(const T& out) const {
    to().value(out);
  }

  // Takes the bytes along for an answer given later; what the other methods returned stays valid in them.
  RequestBuffer takeBuffer() { return std::move(*buffer_); }
  // As much of them as there is; not after takeBuffer().
  size_t length() const { return length_; }
  const char* all() const { return bytes_; }
  LatencyHistogram* latency() const { return latency_; }
  uint64_t startNs() const { return startNs_; }

  // While it may, ENOSPC is not answered but remembered.
  void mayLackRoom(bool may) { mayLackRoom_ = may; }
  bool lacksRoom() const { return lacksRoom_; }

 private:
  int device_;
  RequestBuffer* buffer_;
  const char* bytes_;
  size_t length_;
  LatencyHistogram* latency_ = nullptr;
  uint64_t startNs_ = 0;
  AnswerSink* sink_ = nullptr;
  bool mayLackRoom_ = false;
  bool lacksRoom_ = false;
};

}  // namespace tidemark
