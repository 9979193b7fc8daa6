/**
 * A database that syncs its files as PostgreSQL does: several writers commit to one log and share its syncs; pages are overwritten at random places, some of them
 * early, all by a checkpoint, which syncs the relations, then tells the control file. In: randomness, how much. Out: what was committed when (check-pages.ts).
 *
 * Invariants:
 * 1. A page is written only when the log is synced up to the page's last change.
 * 2. The control file names a position only when all pages changed before it are synced.
 * 3. A page is written by one task at a time, as it is at that moment.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Random } from '../../support/seed.js';
import { logSyncBegins } from '../witness.js';
import { perform } from './application.js';
import type { Application, ApplicationSurroundings } from './application.js';
import { applyChange, controlPath, encodeControl, encodeRecord, firstFreeOffset, freshPage, lsnOfPage, pageBytes, pageCount, relationCount, relationPath, segmentBytes, segmentPath } from './pages-log.js';
import type { PageChange, PagesWitness } from './pages-log.js';
import { WriteAhead } from './write-ahead.js';

const writerCount = 3;
/** Where the log begins: close enough to a segment's end for it to go on to the next. */
const start = segmentBytes - 2 ** 20;
/** What a commit changes at most. */
const mostChanges = 5;

interface Page {
  readonly relation: number;
  readonly number: number;
  readonly bytes: Buffer;
  isDirty: boolean;
}

export class PagesWork implements Application {
  readonly witness: PagesWitness;
  readonly #random: Random;
  readonly #commitCount: number;
  readonly #pages: readonly Page[];
  readonly #log: WriteAhead;
  #relations: FileHandle[] = [];
  /** Invariant 3. */
  #writing: Promise<void> = Promise.resolve();
  /** What was changed by it for the first time since goes into the log whole. */
  #redo = start;

  /** `commitCount`: of each writer in each session. */
  constructor(directory: string, commitCount: number, random: Random) {
    // The last one is the checkpointer.
    const writers = Array.from({ length: writerCount + 1 }, () => ({ operations: [] }));
    this.witness = { kind: 'pages', directory, writers, syncs: [], initial: new Map(), start, log: [], commitEnds: writers.map(() => []) };
    this.#random = random;
    this.#commitCount = commitCount;
    this.#pages = Array.from({ length: relationCount * pageCount }, (_, index) => {
      const [relation, number] = [Math.floor(index / pageCount), index % pageCount];
      return { relation, number, bytes: freshPage(relation, number), isDirty: false };
    });
    this.#log = new WriteAhead(this.witness);
  }

  async prepare(root: string): Promise<void> {
    for (const directory of ['base', 'wal']) mkdirSync(join(root, directory));
    for (let relation = 0; relation < relationCount; relation += 1) {
      writeFileSync(join(root, relationPath(relation)), Buffer.concat(this.#pages.filter((page) => page.relation === relation).map(({ bytes }) => bytes)));
    }
    writeFileSync(join(root, segmentPath(0)), Buffer.alloc(segmentBytes));
    writeFileSync(join(root, controlPath), encodeControl(start));
  }

  async work(root: string, around: ApplicationSurroundings): Promise<void> {
    this.#relations = [];
    for (let relation = 0; relation < relationCount; relation += 1) this.#relations.push(await open(join(root, relationPath(relation)), 'r+'));
    this.#log.begin(root, around);
    try {
      let isOver = false;
      const writers = Array.from({ length: writerCount }, (_, writer) => this.#commitAll(writer, around));
      const working = Promise.all(writers).finally(() => (isOver = true));
      while (!isOver) {
        const until = this.#log.end + 200_000 + this.#random.below(800_000);
        await Promise.race([this.#log.reached(until), working]);
        await this.#checkpoint(root, around);
      }
      await working;
    } finally {
      await this.#log.close();
      for (const file of this.#relations) await file.close();
    }
  }

  async #commitAll(writer: number, around: ApplicationSurroundings): Promise<void> {
    for (let count = 0; count < this.#commitCount; count += 1) {
      const ends = this.witness.commitEnds[writer]!;
      const performed = { what: `commit ${ends.length + 1}`, commits: ends.length + 1, syncs: () => [] };
      await perform(around, this.witness, this.witness.writers[writer]!, performed, async () => {
        const end = this.#change();
        ends.push(end);
        await this.#log.flush(end);
      });
      if (this.#random.oneIn(3)) await this.#writePage(this.#random.pick(this.#pages));
    }
  }

  /** Changes some pages by one record; gives its end. */
  #change(): number {
    const lsn = this.#log.end;
    const chosen = new Set(Array.from({ length: 1 + this.#random.below(mostChanges) }, () => this.#random.pick(this.#pages)));
    const changes = [...chosen].map((page) => this.#changeOf(page));
    const end = this.#log.append(encodeRecord(lsn, changes));
    for (const [index, page] of [...chosen].entries()) {
      applyChange(page.bytes, changes[index]!, lsn);
      page.isDirty = true;
    }
    return end;
  }

  #changeOf({ relation, number, bytes }: Page): PageChange {
    const offset = firstFreeOffset + this.#random.below(pageBytes - firstFreeOffset - 200);
    const written = this.#random.bytes(1 + this.#random.below(200));
    if (lsnOfPage(bytes) >= this.#redo) return { relation, page: number, offset, bytes: written };
    const whole = Buffer.from(bytes);
    written.copy(whole, offset);
    return { relation, page: number, offset: 0, bytes: whole };
  }

  async #writePage(page: Page): Promise<void> {
    if (!page.isDirty) return;
    const mine = this.#writing.then(async () => {
      await this.#log.flush(this.#log.endOf(lsnOfPage(page.bytes)));
      // It may have been changed meanwhile: then it is not written as it is now.
      if (lsnOfPage(page.bytes) >= this.#log.flushed) return;
      page.isDirty = false;
      await this.#relations[page.relation]?.write(Buffer.from(page.bytes), 0, pageBytes, page.number * pageBytes);
    });
    this.#writing = mine.catch(() => undefined);
    await mine;
  }

  async #checkpoint(root: string, around: ApplicationSurroundings): Promise<void> {
    const redo = this.#log.end;
    this.#redo = redo;
    const performed = { what: `checkpoint at ${redo}`, syncs: () => [controlPath] };
    await perform(around, this.witness, this.witness.writers.at(-1)!, performed, async () => {
      for (const page of this.#pages) {
        // Every change before the position, also of a page that had been changed again when its turn came.
        while (page.isDirty) await this.#writePage(page);
      }
      await this.#writing;
      for (const [relation, file] of this.#relations.entries()) {
        const { moment } = logSyncBegins(around.witness);
        await file.sync();
        this.witness.syncs.push({ path: relationPath(relation), moment, at: around.position() });
      }
      await this.#log.flush(this.#log.end);
      const control = await open(join(root, controlPath), 'r+');
      try {
        await control.write(encodeControl(redo), 0, pageBytes, 0);
        await control.sync();
      } finally {
        await control.close();
      }
      await this.#log.recycle(redo);
    });
  }
}
