/**
 * `tidemark doctor samba [--config FILE]`: checks the shares of smb.conf that lie in volumes, and says line by line what is wrong and what to write instead.
 */
import type { Command } from 'commander';
import { CommandError } from '../errors.js';
import { counted } from '../format.js';
import { print } from '../output.js';
import { missingModule, readConfiguration } from '../samba/configuration.js';
import { nameFormat } from '../samba/ready-section.js';
import { checkShare } from '../samba/rules.js';
import type { Finding } from '../samba/rules.js';
import { sharesOf } from '../samba/shares.js';
import type { Share } from '../samba/shares.js';
import type { Setting } from '../samba/smb-conf.js';
import { whereaboutsOf } from '../samba/whereabouts.js';
import type { Whereabouts } from '../samba/whereabouts.js';

interface DoctorOptions {
  readonly config: string;
  readonly json?: true;
}

interface Checked {
  readonly share: string;
  readonly path: string;
  readonly volume: string;
}

export function addDoctor(program: Command): void {
  const doctor = program.command('doctor').description('check the settings of a server that shares volumes');
  doctor.command('samba').description('check smb.conf: which shares lie in volumes, and whether Windows shows previous versions there')
    .option('--config <file>', 'the configuration to check', '/etc/samba/smb.conf').option('--json', 'print JSON')
    .action(doctorSamba);
}

async function doctorSamba({ config, json }: DoctorOptions): Promise<void> {
  const { files, effective } = readConfiguration(config);
  const checked: Checked[] = [];
  const findings: Finding[] = files.unread.map(unreadNote);
  for (const share of sharesOf(files, effective)) {
    const place = placeOf(share);
    if (place === undefined) findings.push(...orphan(share));
    if (place === undefined) continue;
    checked.push({ share: share.name, path: place.path, volume: place.volume });
    const ofShare = place.obstacle === undefined ? checkShare(share) : [obstacleFinding(share, place.obstacle), ...checkShare(share)];
    findings.push(...ofShare.sort(inOrderOfLines));
  }
  const module = checked.length === 0 ? undefined : missingModule();
  if (module !== undefined) findings.push({ kind: 'fault', share: '', place: undefined, what: `${module} is missing, so Samba cannot open such a share; install it: apt-get install samba-vfs-modules`, write: undefined });
  const faultCount = findings.filter(({ kind }) => kind === 'fault').length;
  if (checked.length === 0 && faultCount === 0) throw new CommandError(`no share of ${config} lies in a volume`, '`tidemark samba DIR` prints one');
  await print(json ? `${JSON.stringify({ config, ok: faultCount === 0, shares: checked, findings: findings.map(jsonFinding) })}\n` : `${checked.map(textChecked).join('')}${findings.map(textFinding).join('')}`);
  if (faultCount > 0) throw new CommandError(`${config}: ${counted(faultCount, 'fault')} found`, 'each is listed with its remedy; then `smbcontrol all reload-config`');
}

/** Lines of one file in their order; what an include has said stays together. */
function inOrderOfLines({ place: one }: Finding, { place: other }: Finding): number {
  const [file, otherFile] = [one?.file ?? '', other?.file ?? ''];
  return file === otherFile ? (one?.line ?? 0) - (other?.line ?? 0) : file < otherFile ? -1 : 1;
}

/** Where a share lies. Of a path with variables the part before them counts. */
function placeOf(share: Share): Whereabouts | undefined {
  const path = share.values.get('path') ?? (share.name.toLowerCase() === 'homes' ? '/home' : '');
  if (!path.startsWith('/') || path.includes('/.snapshots/')) return undefined;
  const fixedLength = path.includes('%') ? path.lastIndexOf('/', path.indexOf('%')) : path.length;
  const place = whereaboutsOf(path.slice(0, fixedLength) || '/');
  const write = place?.obstacle?.write;
  return place?.obstacle === undefined || write === undefined ? place : { ...place, obstacle: { ...place.obstacle, write: write + path.slice(fixedLength) } };
}

/** A share that is set up for a volume's past and lies in none. */
function orphan(share: Share): Finding[] {
  const path = share.values.get('path') ?? '';
  if (share.values.get('shadow:format') !== nameFormat || path.includes('/.snapshots/')) return [];
  return [{ kind: 'fault', share: share.name, place: share.lines.get('path')?.place ?? share.place, what: `${path} is in no volume, so there are no previous versions; protect it: tidemark mount ${path}`, write: undefined }];
}

function obstacleFinding(share: Share, { what, write }: NonNullable<Whereabouts['obstacle']>): Finding {
  return { kind: 'fault', share: share.name, place: share.lines.get('path')?.place ?? share.place, what, write };
}

function unreadNote({ value, place, writtenName }: Setting): Finding {
  return { kind: 'note', share: '', place, what: `${writtenName} = ${value}: differs from client to client, or is not in a file, and was not checked`, write: undefined };
}

function textChecked({ share, path, volume }: Checked): string {
  return `[${share}] ${path}${path === volume ? ' is a volume' : ` lies in the volume ${volume}`}\n`;
}

function textFinding({ kind, share, place, what, write }: Finding): string {
  const where = place === undefined ? '' : `${place.file}:${place.line}: `;
  const remedy = write === undefined ? '' : write === '' ? '; take this line out' : `; write: ${write}`;
  return `${where}${share === '' ? '' : `[${share}] `}${kind === 'note' ? 'note: ' : ''}${what}${remedy}\n`;
}

function jsonFinding({ kind, share, place, what, write }: Finding): object {
  return { kind, share: share === '' ? null : share, file: place?.file ?? null, line: place?.line ?? null, what, write: write ?? null };
}
