/**
 * A progress bar on standard error, when that is a terminal and the work takes longer than a second.
 */
import { Presets, SingleBar } from 'cli-progress';
import { sizeText } from '../format.js';

const patienceMs = 1000;

export class Progress {
  readonly #totalBytes: number;
  readonly #startedAt = Date.now();
  #doneBytes = 0;
  #bar: SingleBar | undefined;

  constructor(totalBytes: number) {
    this.#totalBytes = totalBytes;
  }

  /** `count` bytes more are done. */
  add(count: number): void {
    this.#doneBytes += count;
    if (!process.stderr.isTTY || Date.now() - this.#startedAt < patienceMs) return;
    this.#bar ??= this.#show();
    this.#bar.update(Math.min(this.#doneBytes, this.#totalBytes), { done: sizeText(this.#doneBytes) });
  }

  stop(): void {
    this.#bar?.stop();
  }

  #show(): SingleBar {
    const format = `restoring {bar} {percentage}% | {done} of ${sizeText(this.#totalBytes)} | {eta_formatted} left`;
    const bar = new SingleBar({ format, stream: process.stderr, clearOnComplete: true, hideCursor: false }, Presets.shades_classic);
    bar.start(this.#totalBytes, 0, { done: '' });
    return bar;
  }
}
