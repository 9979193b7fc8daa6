/**
 * Brings one message to one sink: a program of its own, so that neither a mail library nor a hanging server is ever in the daemon. In: an order as JSON on standard input. Out: one
 * line of JSON that says how it went.
 */
import { text } from 'node:stream/consumers';
import type { Sink } from './config.js';
import type { Message } from './message.js';
import { withRetries } from './sinks/sink.js';

export interface Order {
  readonly sink: Sink;
  readonly message: Message;
}

export type Delivery = { readonly tries: number } | { readonly error: string };

async function deliver({ sink, message }: Order): Promise<number> {
  switch (sink.type) {
    case 'log': throw new Error('the daemon writes its log itself');
    case 'command': {
      const { runCommand } = await import('./sinks/command.js');
      return withRetries(() => runCommand(sink, message));
    }
    case 'webhook': {
      const { postWebhook } = await import('./sinks/webhook.js');
      return withRetries(() => postWebhook(sink, message));
    }
    case 'mail': {
      const { sendMail } = await import('./sinks/mail.js');
      return withRetries(() => sendMail(sink, message));
    }
  }
}

async function main(): Promise<void> {
  // The daemon's is 0: what a command makes would be everybody's.
  process.umask(0o077);
  const order = JSON.parse(await text(process.stdin)) as Order;
  let delivery: Delivery;
  try {
    delivery = { tries: await deliver(order) };
  } catch (error) {
    delivery = { error: (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, ' ') };
  }
  process.stdout.on('error', () => undefined); // The daemon may have ended meanwhile.
  process.stdout.write(`${JSON.stringify(delivery)}\n`);
}

await main();
