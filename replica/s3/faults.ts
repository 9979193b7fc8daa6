/**
 * What an S3 store, or the way to it, means by an error. In: errors of the client library. Out: DestinationErrors with one line that says what to do.
 */
import { messageOf } from '../../engine/errors.js';
import { translateConnection } from '../connection-faults.js';
import { DestinationError } from '../destination.js';
import type { S3Place } from '../place.js';
import { placeText } from '../place.js';

interface Answered {
  readonly name: string;
  readonly message: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

const keyTrouble = new Set(['AccessDenied', 'InvalidAccessKeyId', 'SignatureDoesNotMatch', 'AccountProblem', 'ExpiredToken', 'InvalidToken', 'Forbidden']);
const roomTrouble = /^(?:QuotaExceeded|InsufficientStorage|ServiceQuotaExceeded|TooManyBytes|XMinioStorageFull|XMinioAdminBucketQuotaExceeded|BucketQuotaExceeded)$/;
const busyNames = new Set(['SlowDown', 'ServiceUnavailable', 'TooManyRequests', 'RequestLimitExceeded', 'ThrottlingException', 'Throttling']);
const otherRegion = new Set(['PermanentRedirect', 'AuthorizationHeaderMalformed', 'IllegalLocationConstraintException', 'TemporaryRedirect']);

export function translateS3(error: unknown, place: S3Place): DestinationError {
  if (error instanceof DestinationError) return error;
  // What the check of a pinned certificate throws arrives wrapped.
  if (error instanceof Error && error.cause instanceof DestinationError) return error.cause;
  const where = placeText(place);
  const { name, $metadata } = error as Answered;
  const status = $metadata?.httpStatusCode;
  // Nobody has answered.
  if (status === undefined) return translateConnection(error, where, 'http:// or https:// in --endpoint');
  const said = sayingOf(error as Answered, status);
  if (name === 'RequestTimeTooSkewed') return new DestinationError('denied', `the clock of this machine and the clock of ${where} are more than 15 minutes apart, so it believes no signature; set the clock (timedatectl shows it)`);
  if (name === 'NoSuchBucket') return new DestinationError('gone', `there is no bucket ${place.bucket} at ${new URL(place.endpoint).host}; make it, or check its name${place.pathStyle ? '' : ' (a store without a host name for each bucket wants --path-style)'}`);
  if (name === 'NoSuchKey' || name === 'NotFound' || name === 'NoSuchUpload') return new DestinationError('absent', `${where}: ${said}; it is not there`);
  if (name === 'InvalidObjectState') return new DestinationError('refused', `${where} has archived what is needed (${said}); bring it back there, and end the rule that archives it`);
  if (roomTrouble.test(name) || status === 507) return new DestinationError('full', `${where} has no room left (${said}); make room or raise the quota there, or shorten its ladder with --keep`);
  if (busyNames.has(name) || status === 503 || status === 429) return new DestinationError('busy', `${where} takes no more requests (${said}); lower --connections, or try again later`);
  if (otherRegion.has(name) || status === 301) return new DestinationError('refused', `${where} is in another region than ${place.region} (${said}); say which with --region`);
  if (keyTrouble.has(name) || status === 401 || status === 403) return new DestinationError('denied', `${where} refuses the keys (${said}); check access key and secret key, and what they are allowed there`);
  return new DestinationError(status >= 500 ? 'gone' : 'refused', `${where} refuses: ${said}${status >= 500 ? '; the next run goes on where this one was' : ''}`);
}

/** Many stores say a name and nothing else; for the library that is an unknown error. */
function sayingOf(error: Answered, status: number): string {
  const message = messageOf(error).replace(/\s*\n\s*/g, ' ');
  return message === '' || message === 'UnknownError' ? `${error.name}, status ${status}` : `${error.name}: ${message}`;
}
