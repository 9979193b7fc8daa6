/**
 * Editors save in two ways: into the file, or into a new one that then replaces it. Either way every saved text can be read again
 * by `log`, `cat --at` and below `.snapshots`, and the log follows the name.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import t from 'tap';
import type { Test } from 'tap';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { unlessInstalled } from '../support/needs.js';
import { runWell } from '../support/processes.js';

t.setTimeout(120_000);

const texts = ['first\n', 'second, longer\n', 'third\n'];

/** Every text must be the content of some version of the file. */
async function findsAll(t: Test, mount: Mount, path: string): Promise<void> {
  const txids = (await mount.json('log', path)).map(({ txid }) => String(txid));
  const seen = new Set<string>();
  for (const txid of txids) {
    const shown = await mount.cli('cat', path, '--at', `txn-${txid}`);
    if (shown.status !== 0) continue; // At that moment the name was absent: between the two renames of a save.
    seen.add(shown.stdout);
    t.equal(readFileSync(path.replace(mount.mountpoint, mount.path('.snapshots', `@txn-${txid}`)), 'utf8'), shown.stdout, `.snapshots and cat agree on ${txid}`);
  }
  for (const text of texts) t.ok(seen.has(text), JSON.stringify(text));
}

for (const backupcopy of ['yes', 'no']) {
  void t.test(`vim saves with backupcopy=${backupcopy}`, { skip: await unlessInstalled('vim') }, async (t) => {
    await withMount(t, {}, async (mount) => {
      const path = mount.path('letter.txt');
      for (const text of texts) {
        const commands = [`set backupcopy=${backupcopy} nobackup writebackup`, '%delete _', `call setline(1, ${JSON.stringify(text.trim())})`, 'write', 'quit'];
        await runWell('vim', ['-u', 'NONE', '-es', ...commands.flatMap((command) => ['-c', command]), path], { environment: { TERM: 'dumb', HOME: mount.place } });
        t.equal(readFileSync(path, 'utf8'), text);
      }
      await findsAll(t, mount, path);
    });
  });
}

void t.test('an atomic save: write beside, then rename over', async (t) => {
  await withMount(t, {}, async (mount) => {
    const path = mount.path('settings.json');
    for (const text of texts) {
      writeFileSync(`${path}.tmp`, text);
      renameSync(`${path}.tmp`, path);
      t.equal(readFileSync(path, 'utf8'), text);
    }
    await findsAll(t, mount, path);
  });
});
