/**
 * A damaged store: a torn log tail, a flipped bit, a missing or broken index, a newer format. Each repairs itself and says so, or
 * is refused with one line; nothing else in the volume suffers.
 */
import { closeSync, copyFileSync, openSync, readFileSync, readSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { isRefusal } from '../support/refusal.js';

t.setTimeout(300_000);
// Each has a volume of its own.
t.jobs = 2;

/** Versions of a file and what the past of each shows. */
async function makeHistory(mount: Mount): Promise<readonly { readonly txid: string; readonly text: string }[]> {
  const history = [];
  for (let version = 0; version < 8; version += 1) {
    const text = `version ${version}\n`.repeat(1000 + version);
    writeFileSync(mount.path('file'), text);
    writeFileSync(mount.path(`other-${version}`), text);
    history.push({ txid: String((await mount.json('log', mount.path('file'), '--limit', '1'))[0]?.['txid']), text });
  }
  return history;
}

function shows(mount: Mount, txid: string): string {
  return readFileSync(mount.path('.snapshots', `@txn-${txid}`, 'file'), 'utf8');
}

function store(mount: Mount, ...names: string[]): string {
  return join(mount.directory, '.tidemark', ...names);
}

function lastSegment(mount: Mount): string {
  return store(mount, 'log', readdirSync(store(mount, 'log')).sort().at(-1) ?? '');
}

void t.test('a missing index is built again', async (t) => {
  await withMount(t, {}, async (mount) => {
    const history = await makeHistory(mount);
    await mount.unmount();
    rmSync(store(mount, 'index'), { recursive: true });
    await mount.mount();
    for (const { txid, text } of history) t.equal(shows(mount, txid), text, `transaction ${txid}`);
    await mount.cliWell('verify', mount.directory);
  });
});

void t.test('a broken index is built again', async (t) => {
  await withMount(t, {}, async (mount) => {
    const history = await makeHistory(mount);
    await mount.unmount();
    for (const name of readdirSync(store(mount, 'index'))) {
      const path = store(mount, 'index', name);
      writeFileSync(path, Buffer.alloc(Math.max(8192, statSync(path).size), 0x5a));
    }
    await mount.mount();
    for (const { txid, text } of history) t.equal(shows(mount, txid), text, `transaction ${txid}`);
    await mount.cliWell('verify', mount.directory);
  });
});

void t.test('an old index beside a newer log catches up', async (t) => {
  await withMount(t, {}, async (mount) => {
    writeFileSync(mount.path('file'), 'old');
    await mount.unmount();
    const names = readdirSync(store(mount, 'index'));
    for (const name of names) copyFileSync(store(mount, 'index', name), join(mount.place, name));
    await mount.mount();
    const history = await makeHistory(mount);
    await mount.unmount();
    for (const name of names) copyFileSync(join(mount.place, name), store(mount, 'index', name));
    await mount.mount();
    for (const { txid, text } of history) t.equal(shows(mount, txid), text, `transaction ${txid}`);
    await mount.cliWell('verify', mount.directory);
  });
});

void t.test('verify --rebuild-index builds the index from the log', async (t) => {
  await withMount(t, {}, async (mount) => {
    const history = await makeHistory(mount);
    await mount.unmount();
    await mount.cliWell('verify', mount.directory, '--rebuild-index');
    await mount.mount();
    for (const { txid, text } of history) t.equal(shows(mount, txid), text, `transaction ${txid}`);
  });
});

void t.test('a torn tail of the log is cut off', async (t) => {
  await withMount(t, {}, async (mount) => {
    const history = await makeHistory(mount);
    await mount.kill9();
    await mount.cli('unmount', mount.directory);
    const size = statSync(lastSegment(mount)).size;
    truncateSync(lastSegment(mount), size + 100);
    const segment = openSync(lastSegment(mount), 'r+');
    writeSync(segment, Buffer.alloc(60, 0xa5), 0, 60, usedBytes(lastSegment(mount)));
    closeSync(segment);
    await mount.mount();
    for (const { txid, text } of history) t.equal(shows(mount, txid), text, `transaction ${txid}`);
    await mount.cliWell('verify', mount.directory);
    writeFileSync(mount.path('file'), 'goes on');
    t.equal(shows(mount, history.at(-1)?.txid ?? ''), history.at(-1)?.text);
  });
});

void t.test('a flipped bit is found by verify, and the rest stays readable', async (t) => {
  await withMount(t, {}, async (mount) => {
    const history = await makeHistory(mount);
    await mount.unmount();
    const at = Buffer.from(readFileSync(lastSegment(mount))).indexOf('version 3\n'.repeat(10));
    t.ok(at > 0, 'the pre-image of version 3 lies in the log');
    const segment = openSync(lastSegment(mount), 'r+');
    const byte = Buffer.alloc(1);
    readSync(segment, byte, 0, 1, at);
    writeSync(segment, Buffer.of((byte[0] ?? 0) ^ 0x10), 0, 1, at);
    closeSync(segment);
    await mount.mount();
    const verified = await mount.cli('verify', mount.directory, '--json');
    t.equal(verified.status, 1);
    t.match(verified.stdout, /faults/);
    for (const { txid, text } of history.filter((_, version) => version !== 3)) t.equal(shows(mount, txid), text, `transaction ${txid}`);
    t.not(readPastWrong(mount, history[3]?.txid ?? '', history[3]?.text ?? ''), 'silently wrong');
    t.equal(readFileSync(mount.path('file'), 'utf8'), history.at(-1)?.text, 'the live file');
  });
});

/** "right", an errno, or "silently wrong". */
function readPastWrong(mount: Mount, txid: string, text: string): string {
  try {
    return shows(mount, txid) === text ? 'right' : 'silently wrong';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'error';
  }
}

void t.test('a store of a newer format is refused and left alone', async (t) => {
  await withMount(t, {}, async (mount) => {
    await mount.unmount();
    const path = store(mount, 'volume.json');
    const newer = JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), format: 2 });
    writeFileSync(path, newer);
    isRefusal(t, await mount.tryMount(), /newer|format|upgrade/i);
    t.equal(readFileSync(path, 'utf8'), newer);
  });
});

/** Where the records of a segment end: the last byte that is not zero, to the next multiple of 8. */
function usedBytes(segment: string): number {
  const bytes = readFileSync(segment);
  let end = bytes.length;
  while (end > 64 && bytes[end - 1] === 0) end -= 1;
  return Math.ceil(end / 8) * 8;
}
