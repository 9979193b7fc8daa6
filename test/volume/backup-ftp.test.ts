/** Backups of a mounted volume to FTP servers, by the command line: each of Debian's, and each thing that goes wrong with servers. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { makeLoopDisk } from '../support/loop-disk.js';
import { FtpServer, unlessFtpServers } from '../support/ftp-server.js';
import type { ServerKind, ServerOptions } from '../support/ftp-server.js';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { runWell, until } from '../support/processes.js';
import { isRefusal } from '../support/refusal.js';

t.setTimeout(180_000);

const skip = await unlessFtpServers();

async function contents(directory: string): Promise<string> {
  return runWell('sh', ['-c', 'cd "$1" && find . -type f -printf "%P %T@\\n" | sed "s/[.][0-9]*$//" | LC_ALL=C sort && find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum', 'sh', directory]);
}

/** A mount, a server, and the backup "f" from the one to the other. */
async function withServer(t: Test, kind: ServerKind, options: ServerOptions, more: readonly string[], body: (mount: Mount, server: FtpServer) => Promise<void>): Promise<void> {
  await withMount(t, { environment: { TIDEMARK_FTP_TIMEOUT_MS: '20000' } }, async (mount) => {
    const server = await FtpServer.start(kind, join(mount.place, 'server'), options);
    try {
      await mount.cliWell('backup', 'add', mount.directory, ...server.arguments, '--name', 'f', ...more);
      await body(mount, server);
    } finally {
      await server.stop();
    }
  });
}

const servers: readonly (readonly [kind: ServerKind, options: ServerOptions])[] = [
  ['pure-ftpd', {}],
  ['vsftpd', { security: 'implicit', more: ['cmds_denied=APPE'] }],
  ['proftpd', { more: ['FactsAdvertise off', '<Limit MLSD MLST MFMT>', 'DenyAll', '</Limit>'] }],
];

for (const [kind, options] of servers) {
  await t.test(`${kind}: the tree arrives, follows, and comes back`, { skip }, async (t) => {
    await withServer(t, kind, options, [], async (mount, server) => {
      mkdirSync(mount.path('docs/deep'), { recursive: true });
      for (let index = 0; index < 80; index++) writeFileSync(mount.path('docs', `file ${index}`), `${index}\n`.repeat(index));
      writeFileSync(mount.path('docs/deep/odd\nname*?'), 'odd\n');
      await mount.cliWell('backup', 'run', 'f');
      writeFileSync(mount.path('docs/file 1'), 'changed\n');
      rmSync(mount.path('docs/file 2'));
      renameSync(mount.path('docs/deep'), mount.path('moved'));
      await mount.cliWell('backup', 'run', 'f');
      await mount.cliWell('backup', 'verify', 'f');
      t.equal(readFileSync(join(server.storage, 'LastBackup/docs/file 1'), 'utf8'), 'changed\n');
      // This proftpd can set none.
      if (kind !== 'proftpd') t.equal(Math.floor(statSync(join(server.storage, 'LastBackup/docs/file 1')).mtimeMs / 1000), Math.floor(statSync(mount.path('docs/file 1')).mtimeMs / 1000), 'with its time');
      await mount.cliWell('backup', 'restore', 'f', '--to', join(mount.place, 'back'));
      t.equal(await contents(join(mount.place, 'back')), await contents(mount.directory));
      const [address = '', ...access] = server.arguments;
      if (!access.includes('implicit')) {
        await mount.cliWell('backup', 'restore', address, 'moved', '--to', join(mount.place, 'alone'), ...access.filter((word) => word !== '--tls' && word !== 'explicit'));
        t.ok(existsSync(join(mount.place, 'alone/moved/odd\nname*?')), 'from the server alone');
      }
      t.notMatch(mount.daemonLog(), /a-word/, 'the password is in no log');
    });
  });
}

await t.test('a connection that is lost, and a server that drops idle ones, cost nothing', { skip }, async (t) => {
  await withServer(t, 'proftpd', { idleSeconds: 1 }, ['--bandwidth', '6M', '--connections', '1'], async (mount, server) => {
    execFileSync('dd', ['if=/dev/urandom', `of=${mount.path('large')}`, 'bs=1M', 'count=12'], { stdio: 'ignore' });
    const running = mount.cli('backup', 'run', 'f');
    const staged = join(server.storage, 'tidemark-work/staged/large');
    for (const length of [2 << 20, 6 << 20]) {
      await until(() => (statSync(staged, { throwIfNoEntry: false })?.size ?? 0) > length, 'a part to arrive');
      t.ok(await server.cut() > 0, 'connections were cut');
    }
    const { status, stderr } = await running;
    t.equal(status, 0, stderr);
    await mount.cliWell('backup', 'verify', 'f');
  });
});

await t.test('a server that takes one connection gets all over that one', { skip }, async (t) => {
  await withServer(t, 'pure-ftpd', { mostConnections: 1 }, ['--connections', '4'], async (mount) => {
    for (let index = 0; index < 200; index++) writeFileSync(mount.path(`file-${index}`), `${index}`);
    await mount.cliWell('backup', 'run', 'f');
    await mount.cliWell('backup', 'verify', 'f');
  });
});

await t.test('a server that is full says so, the last good backup stays, and the next run goes on', { skip }, async (t) => {
  await withMount(t, {}, async (mount) => {
    const disk = join(mount.place, 'disk');
    mkdirSync(disk);
    await makeLoopDisk('ext4', disk, 16 << 20);
    chmodSync(disk, 0o755);
    const server = await FtpServer.start('vsftpd', join(mount.place, 'server'), { storage: disk });
    try {
      await mount.cliWell('backup', 'add', mount.directory, ...server.arguments, '--name', 'f');
      writeFileSync(mount.path('good'), 'good\n');
      await mount.cliWell('backup', 'run', 'f');
      const before = readFileSync(join(server.storage, 'tidemark-manifest.json'));
      execFileSync('dd', ['if=/dev/urandom', `of=${mount.path('large')}`, 'bs=1M', 'count=30'], { stdio: 'ignore' });
      isRefusal(t, await mount.cli('backup', 'run', 'f'), /no room left.*make room there/);
      t.ok(readFileSync(join(server.storage, 'tidemark-manifest.json')).equals(before));
      t.equal(readFileSync(join(server.storage, 'LastBackup/good'), 'utf8'), 'good\n');
      const [status] = await mount.json('status', mount.directory);
      t.match(status?.['backups'], [{ faults: [/no room left/], interrupted: true }]);
    } finally {
      await server.stop();
    }
  });
});

await t.test('what is wrong with a server is said in one line when it is added', { skip }, async (t) => {
  await withMount(t, { environment: { TIDEMARK_FTP_TIMEOUT_MS: '20000' } }, async (mount) => {
    const secure = await FtpServer.start('pure-ftpd', join(mount.place, 'secure'));
    const clear = await FtpServer.start('proftpd', join(mount.place, 'clear'), { security: 'none' });
    const other = join(mount.place, 'other');
    try {
      const add = async (address: string, ...more: string[]): Promise<void> => isRefusal(t, await mount.cli('backup', 'add', mount.directory, address, '--name', 'f', ...more), says, status);
      let says = /./;
      let status: 1 | 2 = 1;
      const [address = '', ...access] = secure.arguments;
      const wrong = join(mount.place, 'wrong');
      writeFileSync(wrong, 'another\n', { mode: 0o600 });
      says = /refuses the login.*check user and password/;
      await add(address, '--ca', secure.ca, '--password-file', wrong);
      says = /may be read by others; chmod 600/;
      writeFileSync(other, 'a-word\n', { mode: 0o644 });
      await add(address, '--ca', secure.ca, '--password-file', other);
      says = /the certificate of .* is not trusted.*--ca.*--pin/;
      await add(address, '--password-file', secure.passwordFile);
      says = /is not the pinned one: it has the SHA-256 [0-9a-f]{64}/;
      await add(address, '--password-file', secure.passwordFile, '--pin', '0'.repeat(64));
      says = /knows no TLS.*--clear-text/;
      await add(clear.arguments[0]!, '--password-file', clear.passwordFile);
      says = /the host of .* is not known/;
      await add('ftps://keeper@no-such-host.invalid/backup', '--password-file', secure.passwordFile);
      says = /nobody listens at/;
      await add('ftps://keeper@127.0.0.1:1/backup', '--password-file', secure.passwordFile);
      says = /is not there; make the directory on the server/;
      await add(address.replace(/backup$/, 'none'), ...access);
      says = /no line for|there is no .*keyring|with the password/;
      await add(address, '--ca', secure.ca);
      const fingerprint = (await runWell('openssl', ['x509', '-in', join(mount.place, 'secure/server.crt'), '-noout', '-fingerprint', '-sha256'])).split('=')[1]!.trim();
      await mount.cliWell('backup', 'add', mount.directory, address, '--name', 'pinned', '--password-file', secure.passwordFile, '--pin', fingerprint);
      writeFileSync(mount.path('file'), 'x');
      await mount.cliWell('backup', 'run', 'pinned');
      await mount.cliWell('backup', 'add', mount.directory, ...clear.arguments, '--name', 'clear');
      await mount.cliWell('backup', 'run', 'clear');
    } finally {
      await secure.stop();
      await clear.stop();
    }
  });
});
