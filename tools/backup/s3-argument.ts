/**
 * `s3://bucket/prefix` as users write it. In: the text and the options that belong to it. Out: a place.
 *
 * Invariants:
 * 1. Keys in an address are refused: the command line is seen by everybody.
 */
import { isIP } from 'node:net';
import type { S3Place } from '../../replica/place.js';
import { UsageError } from '../errors.js';
import { accessOf } from './access-options.js';
import type { DestinationOptions } from './access-options.js';

const defaultRegion = 'us-east-1';

/** Throws UsageError, CommandError. */
export function s3Place(text: string, options: DestinationOptions): S3Place {
  const match = /^s3:\/\/([^/]*)(?:\/(.*))?$/i.exec(text);
  const [, bucket = '', path = ''] = match ?? [];
  if (bucket.includes('@')) throw new UsageError('keys on the command line are seen by everybody; write s3://bucket/prefix, and use --password-file, --password-env or the keyring file');
  if (!/^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/i.test(bucket)) throw new UsageError(`"${text}" names no bucket; write it like s3://bucket/prefix`);
  const prefix = path.replace(/^\/+|\/+$/g, '');
  if (prefix.split('/').some((name) => name === '.' || name === '..' || (name === '' && prefix !== '')) || /[\x00-\x1f\x7f]/.test(prefix)) throw new UsageError(`"${prefix}" cannot be a prefix; use names divided by "/"`);
  const region = options.region ?? defaultRegion;
  const { endpoint, host } = endpointOf(options, region);
  return {
    kind: 's3', bucket, prefix, endpoint, region,
    // No bucket's name fits in front of these.
    pathStyle: options.pathStyle === true || isIP(host) !== 0 || host === 'localhost',
    ...accessOf(options),
  };
}

function endpointOf({ endpoint, clearText, ca, pin }: DestinationOptions, region: string): { endpoint: string; host: string } {
  let url: URL;
  try {
    url = new URL(endpoint ?? `https://s3.${region}.amazonaws.com`);
  } catch {
    throw new UsageError(`--endpoint "${endpoint ?? region}" cannot be read; write it like https://s3.example.org`);
  }
  if (url.username !== '' || url.password !== '') throw new UsageError('keys on the command line are seen by everybody; use --password-file, --password-env or the keyring file');
  if ((url.protocol !== 'https:' && url.protocol !== 'http:') || url.pathname !== '/' || url.search !== '' || url.hash !== '') throw new UsageError(`--endpoint "${endpoint ?? region}" is no address of a store; write it like https://s3.example.org`);
  const isClear = url.protocol === 'http:';
  if (isClear && clearText !== true) throw new UsageError('http:// is no TLS: everybody on the way reads the files; write https://, or if that will do say --clear-text');
  if (!isClear && clearText === true) throw new UsageError('--clear-text goes with --endpoint http://…');
  if (isClear && (ca !== undefined || pin !== undefined)) throw new UsageError('--clear-text has no certificate to check');
  return { endpoint: url.origin, host: url.hostname.replace(/^\[|\]$/g, '') };
}
