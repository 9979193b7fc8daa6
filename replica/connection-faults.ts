/**
 * What goes wrong on the way to a server, whatever is spoken there. In: errors of sockets, of TLS. Out: DestinationErrors with one line that says what to do.
 */
import { codeOf, messageOf } from '../engine/errors.js';
import { DestinationError } from './destination.js';

const certificateCodes = /^(?:CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS_CERT|HOSTNAME_MISMATCH|INVALID_CA|PATH_LENGTH)/;

/** `where`: for people. `tlsAdvice`: what to check when TLS fails. */
export function translateConnection(error: unknown, where: string, tlsAdvice: string): DestinationError {
  const code = codeOf(error);
  const said = messageOf(error).replace(/\s*\n\s*/g, ' ').trim();
  if (certificateCodes.test(code)) return new DestinationError('untrusted', `the certificate of ${where} is not trusted (${said}); name the authority with --ca, or the certificate with --pin`);
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return new DestinationError('gone', `the host of ${where} is not known; check its name, and the network`);
  if (code === 'ECONNREFUSED') return new DestinationError('gone', `nobody listens at ${where}; check host and port, and that the server runs`);
  if (code.startsWith('ERR_SSL') || code === 'EPROTO') return new DestinationError('gone', `TLS with ${where} failed (${said}); check the port, and ${tlsAdvice}`);
  return new DestinationError('gone', `the connection to ${where} was lost (${said}); the next run goes on where this one was`, { cause: error });
}
