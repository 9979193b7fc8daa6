/**
 * A mail address that gets each message through an SMTP server.
 *
 * Invariants:
 * 1. A password goes over the network only by TLS with a certificate that is good; only on the loopback is it trusted without.
 * 2. A password is read when it is needed, from a file that nobody else can read or from the environment, and is in no error and no log.
 */
import { open } from 'node:fs/promises';
import { createTransport } from 'nodemailer';
import type { Sink } from '../config.js';
import { bodyOf, subjectOf } from '../message.js';
import type { Message } from '../message.js';
import { RefusedError } from './sink.js';

type MailSink = Extract<Sink, { type: 'mail' }>;

const limitMs = 15_000;
const longestPasswordBytes = 4096;
const loopback: readonly string[] = ['localhost', '127.0.0.1', '[::1]'];

export async function sendMail(sink: MailSink, message: Message): Promise<void> {
  const url = new URL(sink.smtp);
  const user = decodeURIComponent(url.username);
  const isLocal = loopback.includes(url.hostname);
  const secure = url.protocol === 'smtps:';
  const transport = createTransport({
    host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? (secure ? 465 : user === '' ? 25 : 587) : Number(url.port), secure,
    ignoreTLS: isLocal && !secure, requireTLS: !isLocal && user !== '',
    connectionTimeout: limitMs, greetingTimeout: limitMs, socketTimeout: limitMs, dnsTimeout: limitMs,
    ...(user === '' ? {} : { auth: { user, pass: await passwordOf(sink) } }),
    // Nothing that a message says may make it read a file or a URL.
    disableFileAccess: true, disableUrlAccess: true,
  });
  try {
    await transport.sendMail({ from: sink.from, to: sink.to, subject: subjectOf(message), text: bodyOf(message), headers: { 'Auto-Submitted': 'auto-generated', 'X-Tidemark-Event': message.event } });
  } catch (error) {
    const { responseCode, code } = error as { responseCode?: number; code?: string };
    const reason = error instanceof Error ? error.message.split('\n', 1)[0] ?? '' : String(error);
    const isFinal = code === 'EAUTH' || (responseCode !== undefined && responseCode >= 500);
    throw isFinal ? new RefusedError(reason) : new Error(reason);
  } finally {
    transport.close();
  }
}

async function passwordOf({ passwordFile, passwordVariable, smtp }: MailSink): Promise<string> {
  if (passwordFile !== undefined) return passwordIn(passwordFile);
  const password = passwordVariable === undefined ? undefined : process.env[passwordVariable];
  if (password === undefined || password === '') throw new RefusedError(`${smtp} needs a password, and ${passwordVariable ?? 'nothing'} is set in the daemon's environment; set it and mount again`);
  return password;
}

async function passwordIn(path: string): Promise<string> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    throw new RefusedError(`the password in ${path} cannot be read (${error.code ?? 'unknown error'})`);
  });
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new RefusedError(`${path} is not a file`);
    if ((stats.mode & 0o077) !== 0) throw new RefusedError(`${path} can be read by others; chmod 600 ${path}`);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(longestPasswordBytes), 0, longestPasswordBytes, 0);
    return buffer.toString('utf8', 0, bytesRead).replace(/\r?\n$/, '');
  } finally {
    await file.close();
  }
}
