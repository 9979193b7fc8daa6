/**
 * Results as a table: Markdown for the document, which is plain enough for a terminal. Results come in, text goes out;
 * `writeDocument` puts such a text between markers of docs/BENCHMARKS.md.
 *
 * Invariants:
 * 1. Every row of `rows` that was measured is printed, also those that fall short or failed.
 * 2. Text outside the markers is never changed.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { rows } from './rows.js';
import type { Row } from './rows.js';
import type { Results } from './results.js';
import { summarize, verdict } from './summary.js';
import { allTargets, peerNames } from './targets/index.js';

const judged = 'tidemark';

/** The table with what it was measured on. */
export function markdown(results: Results): string {
  const targets = namesOf(results);
  const head = ['work', 'at least', ...targets.map((name) => (name === 'bare' ? 'bare, median' : name)), ''];
  const lines = rows.filter(({ id }) => results.samples[id]).map((row) => [
    row.title,
    barText(row),
    ...targets.map((name) => cell(row, name, results)),
    verdict(row, judged, peerNames, results.samples),
  ]);
  return [
    preface(results), '', ...align([head, head.map(() => '---'), ...lines]), '',
    ...failureLines(results),
  ].join('\n').trim();
}

/** Replaces what stands between two markers of the document: `NAME: begin (…)` and `NAME: end`. Throws when they are missing. */
export async function writeDocument(path: string, name: string, table: string): Promise<void> {
  const text = await readFile(path, 'utf8');
  const begin = new RegExp(`<!-- ${name}: begin .*-->`).exec(text);
  const to = text.indexOf(`<!-- ${name}: end -->`);
  const from = begin === null ? -1 : begin.index + begin[0].length;
  if (from < 0 || to < from) throw new Error(`${path} lacks its markers ${name}: begin … ${name}: end`);
  await writeFile(path, `${text.slice(0, from)}\n\n${table}\n\n${text.slice(to)}`);
}

function preface(results: Results): string {
  const { kernel, processor, cores, memoryGibibytes, fileSystem, node } = results.machine;
  const lines = [
    `Measured ${dates(results)}: Linux ${kernel}, ${cores} × ${processor}, ${memoryGibibytes} GiB, ${fileSystem}, Node ${node}; `
      + `${results.runs} rounds${results.scale === 1 ? '' : `, sizes × ${results.scale}`}.`, '',
  ];
  for (const name of namesOf(results)) {
    const target = results.targets[name];
    if (target === undefined) continue;
    const { description, rounds, features } = target;
    const share = rounds === undefined ? '' : `, in ${rounds} of the rounds`;
    lines.push(`- ${name}: ${description}${share}${features.length > 0 ? `; kernel features in use: ${features.join(', ')}` : ''}`);
  }
  return lines.join('\n');
}

/** The targets that took part: those that are always there in their order, then other builds. */
function namesOf({ targets }: Results): string[] {
  const known = allTargets.map(({ name }) => name);
  return [...known.filter((name) => targets[name]), ...Object.keys(targets).filter((name) => !known.includes(name))];
}

/** One date, or the first and the last when rows of several runs stand together. */
function dates({ measuredAt }: Results): string {
  const days = [...new Set(Object.values(measuredAt).map((time) => time.slice(0, 10)))].sort();
  return days.length > 1 ? `${days[0]} to ${days.at(-1)}` : (days[0] ?? 'never');
}

/** One line for each kind of failure; the whole messages are in the JSON. */
function failureLines({ failures }: Results): string[] {
  const kinds = new Map<string, number>();
  for (const { group, target, message } of failures) {
    const lines = message.split('\n');
    const told = lines.find((line) => /^\s*(\w*Error|FATAL|ERROR)\b/.test(line)) ?? lines[0]!;
    const kind = `${group} on ${target}: ${told.trim().slice(-300)}`;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return [...kinds].map(([kind, count]) => `Failed ${count} ×: ${kind}`);
}

function barText({ bar }: Row): string {
  if (!bar) return '';
  if (bar.kind === 'seconds') return `under ${duration(bar.below)}`;
  if (bar.kind === 'bytes') return `under ${bytes(bar.below)}`;
  return String(bar.atLeast);
}

function cell(row: Row, target: string, results: Results): string {
  const summary = summarize(row, target, results.samples);
  if (!summary) return results.samples[row.id]?.[target] ? 'failed' : '';
  const { ratio, median } = summary;
  if (!ratio) return row.unit === 'bytes' ? bytes(median) : duration(median);
  return `${ratio.median.toFixed(2)} (${ratio.least.toFixed(2)}–${ratio.greatest.toFixed(2)})`;
}

function duration(seconds: number): string {
  if (seconds >= 1) return `${seconds.toFixed(2)} s`;
  return seconds >= 0.001 ? `${(seconds * 1e3).toFixed(seconds >= 0.1 ? 0 : 2)} ms` : `${(seconds * 1e6).toFixed(0)} µs`;
}

function bytes(count: number): string {
  return `${(count / 1e6).toFixed(0)} MB`;
}

/** Pads the cells, so that the source of the table reads as well as the table. */
export function align(table: readonly string[][]): string[] {
  const widths = table[0]!.map((_, column) => Math.max(...table.map((line) => line[column]!.length)));
  return table.map((line) => `| ${line.map((text, column) => text.padEnd(widths[column]!, text === '---' ? '-' : ' ')).join(' | ')} |`);
}
