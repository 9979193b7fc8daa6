/**
 * Undoing one of two actors, on histories made by chance over a small alphabet of names, blocks and modes: where the planner finds no conflict, the tree must be what the
 * other's changes alone make of it. The changes and the undo go through the engine with a tree in memory; the other's alone are made again in a plain copy.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { decodeAttributes, directoryType } from '../../engine/attributes.js';
import { txid as toTxid } from '../../engine/ids.js';
import { nameOperation } from '../../engine/log-bodies.js';
import type { UndoProposal } from '../../engine/recovery-bin.js';
import type { FileId } from '../../engine/types.js';
import { Volume } from '../../engine/volume.js';
import { MemoryNative } from '../support/memory-native.js';
import type { MemoryInode } from '../support/memory-tree.js';
import { makePlace, removePlace } from '../support/places.js';
import { chooseSeed, Random } from '../support/seed.js';
import { describe, mine, Round } from './undo-model.js';
import type { Plain } from './undo-model.js';

const rounds = 250;

/** Does what a plan says in the tree in memory. */
class Act {
  constructor(readonly native: MemoryNative, readonly volume: Volume) {}

  async all(steps: UndoProposal['steps']): Promise<void> {
    for (const step of steps) await this.#one(step);
  }

  async #one(step: UndoProposal['steps'][number]): Promise<void> {
    const { native } = this;
    if (step.kind === 'recreate') return this.#recreate(step);
    const [directory, name, inode] = this.#at(step.path);
    switch (step.kind) {
      case 'rename': {
        const [to, toName] = this.#at(step.to);
        return native.rename(directory, name, to, toName);
      }
      case 'link': {
        const [to, toName, replaced] = this.#at(step.to);
        if (replaced !== undefined) native.unlink(to, toName);
        return native.link(to, toName, inode!);
      }
      case 'remove': return native.unlink(directory, name);
      case 'size': return native.truncate(inode!, step.size);
      case 'bytes': return native.write(inode!, step.start, await this.volume.read(toTxid(step.snapshot), step.file, BigInt(step.start), step.end - step.start));
      case 'mode': return native.change(inode!, Number(step.value), inode!.uid);
      case 'xattr': {
        const then = (await this.volume.xattrs(toTxid(step.snapshot), step.file)).find((xattr) => xattr.name.toString() === step.name);
        return native.setXattr(inode!, step.name, then?.value);
      }
      default:
    }
  }

  async #recreate(step: Extract<UndoProposal['steps'][number], { kind: 'recreate' }>): Promise<void> {
    const [directory, name, replaced] = this.#at(step.path);
    const [snapshot, { native, volume }] = [toTxid(step.snapshot), this];
    const { mode, size } = decodeAttributes(await volume.attributes(snapshot, step.file));
    if (replaced !== undefined) native.unlink(directory, name);
    const made = native.create(directory, name, mode, step.type === directoryType ? nameOperation.mkdir : nameOperation.create);
    if (step.type === directoryType) return;
    if (size > 0n) native.write(made, 0, await volume.read(snapshot, step.file, 0n, Number(size)));
    for (const xattr of await volume.xattrs(snapshot, step.file)) native.setXattr(made, xattr.name.toString(), xattr.value);
  }

  #at(path: string): [MemoryInode, string, MemoryInode | undefined] {
    const names = path.slice(1).split('/');
    const name = names.pop()!;
    let directory = this.native.tree.root;
    for (const each of names) directory = this.native.tree.get(directory.names.get(each)!);
    const file = directory.names.get(name);
    return [directory, name, file === undefined ? undefined : this.native.tree.get(file)];
  }
}

void t.test('undoing one of two leaves what the other alone would have made, wherever there is no conflict', async (t) => {
  const seed = chooseSeed();
  const random = new Random(seed);
  const place = makePlace();
  mkdirSync(join(place, '.tidemark', 'log'), { recursive: true });
  const native = new MemoryNative(join(place, '.tidemark', 'log'), random, BigInt(Date.now() + 86_400_000) * 1_000_000n);
  const volume = await Volume.open(place, { addon: native.addon(), nowNs: () => native.timeNs + 1n });
  t.teardown(async () => {
    await volume.close();
    removePlace(place);
  });
  let [undone, refused] = [0, 0];
  for (let count = 0; count < rounds; count++) {
    const round = new Round(native, random, `r${count}`);
    const { txid: after } = await volume.settled();
    for (let steps = 2 + random.below(10); steps > 0;) if (round.step()) steps--;
    const { txid: upTo } = await volume.settled();
    const { steps, conflicts } = await volume.bin.proposeUndo({ directory: round.top.file, after: Number(after), upTo: Number(upTo), by: { uid: mine.uid } });
    if (conflicts.length > 0) {
      refused++;
      continue;
    }
    native.actor = { uid: 0, gid: 0, pid: 103, command: 'undo' };
    await new Act(native, volume).all(steps);
    native.barrier('name');
    const [is, wanted] = [describe(round.top, (child) => native.tree.get(child as FileId)), describe(round.plain, (child) => child as Plain)];
    const isSame = t.strictSame(is, wanted, `round ${count}, TIDEMARK_SEED=${seed}`, { done: round.told, steps: steps.map(({ kind, path }) => `${kind} ${path}`) });
    if (!isSame) break;
    if (steps.length > 0) undone++;
  }
  t.ok(undone >= rounds / 10 && refused > 0, `${undone} undone, ${refused} refused, TIDEMARK_SEED=${seed}`);
});
