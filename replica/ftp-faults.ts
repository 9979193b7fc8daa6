/**
 * What an FTP server, or the way to it, means by an error. In: errors of basic-ftp (of the way: connection-faults.ts). Out: DestinationErrors with one line that says what to do.
 */
import { FTPError } from 'basic-ftp';
import { translateConnection } from './connection-faults.js';
import { DestinationError } from './destination.js';

/** A limit of connections, said in the words of the common servers. */
const tooMany = /too many|maximum|limit|already logged/i;
const noRoom = /no space|space left|not enough|insufficient|quota|disk full|exceeded/i;
const notThere = /no such|not found|not exist|can't find|cannot find|can't open|failed to open|can't change directory|failed to change directory|can't check|unable to find|could not get file size/i;

/** `where`: for people. */
export function translateFtp(error: unknown, where: string): DestinationError {
  if (error instanceof DestinationError) return error;
  if (error instanceof FTPError) return answered(error, where);
  return translateConnection(error, where, '--tls explicit or implicit');
}

/** The reply that a server sent to a command. */
function answered({ code, message }: FTPError, where: string): DestinationError {
  const said = message.replace(/\s*\n\s*/g, ' ');
  if (code === 421 || ((code === 530 || code === 500) && tooMany.test(said))) return new DestinationError('busy', `${where} takes no more connections (${said}); lower --connections, or try again later`);
  if (code === 530 || code === 331 || code === 332) return new DestinationError('denied', `${where} refuses the login (${said}); check user and password`);
  if (code === 552 || code === 452 || ((code === 451 || code === 450 || code === 550 || code === 553) && noRoom.test(said)) || (code === 451 && /writ/i.test(said))) return new DestinationError('full', `${where} has no room left (${said}); make room there, or shorten its ladder with --keep`);
  if (code === 426 || code === 425) return new DestinationError('gone', `${where} ended a transfer (${said}); the next run goes on where this one was`);
  if ((code === 550 || code === 450) && notThere.test(said)) return new DestinationError('absent', `${where}: ${said}; it is not there`);
  if (code === 550 || code === 553 || code === 532 || code === 521) return new DestinationError('denied', `${where} refuses: ${said}; check the permissions of its user`);
  return new DestinationError('refused', `${where} refuses: ${said}`);
}
