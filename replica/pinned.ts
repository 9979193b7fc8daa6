/**
 * A certificate that is trusted by its fingerprint, and no other. In: the certificate that a server has shown, the fingerprint. Out: a refusal, or options for the connections that follow.
 *
 * Invariants:
 * 1. With these options nothing is said to whoever shows another certificate.
 */
import type { ConnectionOptions, PeerCertificate } from 'node:tls';
import { DestinationError } from './destination.js';

/** `pin`: SHA-256, hexadecimal. `who`: for people. Throws DestinationError untrusted. */
export function trustPinned({ raw, fingerprint256 }: PeerCertificate, pin: string, where: string, who: string): ConnectionOptions {
  const found = digitsOf(fingerprint256);
  if (found !== pin) throw new DestinationError('untrusted', `the certificate of ${where} is not the pinned one: it has the SHA-256 ${found}; find out why before you pin that`);
  const pem = `-----BEGIN CERTIFICATE-----\n${raw.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
  const options: ConnectionOptions & { allowPartialTrustChain: boolean } = {
    rejectUnauthorized: true, ca: pem, allowPartialTrustChain: true,
    checkServerIdentity: (_host, certificate) => (digitsOf(certificate.fingerprint256) === pin ? undefined : new DestinationError('untrusted', `${who} of ${where} shows another certificate than the pinned one`)),
  };
  return options;
}

function digitsOf(fingerprint: string): string {
  return fingerprint.replaceAll(':', '').toLowerCase();
}
