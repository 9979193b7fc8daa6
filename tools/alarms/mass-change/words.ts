/** How a mass change is told, and what its pin is called. In: an incident. Out: lines for people. Pure. */
import { counted } from '../../format.js';
import type { Incident } from './memory.js';

const pinPrefix = 'before-mass-change-';
const isOwnPin = /^before-mass-change-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ(?:-\d+)?$/;

/** So many pins are kept for mass changes; and none is given up for a newer one within a day: whoever raises many alarms must not push out the first. */
export const pinsMax = 20;
const youngMs = 24 * 3_600_000;

/** `firstMs`: when it began. `taken`: names that are no longer free. */
export function pinName(firstMs: number, taken: ReadonlySet<string>): string {
  const name = `${pinPrefix}${new Date(firstMs).toISOString().slice(0, 19).replaceAll(':', '-')}Z`;
  for (let number = 2, free = name; ; number += 1, free = `${name}-${number}`) if (!taken.has(free)) return free;
}

/** Which pins have to go before another one is made; undefined when none of them may. */
export function pinsToGiveUp(pins: readonly { readonly name: string; readonly madeAtNs: bigint }[], nowMs: number): string[] | undefined {
  const own = pins.filter(({ name }) => isOwnPin.test(name)).sort((a, b) => (a.madeAtNs < b.madeAtNs ? -1 : 1));
  const surplus = own.slice(0, Math.max(0, own.length - pinsMax + 1));
  return surplus.some(({ madeAtNs }) => nowMs - Number(madeAtNs / 1_000_000n) < youngMs) ? undefined : surplus.map(({ name }) => name);
}

export function massChangeText(incident: Incident): string {
  const { uid, command, pid, files, forMs, examples, held, holdFault } = incident;
  const who = `user ${uid} (${command === '' ? 'unknown program' : command}${pid === 0 ? '' : `, pid ${pid}`})`;
  const some = examples.length === 0 ? '' : ` (${examples.join(', ')} among them)`;
  const grown = files > incident.overwritten + incident.removed + incident.renamed ? `; ${counted(files, 'file')} until now` : '';
  const stopped = held.length === 0 ? '' : `; stopped: ${counted(held.length, 'process', 'processes')} (${pidsText(held)})`;
  const refused = holdFault === undefined ? '' : `; ${holdFault}`;
  return `${who} ${deeds(incident)} within ${(forMs / 1000).toFixed(1)} s, as an attack would${some}${grown}${stopped}${refused}; ${pinText(incident)}`;
}

export function massChangeRemedy({ pin, pinFault, txid, held }: Incident, directory: string): string {
  const moment = pinFault === undefined ? pin : `txn-${txid}`;
  const go = held.length === 0 ? '' : `; \`tidemark alarms ${directory} --release\` lets the processes go on, or end them`;
  const unpin = pinFault === undefined ? `, and \`tidemark unpin ${directory} ${pin}\`` : '';
  return `\`tidemark diff ${directory} --from ${moment}\` shows what was changed, \`tidemark log ${directory} --since ${moment}\` who did it, `
    + `\`tidemark restore ${directory} --at ${moment}\` brings it back${go}; if it was meant: \`tidemark alarms ${directory} --acknowledge\`${unpin}`;
}

function deeds({ overwritten, removed, renamed }: Incident): string {
  const parts = [
    ...(overwritten === 0 ? [] : [`overwritten ${counted(overwritten, 'file')} with what looks like noise`]),
    ...(removed === 0 ? [] : [`removed or emptied ${removed === 1 ? 'one' : removed.toLocaleString('en-US')}`]),
    ...(renamed === 0 ? [] : [`renamed ${renamed === 1 ? 'one' : renamed.toLocaleString('en-US')}`]),
  ];
  return `has ${parts.join(' and ')}${overwritten === 0 ? ' files' : ''}`;
}

function pinText({ pin, pinFault, txid }: Incident): string {
  return pinFault === undefined ? `@${pin} is the moment before` : `txn-${txid} is the moment before, which could not be pinned: ${pinFault}`;
}

function pidsText(held: Incident['held']): string {
  const shown = held.slice(0, 8).map(({ pid }) => pid).join(', ');
  return held.length > 8 ? `${shown}, …` : shown;
}
