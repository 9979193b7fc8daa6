/**
 * The daemon's desk for its pair: starts the node that the store knows of, does what `tidemark pair …` asks, tells how it stands. In: requests. Out: what the commands print.
 *
 * Invariants:
 * 1. A volume without a pair costs nothing: no port, no timer.
 */
import { hostname, networkInterfaces } from 'node:os';
import type { Logger } from 'pino';
import { VolumeError, messageOf } from '../../engine/index.js';
import type { PairReading } from '../../engine/alarm-rules.js';
import type { Volume } from '../../engine/volume.js';
import { hashOf, newNode, newToken } from '../../replica/pair/identity.js';
import { defaultPort, encodeInvitation } from '../../replica/pair/invitation.js';
import { compareWith } from '../../replica/pair/looking.js';
import { PairNode } from '../../replica/pair/node.js';
import type { Address } from '../../replica/pair/state.js';
import { guardFromTheStart } from '../../replica/pair/sync-mode.js';
import type { Surroundings } from '../../replica/pair/surroundings.js';
import { defined } from '../defined.js';
import { complaintsOf } from './complaints.js';
import { mountFlags, setReadOnly } from './read-only.js';
import type { PairAction, PairReply, VerifiedPeer } from './requests.js';
import { standing } from './standing.js';

export interface DeskOptions {
  readonly volume: Volume;
  readonly mountpoint: string;
  readonly logger: Logger;
  /** A receiver runs with this pid. */
  readonly onReceiver: (pid: number) => void;
  /** What there is to complain of may be something else now. */
  readonly onChange: () => void;
}

const invitationMs = 3_600_000;

export class PairDesk {
  readonly #surroundings: Surroundings;
  #node: PairNode | undefined;

  private constructor({ volume, mountpoint, logger, onReceiver, onChange }: DeskOptions) {
    this.#surroundings = {
      volume,
      // The store by its descriptor here; others reach it through this process.
      store: volume.replication.store.replace('/proc/self/', `/proc/${process.pid}/`),
      setReadOnly: (isReadOnly) => setReadOnly(mountpoint, isReadOnly),
      mount: async () => ({ mountpoint, flags: mountFlags(mountpoint) }),
      onReceiver, onChange,
      say: (line) => { logger.warn(line); },
    };
  }

  /** With the node that the store knows of, begun. Throws VolumeError. */
  static async open(options: DeskOptions): Promise<PairDesk> {
    const desk = new PairDesk(options);
    desk.#node = await PairNode.open(desk.#surroundings);
    return desk;
  }

  /** Before the mount: what has to hold for its first request. */
  static prepare({ native, replication }: Volume): void {
    guardFromTheStart(native, replication.directory);
  }

  /** Runs `unmount` while nothing of ours uses the mount. */
  async around(unmount: () => Promise<void>): Promise<void> {
    await this.#node?.letGo();
    try {
      await unmount();
    } catch (error) {
      this.#node?.goOn();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#node?.close();
  }

  /** What the alarms are to tell. */
  reading(): PairReading {
    return { complaints: this.#node === undefined ? [] : complaintsOf(this.#node, Date.now()) };
  }

  /** Throws VolumeError with the remedy. */
  async act(action: PairAction): Promise<PairReply> {
    switch (action.do) {
      case 'invite': return { line: await this.#invite(action) };
      case 'verify': return { verified: await this.#verify(action.moments) };
      case 'promote': await this.#known().promote(action.way, action.at === undefined ? undefined : this.#surroundings.volume.parseMoment(action.at)); break;
      case 'pause': this.#known().pause(true); break;
      case 'resume': this.#known().pause(false); break;
      case 'rotate': await this.#known().rotate(); break;
      case 'forget': this.#known().forget(action.peer); break;
      case 'leave':
        await this.#known().leave();
        this.#node = undefined;
        break;
      case 'set': {
        const { do: _, ...settings } = action;
        this.#known().change(defined(settings));
        // A receiver has its orders from when it began.
        if (settings.readDelayMs !== undefined) {
          await this.#known().letGo();
          this.#known().goOn();
        }
        break;
      }
      case 'status': break;
      default: throw new VolumeError('EINVAL', 'the daemon does not know that; it is of another version');
    }
    return this.#node === undefined ? {} : { standing: await standing(this.#node) };
  }

  async #invite({ listen, address }: { readonly listen?: Address | undefined; readonly address?: Address | undefined }): Promise<string> {
    const node = this.#node ??= await PairNode.make(this.#surroundings, newNode(), hostname());
    if (node.state.role !== 'primary') throw new VolumeError('EINVAL', 'this node is a standby; invite on its primary');
    const { host, port } = await node.listening.at(listen ?? node.state.listen ?? { host: '127.0.0.1', port: defaultPort });
    const told = address ?? (listen === undefined ? node.state.address : undefined) ?? { host: isEverywhere(host) ? firstAddress() : host, port };
    const token = newToken();
    const now = Date.now();
    const invitations = [...node.state.invitations.filter(({ untilMs }) => untilMs > now), { tokenHash: hashOf(token), untilMs: now + invitationMs }];
    node.change({ invitations, address: told });
    return encodeInvitation({ address: told, volume: node.source.volume, token, fingerprint: node.identity.fingerprint });
  }

  async #verify(moments: number): Promise<VerifiedPeer[]> {
    const node = this.#known();
    const { role, peers, primary } = node.state;
    return Promise.all(peers.filter((peer) => role === 'primary' || peer.node === primary).map(async (peer) => {
      try {
        const { moments: compared, ...found } = await compareWith(node, peer, moments);
        return { node: peer.node, name: peer.name, ...found, moments: compared.map(String) };
      } catch (error) {
        return { node: peer.node, name: peer.name, why: messageOf(error) };
      }
    }));
  }

  #known(): PairNode {
    if (this.#node === undefined) throw new VolumeError('ENOENT', 'this volume has no pair; "tidemark pair invite DIR" begins one');
    return this.#node;
  }
}

function isEverywhere(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

function firstAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find(({ internal, family }) => !internal && family === 'IPv4')?.address ?? '127.0.0.1';
}
