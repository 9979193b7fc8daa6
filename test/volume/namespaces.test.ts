/**
 * Unmounting what another mount namespace has a copy of, as those of containers do that were started meanwhile: an idle copy is no hindrance, a used one is said.
 */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { withMount } from '../support/mount.js';
import { isRoot } from '../support/places.js';
import { start } from '../support/processes.js';

t.setTimeout(60_000);
const skip = isRoot ? false : 'needs root: it makes mount namespaces';

/** A process in a mount namespace of its own, which sees nothing of what is unmounted here. It ends when its input does. */
async function elsewhere(script: string, ...words: string[]): Promise<() => Promise<void>> {
  const child = start('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', `${script}; echo ready; read -r _`, 'sh', ...words]);
  await once(child.stdout!, 'data');
  return async () => {
    const ended = once(child, 'exit');
    child.stdin?.end();
    await ended;
  };
}

void t.test('a copy that nobody uses goes with the mount', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    writeFileSync(mount.path('file'), 'text');
    const end = await elsewhere(':');
    await mount.unmount();
    t.equal(readFileSync(mount.path('file'), 'utf8'), 'text', 'the directory is bare again');
    await mount.mount();
    t.match(await mount.cliWell('verify', mount.mountpoint), /all is well/);
    await end();
  });
});

void t.test('a copy in which a file is open keeps the daemon, which ends with it', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    writeFileSync(mount.path('file'), 'text');
    const end = await elsewhere('exec 3<"$1"', mount.path('file'));
    const refused = await mount.cli('unmount', mount.mountpoint);
    t.equal(refused.status, 1);
    t.match(refused.stderr, /is unmounted here, but in use in another mount namespace: sh \(pid \d+\) has .*file open; end that, and say it again/);
    await end();
    // With the namespace the last mount has gone.
    await mount.died();
    await mount.mount();
    t.equal(readFileSync(mount.path('file'), 'utf8'), 'text');
  });
});
