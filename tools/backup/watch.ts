/**
 * Shows how far a run is: a bar on a terminal, else a line now and then. In: reports. Out: standard error.
 */
import { Presets, SingleBar } from 'cli-progress';
import type { Report } from '../../replica/progress.js';
import { note } from '../output.js';
import { counted, sizeText } from '../format.js';
import { paceOf, reportText, secondsText } from './shown.js';

const lineEveryMs = 10_000;

export class ProgressView {
  #bar: SingleBar | undefined;
  #linedAtMs = Date.now();

  show(report: Report): void {
    const { phase, doneFiles, totalFiles, doneBytes, totalBytes } = report;
    if (!process.stderr.isTTY) {
      if (Date.now() - this.#linedAtMs < lineEveryMs) return;
      this.#linedAtMs = Date.now();
      void note(reportText(report));
      return;
    }
    if (phase !== 'sending' && phase !== 'verifying') {
      this.stop();
      return;
    }
    const { bytesPerSecond, secondsLeft } = paceOf(report, Date.now());
    const payload = { phase, files: `${doneFiles.toLocaleString('en-US')} of ${counted(totalFiles, 'file')}`, bytes: `${sizeText(doneBytes)} of ${sizeText(totalBytes)}`, rate: `${sizeText(Math.round(bytesPerSecond))}/s`, left: secondsLeft === undefined ? '' : `${secondsText(secondsLeft)} left` };
    if (this.#bar === undefined) {
      this.#bar = new SingleBar({ format: '{phase} {bar} {percentage}% | {bytes} | {files} | {rate} | {left}', stream: process.stderr, clearOnComplete: true, hideCursor: false }, Presets.shades_classic);
      this.#bar.start(Math.max(1, totalBytes), 0, payload);
    }
    this.#bar.setTotal(Math.max(1, totalBytes));
    this.#bar.update(Math.min(doneBytes, totalBytes), payload);
  }

  stop(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}
