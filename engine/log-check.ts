/**
 * Reads a log in order to check it: every record whole, its checksum compared, what the disk cannot give back included. In: the `log/` directory and a position. Out: a
 * reader of the sound records; what is not sound goes to `onFault`. Verify and the scrub both check the log with it.
 */
import { segmentHeaderBytes } from './log-format.js';
import type { Crc } from './log-format.js';
import { LogReader } from './log-reader.js';
import type { Damage, Unreadable } from './log-reader.js';
import type { Fault } from './types.js';

/** A part of the log that holds no sound record. */
export interface LogFault extends Damage {
  /** The disk reported an error there. */
  readonly isUnreadable: boolean;
}

export interface LogCheckOptions {
  readonly directory: string;
  readonly position: number;
  readonly crc: Crc;
  readonly onFault: (fault: LogFault) => void;
}

export const logRemedy = 'the versions saved there are lost; all others stay readable; check the disk';

export function checkingReader(options: LogCheckOptions): LogReader {
  // Blocks are read some way ahead of the records: those told of before a damage may lie in it.
  let unreadable: Unreadable[] = [];
  return new LogReader({
    directory: options.directory, position: options.position, crc: options.crc, bodies: 'all',
    onUnreadable: (place) => { unreadable.push(place); },
    onDamage: (damage) => {
      const end = damage.lsn + damage.length;
      const isUnreadable = unreadable.some((place) => place.lsn < end && place.lsn + place.length > damage.lsn);
      unreadable = unreadable.filter((place) => place.lsn >= end);
      options.onFault({ ...damage, isUnreadable });
    },
  });
}

/** How people are told. */
export function describeLogFault({ lsn, length, segment, isUnreadable }: LogFault): Fault {
  const damage = length === segmentHeaderBytes ? 'a damaged header' : `${length} damaged bytes`;
  return { where: `log segment ${segment}, position ${lsn}`, what: isUnreadable ? `${damage} (the disk cannot read them: EIO)` : damage, remedy: logRemedy };
}
