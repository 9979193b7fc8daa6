/**
 * Who is no peer gets nothing, and harms nobody: a strange certificate, one that has expired, a token for the second time, a node of another version, rubbish, a length of 4 GiB, hundreds that say
 * nothing. All against a real primary, whose standby goes on meanwhile.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer } from 'node:tls';
import t from 'tap';
import { encodeFrame, encodeJson, frameType } from '../../replica/pair/frame.js';
import { makeIdentity, readIdentity } from '../../replica/pair/identity.js';
import type { Identity } from '../../replica/pair/identity.js';
import { decodeInvitation } from '../../replica/pair/invitation.js';
import type { InvitationLine } from '../../replica/pair/invitation.js';
import { dial, tlsOptions } from '../../replica/pair/link.js';
import { readMessage, refusedSchema } from '../../replica/pair/messages.js';
import { caughtUp, standingOf, verifyBoth, withPair } from '../support/pair.js';
import { isRoot } from '../support/places.js';

t.setTimeout(120_000);
const onlyRoot = isRoot ? {} : { skip: 'a pair needs root' };
const node = 'e'.repeat(16);
const silentCount = 300;

/** A certificate that was good until yesterday. */
function expiredIdentity(directory: string): Identity {
  const [key, request, certificate] = ['key', 'request', 'certificate'].map((name) => join(directory, name)) as [string, string, string];
  const openssl = (...words: string[]): void => { execFileSync('openssl', words, { stdio: 'ignore' }); };
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=expired', '-keyout', key, '-out', request);
  openssl('x509', '-req', '-in', request, '-signkey', key, '-days', '-1', '-out', certificate);
  execFileSync('sh', ['-c', 'cat "$1" "$2" > "$3"', 'sh', key, certificate, join(directory, 'identity.pem')]);
  return readIdentity(directory)!;
}

/** What a node is answered that says this first. */
async function answered(invitation: InvitationLine, identity: Identity, hello: object): Promise<string> {
  const link = await dial(invitation.address, identity, invitation.fingerprint);
  const whole = { protocol: 1, node, name: 'stranger', role: 'standby', terms: [], volume: 'a'.repeat(32), ...hello };
  await link.send(encodeJson(frameType.hello, whole));
  const answer = await link.receive();
  link.close();
  if (answer?.type === frameType.welcome) return 'welcome';
  const { code, message } = readMessage(refusedSchema, answer!);
  return `${code}: ${message}`;
}

void t.test('strangers get nothing, and the standby goes on', onlyRoot, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'tidemark-strangers-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const strange = await makeIdentity(join(directory, 'strange'), node);
  const expired = expiredIdentity(directory);
  await withPair(t, {}, async ({ primary, standby }) => {
    await caughtUp(primary);
    const invitation = decodeInvitation((await primary.cliWell('pair', 'invite', primary.mountpoint)).trim());
    const { address, token } = invitation;
    t.match(await answered(invitation, strange, { purpose: 'follow' }), /^unknown: .*not paired/);
    t.match(await answered(invitation, strange, { purpose: 'compare' }), /^unknown: /);
    t.match(await answered(invitation, strange, { purpose: 'join', token, protocol: 2 }), /^version: .*same version/);
    t.match(await answered(invitation, expired, { purpose: 'join', token }), /^unknown: .*expired/);
    t.match(await answered(invitation, strange, { purpose: 'join', token: `${token.slice(1)}x` }), /^token: /);
    t.equal(await answered(invitation, strange, { purpose: 'join', token }), 'welcome', 'none of these has used the token up');
    t.match(await answered(invitation, strange, { purpose: 'join', token }), /^token: .*been used/);
    t.match(await answered(invitation, strange, { purpose: 'follow', node: 'd'.repeat(16) }), /^unknown: /, 'a certificate is good for its own node');

    const silent: Socket[] = [];
    for (let count = 0; count < silentCount; count++) silent.push(connect(address.port, address.host).on('error', () => undefined));
    silent[0]!.write(Buffer.alloc(5000, 'A'));
    for (const first of [Buffer.alloc(64, 0xff), Buffer.from('GET / HTTP/1.1\r\n\r\n'), encodeFrame(frameType.commit, Buffer.from('{}'))]) {
      const link = await dial(address, strange, invitation.fingerprint);
      await link.send(first);
      await link.receive();
      t.equal(await link.receive().catch(() => undefined), undefined, 'ended at once');
      link.close();
    }
    for (let count = 0; count < 5; count++) {
      writeFileSync(primary.path('file'), `${count}`);
      await caughtUp(primary);
    }
    t.equal((await standingOf(standby)).primary?.link, 'following');
    for (const socket of silent) socket.destroy();
    await primary.cliWell('pair', 'forget', primary.mountpoint, 'stranger');
    t.match(await answered(invitation, strange, { purpose: 'follow' }), /^unknown: /, 'who was forgotten is a stranger again');
    await verifyBoth({ primary, standby });
  });
});

void t.test('who is not who was agreed, or whose certificate has expired, is told nothing', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'tidemark-strangers-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const mine = await makeIdentity(join(directory, 'mine'), node);
  for (const [theirs, fingerprint, says] of [[expiredIdentity(directory), undefined, /expired/], [mine, '0'.repeat(64), /another certificate/]] as const) {
    let heard = 0;
    const server = createServer({ key: theirs.pem, cert: theirs.pem, requestCert: true, ...tlsOptions }, (socket) => { socket.on('data', (bytes) => { heard += bytes.length; }).on('error', () => undefined); });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    await t.rejects(dial({ host: '127.0.0.1', port }, mine, fingerprint ?? theirs.fingerprint), { code: 'EACCES', message: says });
    await sleep(50);
    t.equal(heard, 0);
    server.close();
  }
});
