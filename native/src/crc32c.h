// crc32c (Castagnoli polynomial, reflected), by the processor's instruction where it has one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tidemark {

// Continues from `seed` (0 to begin): crc32c(b, crc32c(a)) is the checksum of a followed by b.
uint32_t crc32c(const void* bytes, size_t length, uint32_t seed = 0);

}  // namespace tidemark
