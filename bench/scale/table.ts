/**
 * The figures of all sizes as a Markdown table. Results come in, text goes out.
 *
 * Invariants:
 * 1. Every figure of every size is printed; one that misses its limit says so.
 */
import { align } from '../report.js';
import { figures } from './figures.js';
import type { Figure, ScaleResults } from './figures.js';
import { duration } from './plot.js';

export function scaleTable({ sizes, machine, measuredAt }: ScaleResults): string {
  const head = ['transactions', 'limit', ...sizes.map(({ transactions }) => transactions.toLocaleString('en-GB'))];
  const rows = figures.map((figure: Figure) => [
    figure.title,
    figure.below === undefined ? '' : duration(figure.below),
    ...sizes.map(({ figures: of }) => cell(figure, of[figure.key as keyof typeof of])),
  ]);
  return [`Measured ${measuredAt.slice(0, 10)}: ${machine}.`, '', ...align([head, head.map(() => '---'), ...rows])].join('\n');
}

function cell({ unit, below }: Figure, value: number): string {
  if (unit === 'ms') return `${duration(value)}${below !== undefined && value >= below ? ' (missed)' : ''}`;
  if (unit === 'bytes') return bytes(value);
  return Math.round(value).toLocaleString('en-GB');
}

function bytes(count: number): string {
  return count >= 1e9 ? `${(count / 1e9).toFixed(1)} GB` : `${(count / 1e6).toFixed(0)} MB`;
}
