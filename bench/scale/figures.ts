/**
 * The figures of a size: what is measured, in which unit, and what must be reached. Nothing comes in; table and plot read this one list.
 *
 * Invariants:
 * 1. `key` is the figure's name in docs/scale.json.
 */
export interface Figure {
  readonly key: string;
  readonly title: string;
  readonly unit: 'ms' | 'bytes' | 'per second' | 'count';
  /** What it has to stay below. */
  readonly below?: number;
}

export const figures = [
  { key: 'files', title: 'files', unit: 'count' },
  { key: 'logBytes', title: 'history (log, holes and all)', unit: 'bytes' },
  { key: 'logDiskBytes', title: 'of it on the disk', unit: 'bytes' },
  { key: 'indexBytes', title: 'index', unit: 'bytes' },
  { key: 'indexedPerSecond', title: 'index made anew, transactions', unit: 'per second' },
  { key: 'listRoot', title: '`.snapshots` of the root listed', unit: 'ms', below: 50 },
  { key: 'listDirectory', title: '… of a directory', unit: 'ms', below: 50 },
  { key: 'resolve', title: 'a moment resolved, in the root', unit: 'ms', below: 5 },
  { key: 'resolveWorst', title: '… the slowest', unit: 'ms' },
  { key: 'resolveBelow', title: '… in a directory', unit: 'ms', below: 5 },
  { key: 'resolveBelowWorst', title: '… the slowest', unit: 'ms' },
  { key: 'read', title: 'a file of then opened and read', unit: 'ms' },
  { key: 'log', title: '`tidemark log FILE`, 10 versions or so', unit: 'ms', below: 100 },
  { key: 'logNote', title: '… 1,000 versions', unit: 'ms', below: 100 },
  { key: 'node', title: 'of it starting Node.js (`node -e 0`)', unit: 'ms' },
  { key: 'mount', title: '`tidemark mount` after a clean stop', unit: 'ms', below: 1000 },
  { key: 'mountCold', title: '… with cold caches', unit: 'ms' },
  { key: 'mountKilled', title: '… after kill -9 under load', unit: 'ms', below: 5000 },
  { key: 'status', title: '`tidemark status`', unit: 'ms' },
  { key: 'residentBytes', title: 'the daemon\'s memory (RSS)', unit: 'bytes' },
  { key: 'anonymousBytes', title: '… of it anonymous', unit: 'bytes' },
] as const satisfies readonly Figure[];

export type FigureKey = (typeof figures)[number]['key'];

/** Of one size. */
export type Figures = Record<FigureKey, number>;

export interface ScaleResults {
  /** RFC 3339. */
  readonly measuredAt: string;
  readonly machine: string;
  /** Transactions → figures, in growing order. */
  readonly sizes: readonly { readonly transactions: number; readonly figures: Figures }[];
}
