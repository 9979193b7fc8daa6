/** The scrub over a log of its own: it finds what is damaged, goes on where it was, forgets what is well again, and keeps its pace. */
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { lsn, makeFileId, txid } from '../../engine/ids.js';
import { recordType, segmentFileName } from '../../engine/log-format.js';
import { Scrub } from '../../engine/scrub.js';
import { brakeMs, nextSliceMs, settleMs, sliceBytes } from '../../engine/scrub-pace.js';
import { afterSlice, firstScrubState, parseScrubState, scrubFile } from '../../engine/scrub-state.js';
import type { ScrubState } from '../../engine/scrub-state.js';
import { LogWriter } from '../support/log-writer.js';
import { makePlace, removePlace } from '../support/places.js';
import { until } from '../support/processes.js';

t.setTimeout(60_000);

const mebibyte = 1 << 20;
const bodyBytes = mebibyte - 48;
/** A round in no time, but for the brake. */
const quick = { roundMs: 1, bytesPerSecond: 1000 * mebibyte };

class Place {
  readonly path = makePlace();
  readonly log = join(this.path, 'log');
  readonly writer: LogWriter;
  readonly lsns: number[] = [];
  idleThreads = 0;

  constructor(t: Tap, records: number) {
    t.teardown(() => { removePlace(this.path); });
    mkdirSync(this.log);
    this.writer = new LogWriter(this.log, 4 * mebibyte);
    for (let index = 0; index < records; index++) {
      const header = { type: recordType.extent, flags: 0, aux: 2, file: makeFileId(7n, 1), txid: BigInt(index + 1), offset: 0n, size: BigInt(bodyBytes) };
      this.lsns.push(this.writer.append(header, Buffer.alloc(bodyBytes, index)));
    }
  }

  scrub(t: Tap): Scrub {
    const logState = { end: lsn(this.writer.end), durable: lsn(this.writer.end), recordCount: this.lsns.length, ended: txid(1), endedTimeNs: 0n };
    const files = { id: '', createdNs: 0n, root: this.path, store: this.path, log: this.log, index: '', objects: '', close: () => {} };
    const scrub = new Scrub({ files, logState: () => logState, setThreadIdle: (_, isIdle) => { this.idleThreads += isIdle ? 1 : 0; } });
    t.teardown(() => scrub.close());
    return scrub;
  }

  write(index: number, offset: number, byte: number): void {
    const position = this.lsns[index]! + offset;
    const segment = Math.floor(index / 4) + 1;
    const base = this.lsns[Math.floor(index / 4) * 4]! - 64;
    const fd = openSync(join(this.log, segmentFileName(segment)), 'r+');
    writeSync(fd, Buffer.of(byte), 0, 1, position - base);
    closeSync(fd);
  }
}

type Tap = Pick<typeof t, 'teardown'>;

void t.test('a flipped byte is found, told once, and forgotten when it reads well again', async (t) => {
  const place = new Place(t, 10);
  place.write(5, 1000, 99);
  const scrub = place.scrub(t);
  scrub.run(quick);
  await until(() => scrub.state.rounds >= 2, 'two rounds');
  t.match(scrub.state.faults, [{ lsn: place.lsns[5], segment: 2, isUnreadable: false }]);
  t.equal(scrub.state.faults.length, 1, 'once, however often it is read');
  t.equal(place.idleThreads, 1, 'its thread gives way to all others');
  place.write(5, 1000, 5);
  const { rounds } = scrub.state;
  await until(() => scrub.state.rounds >= rounds + 2, 'two more rounds');
  t.same(scrub.state.faults, []);
  t.equal(scrub.failure, undefined);
});

void t.test('it goes on where it was when it was stopped', async (t) => {
  const place = new Place(t, 24);
  const first = place.scrub(t);
  first.run({ roundMs: 1, bytesPerSecond: 8 * mebibyte });
  await until(() => first.state.readAtMs > 0 || place.idleThreads > 0, 'it to begin');
  await new Promise((resolve) => { setTimeout(resolve, 700); });
  await first.close();
  const kept = parseScrubState(readFileSync(join(place.path, 'scrub.json'), 'utf8'));
  t.ok(kept !== undefined && kept.position >= place.lsns[2]! && kept.position <= place.lsns[12]!, `at ${kept?.position}`);
  t.equal(kept?.records, place.lsns.indexOf(kept?.position ?? 0), 'every record before it was read');

  const second = place.scrub(t);
  t.equal(second.state.position, kept?.position);
  t.ok(second.progress > 0.05 && second.progress < 0.6);
  second.run(quick);
  await until(() => second.state.rounds === 1, 'the round to end');
  t.equal(second.state.records, 24, 'and none was read twice');
});

void t.test('it is no faster than it may be', async (t) => {
  const place = new Place(t, 6);
  const scrub = place.scrub(t);
  const started = performance.now();
  scrub.run({ roundMs: 1, bytesPerSecond: 4 * mebibyte });
  await until(() => scrub.state.rounds === 1, 'a round');
  const took = performance.now() - started;
  t.ok(took >= 1200, `6 MiB at 4 MiB/s took ${took} ms`);
});

void t.test('a state that cannot be read begins anew', async (t) => {
  const place = new Place(t, 2);
  for (const text of ['', '{', '{"format":2}', '{"format":1,"state":{"position":-1}}', JSON.stringify(scrubFile({ ...firstScrubState(0), faults: [{}] } as unknown as ScrubState))]) {
    writeFileSync(join(place.path, 'scrub.json'), text);
    t.same(place.scrub(t).state, firstScrubState(0), text);
  }
  const state = firstScrubState(5);
  t.same(parseScrubState(JSON.stringify(scrubFile(state))), state);
});

void t.test('a log that cannot be opened once is no failure yet', async (t) => {
  const place = new Place(t, 2);
  const scrub = place.scrub(t);
  removePlace(place.log);
  scrub.run(quick);
  // Only the third failure in a row is told; the pause between two is a minute.
  await until(() => place.idleThreads > 0, 'the thread');
  t.equal(scrub.failure, undefined);
  t.equal(scrub.state.rounds, 0);
});

void t.test('what a slice does to what is known', async (t) => {
  const fault = (at: number): { lsn: number; length: number; segment: number; isUnreadable: boolean } => ({ lsn: at, length: 8, segment: 1, isUnreadable: false });
  const state: ScrubState = { ...firstScrubState(0), position: 100, base: 64, faults: [fault(50), fault(150), fault(250)] };
  const half = afterSlice(state, { from: 100, to: 200, end: 300, firstLsn: 100, records: 3, faults: [fault(160)], atMs: 7 });
  t.match(half, { position: 200, base: 64, rounds: 0, readAtMs: 7, readBytes: 100, records: 3 });
  t.same(half.faults.map((known) => known.lsn), [50, 160, 250], 'what was read again counts, what was not stays');
  const whole = afterSlice(half, { from: 200, to: 300, end: 300, firstLsn: 200, records: 1, faults: [], atMs: 9 });
  t.match(whole, { position: 0, rounds: 1, roundEndedMs: 9, records: 4 });
  t.same(whole.faults.map((known) => known.lsn), [50, 160]);
  t.equal(afterSlice(whole, { from: 0, to: 100, end: 300, firstLsn: 96, records: 1, faults: [], atMs: 9 }).base, 96, 'old segments may be gone');
});

void t.test('its pace', async (t) => {
  const week = { roundMs: 7 * 86_400_000, bytesPerSecond: 8 * mebibyte };
  const last = { readAtMs: 1000, readBytes: sliceBytes };
  t.equal(nextSliceMs(sliceBytes / 4, last, week), 1000 + week.roundMs, 'a small history: once a week');
  t.equal(nextSliceMs(100 * sliceBytes, last, week), 1000 + week.roundMs / 100);
  t.equal(nextSliceMs(100 * sliceBytes, { readAtMs: 1000, readBytes: sliceBytes / 2 }, week), 1000 + week.roundMs / 200);
  t.equal(nextSliceMs(0, last, week), 1000 + week.roundMs);
  t.equal(nextSliceMs(100 * sliceBytes, { readAtMs: 1000, readBytes: 0 }, week), 1000 + week.roundMs / 100, 'never read');
  t.equal(settleMs(week), 60_000);
  t.equal(settleMs({ ...week, roundMs: 1000 }), 1);
  t.equal(brakeMs(8 * mebibyte, 400, week), 600);
  t.equal(brakeMs(8 * mebibyte, 1400, week), 0);
});
