// An order that only the kernel keeps: it forgets an inode after the answer that gave it. Answer and FORGET may pass through different descriptors; then
// ThreadSanitizer does not see it, and takes the inode's end for a race with whoever filled the answer. In other builds nothing is done.
#pragma once

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace tidemark {

#if defined(__SANITIZE_THREAD__)
inline char kernelOrder;
inline void beforeAnswer() { __tsan_release(&kernelOrder); }
inline void beforeForget() { __tsan_acquire(&kernelOrder); }
#else
inline void beforeAnswer() {}
inline void beforeForget() {}
#endif

}  // namespace tidemark
