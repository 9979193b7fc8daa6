// pread and pwrite of all that was asked for.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace tidemark {

// 0 or an errno; then some of it may have been written.
int writeFully(int fd, const char* bytes, size_t length, uint64_t offset);

// Short only at the end of the file. Bytes read, or -errno.
ssize_t readFully(int fd, char* bytes, size_t length, uint64_t offset);

}  // namespace tidemark
