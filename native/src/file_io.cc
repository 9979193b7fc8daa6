#include "file_io.h"

#include <errno.h>
#include <unistd.h>

namespace tidemark {

int writeFully(int fd, const char* bytes, size_t length, uint64_t offset) {
  while (length > 0) {
    const ssize_t count = pwrite(fd, bytes, length, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    bytes += count;
    length -= static_cast<size_t>(count);
    offset += static_cast<uint64_t>(count);
  }
  return 0;
}

ssize_t readFully(int fd, char* bytes, size_t length, uint64_t offset) {
  size_t done = 0;
  while (done < length) {
    const ssize_t count = pread(fd, bytes + done, length - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -errno;
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  return static_cast<ssize_t>(done);
}

}  // namespace tidemark
