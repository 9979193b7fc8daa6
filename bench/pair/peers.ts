/**
 * What else keeps a directory like another: lsyncd with rsync, and Syncthing, both on the loopback, told to wait as little as they let themselves be told. In: two directories and a place for
 * their settings. Out: a follower, to be stopped.
 *
 * Invariants:
 * 1. Nothing of them runs after `stop`.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { ChildProcess } from 'node:child_process';
import { answers, freePort } from '../../test/support/ports.js';
import { ended, execute, pause, startService } from '../command.js';

export interface Follower {
  stop(): Promise<void>;
}

export interface Between {
  readonly from: string;
  readonly to: string;
  /** For settings; made here. */
  readonly place: string;
}

export async function isInstalled(program: string): Promise<boolean> {
  return execute('sh', ['-c', `command -v ${program}`]).then(() => true, () => false);
}

/** An rsync daemon that takes what is sent to `rsync://127.0.0.1:PORT/standby/`. */
export async function startRsyncDaemon(directory: string, place: string): Promise<Follower & { readonly address: string }> {
  mkdirSync(place, { recursive: true });
  const port = await freePort();
  const settings = [`port = ${port}`, 'address = 127.0.0.1', 'use chroot = no', 'uid = 0', 'gid = 0', '[standby]', `path = ${directory}`, 'read only = no', ''];
  writeFileSync(`${place}/rsyncd.conf`, settings.join('\n'));
  // Its standard input may be no socket, as Node's pipes are: it would take that for a client.
  const { child } = startService('sh', ['-c', 'exec rsync --daemon --no-detach --config="$1" --log-file="$2" </dev/null', 'sh', `${place}/rsyncd.conf`, `${place}/rsyncd.log`]);
  while (!(await answers(port))) await pause(20);
  return { address: `rsync://127.0.0.1:${port}/standby/`, stop: () => stop([child]) };
}

/** Starts a second after a change (less cannot be told), and carries over what has gathered by then. */
export async function startLsyncd({ from, to, place }: Between): Promise<Follower> {
  const server = await startRsyncDaemon(to, place);
  writeFileSync(`${place}/lsyncd.conf`, `settings { nodaemon = true, logfile = "${place}/lsyncd.log", statusFile = "${place}/lsyncd.status" }\n`
    + `sync { default.rsync, source = "${from}", target = "${server.address}", delay = 1, rsync = { archive = true, whole_file = true } }\n`);
  const { child } = startService('lsyncd', [`${place}/lsyncd.conf`]);
  // It begins with a copy of the whole.
  await pause(3_000);
  return { stop: () => stop([child]).finally(() => server.stop()) };
}

interface Node {
  readonly home: string;
  readonly gui: number;
  readonly listen: number;
  readonly child: ChildProcess;
  readonly id: string;
}

/** Two of it, which know each other alone; the first watches its directory and waits a second. */
export async function startSyncthing({ from, to, place }: Between): Promise<Follower> {
  const nodes: Node[] = [];
  const halt = (): Promise<void> => stop(nodes.map(({ child }) => child));
  try {
    for (const name of ['a', 'b']) nodes.push(await startNode(`${place}/${name}`));
    for (const [index, node] of nodes.entries()) {
      const other = nodes[1 - index]!;
      await ask(node, 'PATCH', 'options', { listenAddresses: [`tcp://127.0.0.1:${node.listen}`], globalAnnounceEnabled: false, localAnnounceEnabled: false, relaysEnabled: false, natEnabled: false, crashReportingEnabled: false, urAccepted: -1 });
      await ask(node, 'POST', 'devices', { deviceID: other.id, addresses: [`tcp://127.0.0.1:${other.listen}`] });
      await ask(node, 'POST', 'folders', { id: 'standby', path: index === 0 ? from : to, devices: [{ deviceID: node.id }, { deviceID: other.id }], type: index === 0 ? 'sendonly' : 'receiveonly', fsWatcherEnabled: index === 0, fsWatcherDelayS: 1 });
    }
    await pause(5_000);
    return { stop: halt };
  } catch (error) {
    await halt();
    throw error;
  }
}

async function startNode(home: string): Promise<Node> {
  mkdirSync(home, { recursive: true });
  await execute('syncthing', ['generate', `--home=${home}`, '--no-default-folder', '--skip-port-probing']);
  const [gui, listen] = [await freePort(), await freePort()];
  const { child, errors } = startService('syncthing', ['serve', `--home=${home}`, '--no-browser', '--no-restart', '--no-upgrade', `--gui-address=127.0.0.1:${gui}`]);
  for (let waitedMs = 0; !(await answers(gui)); waitedMs += 50) {
    if (waitedMs > 30_000) throw new Error(`Syncthing does not answer: ${errors()}`);
    await pause(50);
  }
  const node = { home, gui, listen, child, id: '' };
  const { myID } = await ask(node, 'GET', '../system/status') as { myID: string };
  return { ...node, id: myID };
}

async function ask({ home, gui }: Pick<Node, 'home' | 'gui'>, method: string, what: string, body?: object): Promise<unknown> {
  const key = /<apikey>([^<]+)/.exec(readFileSync(`${home}/config.xml`, 'utf8'))?.[1] ?? '';
  const answer = await fetch(new URL(what, `http://127.0.0.1:${gui}/rest/config/`), { method, headers: { 'X-API-Key': key }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`Syncthing: ${method} ${what}: ${answer.status} ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

async function stop(children: readonly ChildProcess[]): Promise<void> {
  for (const child of children) child.kill('SIGTERM');
  for (const child of children) await ended(child, 30_000);
}
