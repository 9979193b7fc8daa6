/** chown(-1, -1) takes setuid and setgid from a program, as on any file system, with the writeback cache and without it. */
import { chmodSync, chownSync, statSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { withMount } from '../support/mount.js';

t.setTimeout(60_000);

for (const options of [[], ['--every-write']]) {
  void t.test(`chown(-1, -1) ${options.join(' ')}`, async (t) => {
    await withMount(t, { arguments: options }, async (mount) => {
      writeFileSync(mount.path('program'), 'x');
      chmodSync(mount.path('program'), 0o6755);
      t.equal(statSync(mount.path('program')).mode & 0o7777, 0o6755);
      chownSync(mount.path('program'), -1, -1);
      t.equal(statSync(mount.path('program')).mode & 0o7777, 0o755);
    });
  });
}
