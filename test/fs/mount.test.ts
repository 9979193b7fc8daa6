/** mountVolume puts the driver, the volume and the answers together. The addon's side is played here; real mounts are in real-mount.test.ts. */
import { setImmediate } from 'node:timers/promises';
import t from 'tap';
import type { MountOptions, NativeVolume, Session } from '../../native/types.js';
import type { MountableVolume, MountVolumeOptions } from '../../fs/index.js';
import { UnknownDriverError, mountVolume } from '../../fs/index.js';
import { MemoryVolume, rootId } from './memory-volume.js';
import { sevenNs } from './setup.js';

const options: MountVolumeOptions = {
  mountpoint: '/nowhere', driver: 'native', writeback: true, intervalMs: 1000, keepAwake: true, snapshotsVisible: false,
  snapshotAccess: 'then-and-now', allowOther: true, source: 'tidemark', log: () => undefined,
};

interface Played {
  readonly volume: MountableVolume;
  readonly calls: string[];
  given: MountOptions | undefined;
}

/** A volume whose addon mounts nothing: it notes what it is told, and asks one question before the mount is there. */
function play(fault?: Error): Played {
  const calls: string[] = [];
  const memory = new MemoryVolume();
  memory.commit(sevenNs);
  const session: Partial<Session> = {
    replyNode: (id, reply) => void calls.push(`node ${id} ${reply.node}`),
    replyError: (id, code) => void calls.push(`error ${id} ${code}`),
    invalidateSnapshots: () => void calls.push('invalidate'),
    state: () => ({ protocol: '7.45', features: ['writeback'], isKept: false, knownInodes: 1, openHandles: 0, operations: [] }),
    // The kernel ends the connection before the call returns.
    unmount: async () => {
      played.given?.onEnd('unmounted');
      await setImmediate();
      calls.push('unmount');
    },
  };
  const played: Played = { volume: Object.assign(memory, { native: {} as NativeVolume }), calls, given: undefined };
  const native: Partial<NativeVolume> = {
    logState: () => memory.logState(),
    mount: async (given) => {
      if (fault !== undefined) throw fault;
      played.given = given;
      given.onSnapshotRequest({ op: 'root', id: 5, directory: rootId, caller: { uid: 0, gid: 0, pid: 1 } });
      return session as Session;
    },
  };
  Object.assign(played.volume.native, native);
  return played;
}

t.test('an unknown driver is refused with one line that names the known ones', async (t) => {
  const { volume } = play();
  const refusal = await mountVolume(volume, { ...options, driver: 'winfsp' }).catch((error: unknown) => error);
  t.ok(refusal instanceof UnknownDriverError);
  t.match(refusal, { code: 'EUNKNOWNDRIVER', message: /^unknown driver "winfsp": this version has "native", "fuse-native"$/ });
});

t.test('the driver gets what was asked for, and requests before the mount is there are answered after', async (t) => {
  const played = play();
  const mounted = await mountVolume(played.volume, options);
  t.match(played.given, { mountpoint: '/nowhere', source: 'tidemark', writeback: true, intervalMs: 1000, keepAwake: true, snapshotsVisible: false, allowOther: true });
  t.same(played.calls, ['node 5 1']);
  t.equal(mounted.state().protocol, '7.45');
  played.given?.onAccessChanged();
  mounted.invalidateSnapshots();
  await mounted.unmount();
  t.same(played.calls, ['node 5 1', 'invalidate', 'invalidate', 'unmount']);
});

t.test('ended tells why, once, whoever ended the mount', async (t) => {
  const played = play();
  const mounted = await mountVolume(played.volume, options);
  played.given?.onEnd('unmounted by root');
  played.given?.onEnd('again');
  t.equal(await mounted.ended, 'unmounted by root');
});

t.test('ended waits for an unmount under way', async (t) => {
  const played = play();
  const mounted = await mountVolume(played.volume, options);
  void mounted.unmount();
  t.equal(await mounted.ended, 'unmounted');
  t.ok(played.calls.includes('unmount'));
});

t.test('what the driver says when it cannot mount reaches the caller', async (t) => {
  const { volume } = play(Object.assign(new Error('no /dev/fuse'), { code: 'ENODEV' }));
  await t.rejects(mountVolume(volume, options), { code: 'ENODEV' });
});
