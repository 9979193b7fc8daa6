/**
 * Counts the checks in a TAP stream, line by line.
 *
 * Invariants:
 * 1. Every check counts once: the line that sums up a subtest does not count, unless it failed without a check in it that did
 *    (a crash, a timeout, a plan not kept).
 * 2. Skipped and to-do checks are neither passed nor failed.
 */

/** The end of an outermost subtest: one test file. */
export interface EndedFile {
  readonly name: string;
  readonly hasFailed: boolean;
  readonly checks: number;
  /** As tap tells it ("300ms"); empty when it does not. */
  readonly time: string;
}

/** What has been seen in a subtest that is open. */
interface Level {
  /** Lines of its own: checks and the sums of subtests. */
  points: number;
  /** Checks in it and below. */
  checks: number;
  failures: number;
}

/** A subtest whose sum stood before it ("ok 1 - name {"). */
interface Opened {
  readonly isFailed: boolean;
  readonly rest: string;
}

const pointPattern = /^( *)(not )?ok\b(?: \d+)?(?: -)?(.*)$/;
const directive = / # (skip|todo)\b/i;

export class TapCounter {
  passed = 0;
  failed = 0;
  skipped = 0;
  /** One for each four blanks of indentation. */
  readonly #levels: Level[] = [{ points: 0, checks: 0, failures: 0 }];
  readonly #opened = new Map<number, Opened>();
  #diagnosticsUntil: string | undefined;

  /** Takes a line without its line break. Returns the test file that it ends, if it ends one. */
  line(line: string): EndedFile | undefined {
    if (this.#diagnosticsUntil !== undefined) {
      if (line === this.#diagnosticsUntil) this.#diagnosticsUntil = undefined;
      return undefined;
    }
    const yaml = /^( *)---$/.exec(line);
    if (yaml !== null) {
      this.#diagnosticsUntil = `${yaml[1] ?? ''}...`;
      return undefined;
    }
    const close = /^( *)\}$/.exec(line);
    if (close !== null) return this.#close(depthOf(close[1]));
    const point = pointPattern.exec(line);
    return point === null ? undefined : this.#point(depthOf(point[1]), point[2] !== undefined, point[3] ?? '');
  }

  #close(depth: number): EndedFile | undefined {
    const opened = this.#opened.get(depth);
    if (opened === undefined) return undefined;
    this.#opened.delete(depth);
    return this.#endSubtest(depth, opened.isFailed, opened.rest.slice(0, -1));
  }

  #point(depth: number, isFailed: boolean, rest: string): EndedFile | undefined {
    if (rest.endsWith('{')) {
      this.#opened.set(depth, { isFailed, rest });
      return undefined;
    }
    // A file that ended without a check is a subtest too: only its sum tells that it failed.
    if (this.#level(depth + 1).points > 0 || (depth === 0 && isFailed)) return this.#endSubtest(depth, isFailed, rest);
    const isExcused = directive.test(rest);
    if (isExcused) this.skipped += 1;
    else if (isFailed) this.failed += 1;
    else this.passed += 1;
    this.#add(depth, 1, isFailed && !isExcused ? 1 : 0);
    return undefined;
  }

  /** The subtest one level deeper has ended: its checks count for this level too. */
  #endSubtest(depth: number, isFailed: boolean, rest: string): EndedFile | undefined {
    const { checks, failures } = this.#level(depth + 1);
    this.#levels[depth + 1] = { points: 0, checks: 0, failures: 0 };
    const isUnexplained = isFailed && failures === 0 && !directive.test(rest);
    if (isUnexplained) this.failed += 1;
    this.#add(depth, checks, failures + (isUnexplained ? 1 : 0));
    if (depth > 0) return undefined;
    const time = /# time=(\S+)/.exec(rest)?.[1] ?? '';
    return { name: rest.replace(/ # time=.*$/, '').trim(), hasFailed: isFailed, checks, time };
  }

  #add(depth: number, checks: number, failures: number): void {
    const level = this.#level(depth);
    level.points += 1;
    level.checks += checks;
    level.failures += failures;
  }

  #level(depth: number): Level {
    while (this.#levels.length <= depth) this.#levels.push({ points: 0, checks: 0, failures: 0 });
    return this.#levels[depth] as Level;
  }
}

function depthOf(indentation: string | undefined): number {
  return Math.floor((indentation ?? '').length / 4);
}
