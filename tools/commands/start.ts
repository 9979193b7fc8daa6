/**
 * `tidemark start [DIR]`, which `npm start` runs: protects a directory in the foreground and shows each new version on a line. Without DIR it
 * makes a demo directory and says what to try.
 */
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { withDaemon } from '../asking.js';
import type { BytePath } from '../byte-path.js';
import { shown } from '../byte-path.js';
import { foreground } from '../foreground.js';
import { localTime, sizeText, userText } from '../format.js';
import { locate } from '../locate.js';
import { checkPlaces } from '../mount-checks.js';
import { note, print } from '../output.js';
import type { ChangeItem, WatchItem } from '../protocol.js';
import { addMountOptions, daemonOptions } from './mount.js';
import type { MountOptions } from './mount.js';

export function addStart(program: Command): void {
  const command = program.command('start').description('protect DIR until Ctrl-C and show each new version; without DIR: a demo').argument('[DIR]', 'the directory to protect');
  addMountOptions(command);
  command.action(start);
}

async function start(directoryArgument: string | undefined, options: MountOptions): Promise<void> {
  const demo = directoryArgument === undefined ? makeDemo() : undefined;
  const places = checkPlaces(directoryArgument ?? demo ?? '', undefined);
  await foreground(daemonOptions(places, options, 'parent'), {
    onReady: async (ready) => {
      if (places.clearedCount > 0) await note('tidemark: cleared a mount whose daemon had died');
      for (const notice of ready.notices) await note(`tidemark: ${notice}`);
      if (demo !== undefined) await pinStart(demo);
      await print(demo === undefined ? `${places.directory} is protected. New versions show here; Ctrl-C unmounts.\n` : invitation(demo));
    },
    onVersion: (item) => void print(versionLine(item)),
  });
  await print(`${places.directory} is unmounted: its files are as you left them, its history is kept.\n`);
}

/** ~/tidemark-demo, or a temporary directory where there is no home that can be written. */
function makeDemo(): string {
  let directory = join(homedir(), 'tidemark-demo');
  try {
    accessSync(homedir(), constants.W_OK);
    mkdirSync(directory, { recursive: true });
  } catch {
    directory = mkdtempSync(join(tmpdir(), 'tidemark-demo-'));
  }
  const letter = join(directory, 'letter.txt');
  if (!existsSync(letter)) writeFileSync(letter, 'The first version of a letter.\n');
  return directory;
}

/** `@start` is the moment this demo began. */
async function pinStart(directory: string): Promise<void> {
  await withDaemon(locate(directory), async (client) => {
    const { pins } = await client.ask('pins', {});
    if (pins.some(({ name }) => name === 'start')) await client.ask('unpin', { name: 'start' });
    await client.ask('pin', { name: 'start' });
  });
}

function invitation(directory: string): string {
  return `${directory} is protected. In another terminal, try:

  echo "A second thought." > ${directory}/letter.txt       # overwrite a file
  cat ${directory}/.snapshots/@start/letter.txt             # as it was; also @5m, @yesterday, @2026-11-22T07-00-00Z
  ls ${directory}/.snapshots                                # moments to look at, each the whole directory
  npx tidemark log ${directory}/letter.txt                  # every version: when, who, how big
  npx tidemark restore ${directory}/letter.txt --at start   # bring it back

New versions show here as they come. Ctrl-C unmounts.
`;
}

/** Time, kind, path, size, who. */
export function versionLine(item: WatchItem): string {
  if (item.change === undefined) return `… ${(item.skipped ?? 0).toLocaleString('en-US')} transactions came too fast to be shown\n`;
  const change: ChangeItem = item.change;
  const path = shown(change.path as BytePath);
  const moved = change.from === undefined ? path : `${shown(change.from as BytePath)} → ${path}`;
  const size = change.size === undefined ? '' : sizeText(BigInt(change.size));
  const who = `${userText(change.uid)}, ${change.command === '' ? 'unknown' : change.command}${change.pid === 0 ? '' : ` (${change.pid})`}`;
  return `${localTime(BigInt(change.timeNs))}  ${change.kind.padEnd(10)}  ${moved}  ${size === '' ? '' : `${size}  `}${who}\n`;
}
