/**
 * The two passthrough filesystems among libfuse's examples: what a mount in user space can be at its best without any history.
 * `passthrough_ll` with the kernel's writeback cache, and everything cached; `passthrough_hp` as it is, with reads and writes going
 * to the disk's own file inside the kernel where the kernel permits that.
 *
 * Invariants:
 * 1. Other users may work in the mount when root runs the benchmark (PostgreSQL does).
 * 2. Both make files as the user they run as, whoever asked. Where one user does the work, they run as that user, with the
 *    capabilities of root that they need: else PostgreSQL could not open again what it made.
 */
import type { Account } from '../command.js';
import { fusePeer } from './fuse-peer.js';
import { build, programPath, version } from './libfuse.js';

/** What root has and they use: other users' files, devices, and sys_admin for mounting and for passthrough in the kernel. */
const capabilities = ['chown', 'dac_override', 'fowner', 'fsetid', 'mknod', 'sys_admin'].map((name) => `+${name}`).join(',');

export const passthroughLl = fusePeer({
  name: 'passthrough_ll',
  describe: async () => `passthrough_ll, an example of libfuse ${await version()}, -o writeback,cache=always`,
  unavailable,
  command: (directory, path, account) =>
    [...as(account), programPath('passthrough_ll'), '-f', '-o', [`source=${directory}`, 'writeback', 'cache=always', ...others()].join(','), path],
});

export const passthroughHp = fusePeer({
  name: 'passthrough_hp',
  describe: async () => `passthrough_hp, an example of libfuse ${await version()}, default options`,
  unavailable,
  command: (directory, path, account) =>
    [...as(account), programPath('passthrough_hp'), '--foreground', ...others().flatMap((option) => ['-o', option]), directory, path],
});

function unavailable(scratch: string): Promise<string | undefined> {
  const told = (error: unknown): string => `it cannot be built: ${error instanceof Error ? error.message : String(error)}`;
  return build(scratch).then(() => undefined, told);
}

function others(): string[] {
  return process.getuid?.() === 0 ? ['allow_other'] : [];
}

function as({ uid, gid }: Account): [] | [string, ...string[]] {
  if (uid === undefined || gid === undefined) return [];
  return [
    'setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', `--inh-caps=${capabilities}`, `--ambient-caps=${capabilities}`,
  ];
}
