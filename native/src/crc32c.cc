#include "crc32c.h"

#include <array>
#include <cstring>

namespace tidemark {
namespace {

using Table = std::array<std::array<uint32_t, 256>, 8>;

constexpr Table makeTable() {
  Table table{};
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; bit++) value = (value >> 1) ^ ((value & 1) ? 0x82F63B78u : 0);
    table[0][i] = value;
  }
  for (uint32_t i = 0; i < 256; i++)
    for (size_t slice = 1; slice < 8; slice++) table[slice][i] = (table[slice - 1][i] >> 8) ^ table[0][table[slice - 1][i] & 0xFF];
  return table;
}

constexpr Table kTable = makeTable();

uint32_t byTable(uint32_t crc, const uint8_t* p, size_t length) {
  while (length >= 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    word ^= crc;
    crc = 0;
    for (size_t slice = 0; slice < 8; slice++) crc ^= kTable[7 - slice][(word >> (8 * slice)) & 0xFF];
    p += 8;
    length -= 8;
  }
  while (length-- > 0) crc = (crc >> 8) ^ kTable[0][(crc ^ *p++) & 0xFF];
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t byInstruction(uint32_t crc, const uint8_t* p, size_t length) {
  uint64_t wide = crc;
  while (length >= 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    wide = __builtin_ia32_crc32di(wide, word);
    p += 8;
    length -= 8;
  }
  crc = static_cast<uint32_t>(wide);
  while (length-- > 0) crc = __builtin_ia32_crc32qi(crc, *p++);
  return crc;
}
#endif

}  // namespace

uint32_t crc32c(const void* bytes, size_t length, uint32_t seed) {
  const uint8_t* p = static_cast<const uint8_t*>(bytes);
#if defined(__x86_64__)
  static const bool hasInstruction = __builtin_cpu_supports("sse4.2");
  if (hasInstruction) return ~byInstruction(~seed, p, length);
#endif
  return ~byTable(~seed, p, length);
}

}  // namespace tidemark
