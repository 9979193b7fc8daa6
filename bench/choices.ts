/**
 * `npm run bench -- --choices`: what each way of saving round trips and wake-ups is worth. In: a plan without targets. Out: a table of each of them left out alone, beside all of them
 * together.
 *
 * Invariants:
 * 1. All are measured in turn, in one run, on the same rows.
 */
import { align } from './report.js';
import type { Machine, Results } from './results.js';
import { rows } from './rows.js';
import { summarize } from './summary.js';
import { tidemark } from './targets/tidemark.js';
import type { Target } from './targets/target.js';

interface Choice {
  readonly title: string;
  /** Words of TIDEMARK_WITHOUT (native/src/choices.h). */
  readonly without?: string;
  readonly options?: readonly string[];
}

const choices: readonly Choice[] = [
  { title: 'idle processors kept awake', options: ['--no-keep-awake'] },
  { title: 'some microseconds of looking before sleeping', without: 'spinning' },
  { title: 'one thread waits for requests at a time', without: 'one-reader' },
  { title: 'absent names remembered', without: 'absent-names' },
  { title: 'attributes of replies remembered', without: 'attributes' },
  { title: 'close not told of (FLUSH)', without: 'flush' },
  { title: 'attributes in listings (readdirplus)', without: 'readdirplus,readdirplus-auto' },
  { title: '… only for who asks for them (auto)', without: 'readdirplus-auto' },
  { title: 'several at once in one directory', without: 'parallel-dirops' },
  { title: 'requests of up to 1 MiB', without: 'max-pages' },
  { title: 'reading ahead by 4 MiB', without: 'read-ahead' },
  { title: 'privileges dropped without a question (killpriv)', without: 'killpriv-v2' },
  { title: 'written pages kept by the kernel', options: ['--every-write'] },
];

export const choiceRows: readonly string[] = ['untar', 'find', 'grep', 'git-status', 'rm', 'fdatasync-1', 'sqlite-delete', 'write-1m', 'read-cold'];

/** The bare directory, Tidemark as it is, and Tidemark without each choice. */
export function choiceTargets(bare: Target): Target[] {
  return [bare, tidemark('tidemark', []), ...choices.map((choice, index) => tidemark(nameOf(index), choice.options ?? [], choice.without === undefined ? {} : { launcher: ['env', `TIDEMARK_WITHOUT=${choice.without}`, process.execPath] }))];
}

export function choicesTable(results: Results, { kernel, processor, cores }: Machine): string {
  const measured = rows.filter(({ id }) => choiceRows.includes(id));
  const ratios = (target: string): string[] => measured.map((row) => summarize(row, target, results.samples)?.ratio?.median.toFixed(2) ?? 'failed');
  const body = [['all of them', ...ratios('tidemark')], ...choices.map(({ title }, index) => [`without: ${title}`, ...ratios(nameOf(index))])];
  const head = ['ratio to the bare directory', ...measured.map(({ id }) => `\`${id}\``)];
  return [`Measured ${new Date().toISOString().slice(0, 10)}: Linux ${kernel}, ${cores} × ${processor}, medians of ${results.runs} rounds.`, '', ...align([head, head.map(() => '---'), ...body])].join('\n');
}

function nameOf(index: number): string {
  return `without-${index + 1}`;
}
