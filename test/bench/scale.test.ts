/** The benchmark's made-up history is a real one: everything that reads a store takes it for what it says, and the plot says what was measured. */
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { figures } from '../../bench/scale/figures.js';
import type { FigureKey, Figures } from '../../bench/scale/figures.js';
import { makeHistory, noteVersion } from '../../bench/scale/history.js';
import { drawScale } from '../../bench/scale/plot.js';
import { scaleTable } from '../../bench/scale/table.js';
import { txid } from '../../engine/ids.js';
import { Volume } from '../../engine/volume.js';
import { makePlace, removePlace } from '../support/places.js';

/** As bench/workload.c does. */
async function fill(directory: string, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const folder = join(directory, `d${Math.floor(index / 1000)}`);
    if (index % 1000 === 0) mkdirSync(folder);
    writeFileSync(join(folder, `f${index}`), '');
  }
}

void t.test('a history made up is read, shown and verified like any other', async (t) => {
  const directory = makePlace();
  t.teardown(() => removePlace(directory));
  const made = await makeHistory(directory, { transactions: 12_000, files: 1000, noteVersions: 20, days: 3 }, fill);
  const log = join(directory, '.tidemark/log');
  const onDisk = readdirSync(log).reduce((sum, name) => sum + statSync(join(log, name)).blocks * 512, 0);
  t.ok(made.logBytes > 120e6 && onDisk < 20e6, `${made.logBytes} bytes of log take ${onDisk}`);
  const said: string[] = [];
  const volume = await Volume.open(directory, { say: (line) => said.push(line) });
  try {
    t.strictSame(said, ['the index is missing: it is made again from the log'], 'nothing else is to be said');
    t.equal((await volume.status()).transactions, 12_000);
    for (const version of [1, 7, 20]) {
      const at = txid(made.noteTxids[version]!);
      const note = (await volume.resolvePath(at, Buffer.from('/note')))!;
      t.equal((await volume.read(at, note.file, 0n, 100)).toString(), noteVersion(version));
    }
    t.equal(await volume.resolvePath(txid(made.noteTxids[0]! - 1), Buffer.from('/note')), undefined, 'it was made then');
    t.equal((await volume.log({ path: Buffer.from('/note') })).length, 21);
    t.strictSame((await volume.verify()).faults, []);
  } finally {
    await volume.close();
  }
});

void t.test('plot and table have every size, and the labels do not cover each other', async (t) => {
  const of = (value: number): Figures => Object.fromEntries(figures.map(({ key }) => [key, value])) as Record<FigureKey, number>;
  const results = { measuredAt: '2026-11-23T00:00:00Z', machine: 'a & b', sizes: [{ transactions: 10_000, figures: of(10) }, { transactions: 10_000_000, figures: of(60) }] };
  const svg = drawScale(results);
  t.match(svg, /a &amp; b/);
  t.match(svg, />10,000,000</);
  const labels = [...svg.matchAll(/<text x="\d+" y="([\d.]+)" style/g)].map(([, y]) => Number(y)).sort((a, b) => a - b);
  t.ok(labels.length >= 5 && labels.every((y, index) => index === 0 || y - labels[index - 1]! >= 12), labels.join(' '));
  t.notMatch(svg, /&(?!amp;|lt;|gt;)/, 'all text is escaped');
  t.match(scaleTable(results), /60 ms \(missed\)/);
});
