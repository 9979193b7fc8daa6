/**
 * A URL that gets each message as JSON by POST. Any 2xx answer means that it has been taken; what may pass (5xx, 408, 429, no answer) is tried again.
 */
import { hostname } from 'node:os';
import type { Sink } from '../config.js';
import type { Message } from '../message.js';
import { RefusedError } from './sink.js';

const limitMs = 10_000;
const passing: readonly number[] = [408, 425, 429];

export async function postWebhook(sink: Extract<Sink, { type: 'webhook' }>, message: Message): Promise<void> {
  let response: Response;
  try {
    response = await fetch(sink.url, {
      method: 'POST', body: JSON.stringify(message), redirect: 'manual', signal: AbortSignal.timeout(limitMs),
      headers: { 'content-type': 'application/json', 'user-agent': `tidemark (${encodeURIComponent(hostname())})` },
    });
  } catch (error) {
    throw new Error(reasonOf(error));
  }
  await response.body?.cancel();
  if (response.ok) return;
  const { status } = response;
  if (status >= 300 && status < 400) throw new RefusedError(`answered ${status}: it has moved to ${response.headers.get('location') ?? 'elsewhere'}; give that URL`);
  if (status >= 500 || passing.includes(status)) throw new Error(`answered ${status}`);
  throw new RefusedError(`answered ${status}`);
}

/** fetch hides the reason in `cause`. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `no answer within ${limitMs / 1000} s`;
  const cause = error.cause as { code?: unknown; message?: unknown } | undefined;
  return String(cause?.code ?? cause?.message ?? error.message);
}
