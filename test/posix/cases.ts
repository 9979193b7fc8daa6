/**
 * Runs the table of POSIX cases (cases-*.c) on bare directories and on mounts. A case that the bare directory passes must pass on
 * the mount; on the bare directory every case must pass, so that the cases prove themselves.
 */
import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { compile } from '../support/compile.js';
import { withMount } from '../support/mount.js';
import type { MountOptions } from '../support/mount.js';
import { makePlace, removePlace } from '../support/places.js';
import { run } from '../support/processes.js';

/** What became of each case, by name: "ok", "skip: why" or "not ok: where: what". */
export type Outcomes = ReadonlyMap<string, string>;

/** What a mount cannot do. */
export interface Lacks {
  /** Cases that do not pass, by name, and why. That they do not is tested, too. */
  readonly fails?: ReadonlyMap<string, string>;
  readonly notTried?: readonly string[];
}

const parts = ['harness', ...['file', 'open', 'name', 'rename', 'attribute', 'owner', 'permission', 'xattr', 'acl', 'space', 'mapping', 'lock', 'directory', 'special'].map((part) => `cases-${part}`)];

export class Cases {
  readonly #program: string;

  private constructor(program: string) {
    this.#program = program;
  }

  /** Compiles them; the program goes when the test file ends. */
  static async compile(): Promise<Cases> {
    const place = makePlace();
    t.teardown(() => removePlace(place));
    const program = join(place, 'posix');
    await compile(parts.map((part) => `test/posix/${part}.c`), program);
    return new Cases(program);
  }

  /** A test in which every case must pass on the bare directory; gives the outcomes. */
  async passOnBareDirectory(who: string, uid?: number): Promise<Outcomes> {
    let outcomes: Outcomes = new Map();
    await t.test(`every case passes on the bare directory, as ${who}`, async (t) => {
      const place = makePlace();
      t.teardown(() => removePlace(place));
      outcomes = await this.#run(makeWorkDirectory(place, uid), uid);
      for (const [name, outcome] of outcomes) t.notMatch(outcome, /^not ok/, name);
    });
    return outcomes;
  }

  /** A test in which what passed on the bare directory must pass on a mount, as the user `uid` (default: who mounts), but for what that lacks. */
  async passOnMount(what: string, bare: Outcomes, options: MountOptions, uid = options.uid, lacks: Lacks = {}): Promise<void> {
    await t.test(`what passes on the bare directory passes on ${what}`, async (t) => {
      const prepare = (directory: string): void => void makeWorkDirectory(directory, uid);
      await withMount(t, { ...options, prepare }, async (mount) => {
        const outcomes = await this.#run(mount.path('work'), uid, lacks.notTried);
        for (const [name, expected] of bare) {
          if (expected !== 'ok' || lacks.notTried?.includes(name) === true) continue;
          const why = lacks.fails?.get(name);
          if (why === undefined) t.equal(outcomes.get(name), 'ok', name);
          else t.not(outcomes.get(name), 'ok', `${name}: ${why}`);
        }
      });
    });
  }

  async #run(directory: string, uid: number | undefined, without: readonly string[] = []): Promise<Outcomes> {
    const environment = { POSIX_WITHOUT: without.map((name) => `${name}\n`).join('') };
    const outcome = await run(this.#program, [directory], { limitMs: 300_000, environment, ...(uid === undefined ? {} : { uid }) });
    const outcomes = new Map<string, string>();
    for (const line of outcome.stdout.split('\n')) {
      const parsed = /^(ok|not ok|skip) ([^:]+)(?:: (.*))?$/.exec(line);
      if (parsed !== null) outcomes.set(parsed[2] ?? '', parsed[3] === undefined ? parsed[1] ?? '' : `${parsed[1]}: ${parsed[3]}`);
    }
    if (outcomes.size < 50) throw new Error(`only ${outcomes.size} cases ran: ${outcome.stderr}`);
    return outcomes;
  }
}

/** A directory in which the user may work. Made before the mount, which another user's might keep us out of. */
function makeWorkDirectory(directory: string, uid: number | undefined): string {
  const work = join(directory, 'work');
  mkdirSync(work);
  chmodSync(work, 0o755);
  if (uid !== undefined) chownSync(work, uid, uid);
  return work;
}
