/**
 * Cuts a byte stream into lines. Chunks come in as the socket delivers them, whole lines go out in order.
 *
 * Invariants:
 * 1. No more than `longestBytes` are kept for a line that has not ended: the sender of a longer one gets an error.
 */
export class LineSplitter {
  readonly #longestBytes: number;
  readonly #onLine: (line: string) => void;
  #parts: Buffer[] = [];
  #keptBytes = 0;

  constructor(longestBytes: number, onLine: (line: string) => void) {
    this.#longestBytes = longestBytes;
    this.#onLine = onLine;
  }

  /** Takes a chunk and calls `onLine` for each line that it completes. Throws RangeError when a line is too long. */
  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      this.#keep(chunk.subarray(start, end));
      const line = Buffer.concat(this.#parts).toString('utf8');
      this.#parts = [];
      this.#keptBytes = 0;
      start = end + 1;
      this.#onLine(line);
    }
    this.#keep(chunk.subarray(start));
  }

  #keep(part: Buffer): void {
    this.#keptBytes += part.length;
    if (this.#keptBytes > this.#longestBytes) throw new RangeError(`a line of more than ${this.#longestBytes} bytes`);
    if (part.length > 0) this.#parts.push(part);
  }
}
