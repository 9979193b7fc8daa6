/**
 * crc32c (Castagnoli) in JavaScript, for the indexer's thread, which does not load the addon, and for tests. The
 * addon's own function is faster and is used where the bytes are many.
 *
 * Invariants:
 * 1. crc32c("123456789") is 0xE3069283, and crc32c(b, crc32c(a)) is the sum of a followed by b.
 */
const polynomial = 0x82f63b78;
const tables = makeTables();

/** Eight bytes a step: table k holds the sum of a byte followed by k zero bytes. */
function makeTables(): Uint32Array {
  const result = new Uint32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let sum = byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ polynomial : sum >>> 1;
    result[byte] = sum >>> 0;
  }
  for (let index = 256; index < result.length; index++) {
    const previous = result[index - 256]!;
    result[index] = ((previous >>> 8) ^ result[previous & 255]!) >>> 0;
  }
  return result;
}

/** The sum as an unsigned 32-bit number; `seed` is the sum of what stood before. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  let sum = ~seed;
  let index = 0;
  const whole = bytes.length - 7;
  for (; index < whole; index += 8) {
    sum ^= bytes[index]! | (bytes[index + 1]! << 8) | (bytes[index + 2]! << 16) | (bytes[index + 3]! << 24);
    sum = tables[1792 + (sum & 255)]! ^ tables[1536 + ((sum >>> 8) & 255)]!
      ^ tables[1280 + ((sum >>> 16) & 255)]! ^ tables[1024 + (sum >>> 24)]!
      ^ tables[768 + bytes[index + 4]!]! ^ tables[512 + bytes[index + 5]!]!
      ^ tables[256 + bytes[index + 6]!]! ^ tables[bytes[index + 7]!]!;
  }
  for (; index < bytes.length; index++) sum = (sum >>> 8) ^ tables[(sum ^ bytes[index]!) & 255]!;
  return ~sum >>> 0;
}
