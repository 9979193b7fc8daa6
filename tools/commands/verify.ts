/**
 * `tidemark verify DIR`: walks log, index, objects and tree and checks every checksum and invariant; with `--deep` it also reads back every live file and
 * every object, which have no checksums.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { withDaemon } from '../asking.js';
import { shown } from '../byte-path.js';
import { CommandError } from '../errors.js';
import { counted, sizeText } from '../format.js';
import { tryLocate } from '../locate.js';
import { note, print } from '../output.js';
import type { VerifyReply } from '../protocol.js';
import { storeDirectory, withVolume } from '../unmounted.js';

interface VerifyOptions {
  readonly rebuildIndex?: true;
  readonly deep?: true;
  readonly json?: true;
}

export function addVerify(program: Command): void {
  program.command('verify').description('check a volume: log, index, objects, tree').argument('<DIR>', 'the volume, mounted or not')
    .option('--rebuild-index', 'first make the index anew from the log (not while mounted)')
    .option('--deep', 'also read every live file and every kept deleted file to the end')
    .option('--json', 'print JSON')
    .action(verify);
}

async function verify(argument: string, options: VerifyOptions): Promise<void> {
  const located = tryLocate(argument);
  let directory: string;
  let report: VerifyReply;
  if (located !== undefined) {
    directory = shown(located.mountpoint);
    if (options.rebuildIndex) throw new CommandError(`${directory} is mounted`, `first: tidemark unmount ${directory}`);
    report = await withDaemon(located, (client) => client.ask('verify', { depth: depthOf(options) }));
  } else {
    directory = storeDirectory(argument);
    report = await verifyUnmounted(directory, options);
  }
  await print(options.json ? `${JSON.stringify({ directory, ok: report.faults.length === 0, ...report })}\n` : text(report));
  if (report.faults.length > 0) throw new CommandError(`${directory}: ${counted(report.faults.length, 'fault')} found`, 'each is listed with its remedy');
}

async function verifyUnmounted(directory: string, options: VerifyOptions): Promise<VerifyReply> {
  if (options.rebuildIndex) {
    // Opening once first makes sure that no daemon has the volume: it would go on writing into what is removed here.
    await withVolume(directory, async () => undefined);
    rmSync(join(directory, '.tidemark', 'index'), { recursive: true, force: true });
    await note('tidemark: making the index anew from the log');
  }
  return withVolume(directory, async (volume) => {
    for (const notice of volume.notices) await note(`tidemark: ${notice}`);
    return volume.verify({ depth: depthOf(options) });
  });
}

function depthOf(options: VerifyOptions): 'log' | 'deep' {
  return options.deep ? 'deep' : 'log';
}

function text(report: VerifyReply): string {
  const faults = report.faults.map((fault) => `${fault.where}: ${fault.what}; ${fault.remedy}\n`).join('');
  const counts = [counted(report.records, 'record'), counted(report.segments, 'segment'), counted(report.transactions, 'transaction'), counted(report.objects, 'object'), counted(report.files, 'file')];
  return `${faults}checked ${counts.join(', ')}${readBackText(report)}: ${report.faults.length === 0 ? 'all is well' : counted(report.faults.length, 'fault')}\n`;
}

function readBackText({ readBack }: VerifyReply): string {
  if (readBack === undefined) return '';
  const forbidden = readBack.forbidden === 0 ? '' : ` (${readBack.forbidden.toLocaleString('en-US')} may not be read by this user)`;
  return `; read back ${sizeText(readBack.bytes)} in ${counted(readBack.files, 'file')}${forbidden}`;
}
