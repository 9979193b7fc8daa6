// The FUSE wire protocol: the system's header (7.38 on Debian 12) and what newer kernels added, declared from the ABI.
#pragma once

#include <linux/fuse.h>

#include <cstdint>

namespace tidemark::abi {

constexpr uint32_t kMinor = 45;

constexpr uint32_t kStatxOpcode = 52;

// Kernel 6.9: unanswered requests can be had again.
constexpr uint64_t kHasResend = 1ull << 39;
constexpr int kNotifyResend = 7;

struct InitOut {
  uint32_t major, minor, maxReadahead, flags;
  uint16_t maxBackground, congestionThreshold;
  uint32_t maxWrite, timeGranularity;
  uint16_t maxPages, mapAlignment;
  uint32_t flags2, maxStackDepth;
  uint16_t requestTimeout;
  uint16_t unused[11];
};
static_assert(sizeof(InitOut) == sizeof(fuse_init_out), "the reply to INIT keeps its length");

struct StatxIn {
  uint32_t getattrFlags, reserved;
  uint64_t fh;
  uint32_t flags, mask;
};

struct StatxTime {
  int64_t seconds;
  uint32_t nanoseconds;
  int32_t reserved;
};

struct StatxOut {
  uint64_t attrValid;
  uint32_t attrValidNsec, flags;
  uint64_t spare[2];
  uint32_t mask, blksize;
  uint64_t attributes;
  uint32_t nlink, uid, gid;
  uint16_t mode, spare0;
  uint64_t ino, size, blocks, attributesMask;
  StatxTime atime, btime, ctime, mtime;
  uint32_t rdevMajor, rdevMinor, devMajor, devMinor;
  uint64_t spare2[14];
};
static_assert(sizeof(StatxOut) == 32 + 256, "struct fuse_statx is 256 bytes");

}  // namespace tidemark::abi
