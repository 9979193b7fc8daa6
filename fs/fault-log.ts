/**
 * Lines about faults, without floods: a program that reads a damaged file a thousand times a second must not fill the log. In: a line each time. Out: the
 * line, at most once a minute.
 *
 * Invariants:
 * 1. A line that was not told within the last minute is told at once.
 * 2. No more than `rememberedCount` lines are remembered.
 */
const quietMs = 60_000;
const rememberedCount = 1000;

export class FaultLog {
  readonly #write: (line: string) => void;
  readonly #nowMs: () => number;
  /** When each line was told, oldest first. */
  readonly #toldAtMs = new Map<string, number>();

  /** `write` takes a line without its end; `nowMs` is a clock that does not go back, in milliseconds. */
  constructor(write: (line: string) => void, nowMs: () => number = () => performance.now()) {
    this.#write = write;
    this.#nowMs = nowMs;
  }

  tell(line: string): void {
    const nowMs = this.#nowMs();
    const toldAtMs = this.#toldAtMs.get(line);
    if (toldAtMs !== undefined && nowMs - toldAtMs < quietMs) return;
    this.#toldAtMs.delete(line);
    this.#toldAtMs.set(line, nowMs);
    if (this.#toldAtMs.size > rememberedCount) {
      const [oldest] = this.#toldAtMs.keys();
      if (oldest !== undefined) this.#toldAtMs.delete(oldest);
    }
    this.#write(line);
  }
}
