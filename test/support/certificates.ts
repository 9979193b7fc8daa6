/** An authority of a test, and a certificate of it for servers on the loopback: `ca.pem`, and `server.pem` with key and certificate. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, runWell } from './processes.js';

export async function makeCertificates(directory: string): Promise<void> {
  const at = (name: string): string => join(directory, name);
  const openssl = (...commandArguments: string[]): Promise<string> => runWell('openssl', commandArguments, { cwd: directory });
  await openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', at('ca.key'), '-out', at('ca.pem'), '-days', '30', '-subj', '/CN=test authority');
  await openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', at('server.key'), '-out', at('server.csr'), '-subj', '/CN=localhost');
  writeFileSync(at('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  await openssl('x509', '-req', '-in', at('server.csr'), '-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '30', '-extfile', at('names'), '-out', at('server.crt'));
  const { stdout } = await run('cat', [at('server.key'), at('server.crt')]);
  writeFileSync(at('server.pem'), stdout, { mode: 0o600 });
}
