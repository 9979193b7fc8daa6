// The FUSE wire protocol: the system's header (7.38 on Debian 12) and what newer kernels added, declared from the ABI.
#pragma once

#include <linux/fuse.h>
#include <sys/ioctl.h>

#include <cstdint>

namespace tidemark::abi {

constexpr uint32_t kMinor = 45;

// INIT flags that the system's header may not know (bits 32 and up travel in flags2).
constexpr uint64_t kDirectIoAllowMmap = 1ull << 36;
constexpr uint64_t kPassthrough = 1ull << 37;

constexpr uint32_t kOpenPassthrough = 1u << 7;  // FOPEN_PASSTHROUGH
constexpr uint32_t kStatxOpcode = 52;

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

struct OpenOut {
  uint64_t fh;
  uint32_t openFlags;
  int32_t backingId;
};
static_assert(sizeof(OpenOut) == sizeof(fuse_open_out), "the reply to OPEN keeps its length");

struct BackingMap {
  int32_t fd;
  uint32_t flags;
  uint64_t padding;
};
static_assert(sizeof(BackingMap) == 16, "FUSE_DEV_IOC_BACKING_OPEN takes 16 bytes");

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

inline unsigned long backingOpen() { return _IOW(FUSE_DEV_IOC_MAGIC, 1, BackingMap); }
inline unsigned long backingClose() { return _IOW(FUSE_DEV_IOC_MAGIC, 2, uint32_t); }

}  // namespace tidemark::abi
