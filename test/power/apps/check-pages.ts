/**
 * Whether the database of pages.ts kept, over a power cut, what was committed. In: its directory, what its witness knows. Out: complaints.
 *
 * 1. The control file is whole, and tells of a checkpoint that had begun; no older one than the last that had ended.
 * 2. The log, played from there, reaches the end of every commit that had returned, and holds nothing but what was written to it.
 * 3. When it is played, each page is what all records up to the log's end make of it from the beginning; what is not whole on the disk comes out of the log.
 */
import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { reachAt } from '../witness.js';
import type { Witness } from '../witness.js';
import { commitsBy } from './application.js';
import { applyChange, controlPath, decodeControl, decodeRecord, freshPage, isWholePage, lsnOfPage, pageBytes, pageCount, relationCount, relationPath, segmentBytes, segmentPath } from './pages-log.js';
import type { LogRecord, PagesWitness } from './pages-log.js';

export function checkPages(application: PagesWitness, witness: Witness, position: number, root: string): string[] {
  const say = (what: string): string => `${application.directory}: ${what}`;
  const redo = decodeControl(readFileSync(join(root, controlPath)));
  if (redo === undefined) return [say('the control file is damaged')];
  const complaints = redoFaults(application, witness, position, redo).map(say);
  const records = readLog(root, redo);
  const end = records.at(-1)?.end ?? redo;
  for (const [index, writer] of application.writers.entries()) {
    const promised = application.commitEnds[index]![commitsBy(writer, reachAt(witness, writer, position).done) - 1] ?? 0;
    if (end < promised) complaints.push(say(`the log ends at ${end} instead of ${promised} at least, and writer ${index} was told that this is committed`));
  }
  const written = Buffer.concat(application.log);
  if (end - application.start > written.length) return [...complaints, say(`the log ends at ${end}, where nothing was written`)];
  return [...complaints, ...pageFaults(root, records, witnessed(application, written, end)).map(say)];
}

function redoFaults({ writers, start }: PagesWitness, witness: Witness, position: number, redo: number): string[] {
  const checkpointer = writers.at(-1)!;
  const { done, begun } = reachAt(witness, checkpointer, position);
  const told = checkpointer.operations.slice(0, begun + 1).map(({ what }) => Number(/^checkpoint at (\d+)$/.exec(what)?.[1] ?? start));
  return told.slice(Math.max(0, done)).includes(redo) ? [] : [`the control file tells of a checkpoint at ${redo} instead of ${told.slice(Math.max(0, done)).join(' or ')}`];
}

/** All records from a position on, as the segments have them. */
function readLog(root: string, from: number): LogRecord[] {
  const files = new Map<number, number | undefined>();
  const fileOf = (segment: number): number | undefined => {
    const path = join(root, segmentPath(segment));
    if (!files.has(segment)) files.set(segment, existsSync(path) ? openSync(path, 'r') : undefined);
    return files.get(segment);
  };
  const read = (lsn: number, length: number): Buffer => {
    const parts: Buffer[] = [];
    for (let at = lsn; at < lsn + length;) {
      const file = fileOf(Math.floor(at / segmentBytes));
      const part = Buffer.alloc(Math.min(lsn + length, (Math.floor(at / segmentBytes) + 1) * segmentBytes) - at);
      if (file === undefined || readSync(file, part, 0, part.length, at % segmentBytes) < part.length) break;
      parts.push(part);
      at += part.length;
    }
    return Buffer.concat(parts);
  };
  const records: LogRecord[] = [];
  for (let record = decodeRecord(from, read); record !== undefined; record = decodeRecord(record.end, read)) records.push(record);
  for (const file of files.values()) if (file !== undefined) closeSync(file);
  return records;
}

/** The records up to a position as they were written; behind the last whole one of them nothing. */
function witnessed({ start }: PagesWitness, written: Buffer, end: number): LogRecord[] {
  const read = (lsn: number, length: number): Buffer => written.subarray(lsn - start, lsn - start + length);
  const records: LogRecord[] = [];
  for (let record = decodeRecord(start, read); record !== undefined && record.end <= end; record = decodeRecord(record.end, read)) records.push(record);
  return records;
}

function pageFaults(root: string, found: readonly LogRecord[], written: readonly LogRecord[]): string[] {
  const faults: string[] = [];
  for (let relation = 0; relation < relationCount; relation += 1) {
    const bytes = readFileSync(join(root, relationPath(relation)));
    const is = pagesOf(bytes);
    play(is, relation, found);
    const mustBe = Array.from({ length: pageCount }, (_, page) => freshPage(relation, page));
    play(mustBe, relation, written);
    if (bytes.length !== pageCount * pageBytes) faults.push(`relation ${relation} is ${bytes.length} bytes long`);
    for (const [page, expected] of mustBe.entries()) {
      const there = is[page]!;
      if (there.equals(expected)) continue;
      const how = isWholePage(there, page) ? `was changed last by ${lsnOfPage(there)} instead of ${lsnOfPage(expected)}` : 'is torn';
      faults.push(`page ${page} of relation ${relation} ${how} when the log is played`);
    }
  }
  return faults;
}

function pagesOf(bytes: Buffer): Buffer[] {
  return Array.from({ length: pageCount }, (_, page) => Buffer.from(bytes.subarray(page * pageBytes, (page + 1) * pageBytes)));
}

/** A page that is newer than a record has it already; a whole page from the log counts whatever is there. */
function play(pages: Buffer[], relation: number, records: readonly LogRecord[]): void {
  for (const { lsn, changes } of records) {
    for (const change of changes) {
      if (change.relation !== relation) continue;
      let page = pages[change.page]!;
      const isWhole = change.bytes.length === pageBytes;
      if (!isWhole && isWholePage(page, change.page) && lsnOfPage(page) >= lsn) continue;
      if (isWhole) page = pages[change.page] = Buffer.alloc(pageBytes);
      applyChange(page, change, lsn);
    }
  }
}
