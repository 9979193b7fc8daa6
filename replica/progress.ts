/**
 * How far a run is, told now and then. In: what happens. Out: reports.
 *
 * Invariants:
 * 1. Reports come at most every `everyMs`, but one at each change of phase.
 */
export type Phase = 'connecting' | 'comparing' | 'sending' | 'switching' | 'thinning' | 'verifying';

export interface Report {
  readonly phase: Phase;
  readonly doneFiles: number;
  readonly totalFiles: number;
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Of the present phase. */
  readonly sinceMs: number;
}

const everyMs = 200;

export class Progress {
  readonly #onReport: (report: Report) => void;
  #phase: Phase = 'connecting';
  #sinceMs = Date.now();
  #doneFiles = 0;
  #totalFiles = 0;
  #doneBytes = 0;
  #totalBytes = 0;
  #toldAtMs = 0;

  constructor(onReport: (report: Report) => void) {
    this.#onReport = onReport;
  }

  phase(phase: Phase, totalFiles = this.#totalFiles, totalBytes = this.#totalBytes): void {
    this.#phase = phase;
    this.#sinceMs = Date.now();
    this.#totalFiles = totalFiles;
    this.#totalBytes = totalBytes;
    this.#tell();
  }

  add(files: number, bytes: number): void {
    this.#doneFiles += files;
    this.#doneBytes += bytes;
    if (Date.now() - this.#toldAtMs >= everyMs) this.#tell();
  }

  end(): void {
    this.#tell();
  }

  #tell(): void {
    this.#toldAtMs = Date.now();
    this.#onReport({ phase: this.#phase, doneFiles: this.#doneFiles, totalFiles: this.#totalFiles, doneBytes: this.#doneBytes, totalBytes: this.#totalBytes, sinceMs: this.#sinceMs });
  }
}
