/**
 * Brings one message to one sink: a program of its own, so that neither a mail library nor a hanging server is ever in the daemon. In: an order as JSON on standard input. Out: one
 * line of JSON that says how it went.
 */
import { text } from 'node:stream/consumers';
import { longestDeliveryMs } from './deliver-order.js';
import type { Answer, Delivery, Order } from './deliver-order.js';
import { withRetries } from './sinks/sink.js';

/** Several processes share a pipe: an answer must fit into one write. */
const longestError = 1000;

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
  process.stdout.on('error', () => undefined); // The daemon may have ended meanwhile.
  const order = JSON.parse(await text(process.stdin)) as Order & Pick<Answer, 'id'>;
  const tell = (delivery: Delivery): void => void process.stdout.write(`${JSON.stringify({ id: order.id, delivery } satisfies Answer)}\n`);
  setTimeout(() => {
    tell({ error: `it took longer than ${longestDeliveryMs / 1000} s` });
    process.exit();
  }, longestDeliveryMs).unref();
  try {
    tell({ tries: await deliver(order) });
  } catch (error) {
    tell({ error: (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, ' ').slice(0, longestError) });
  }
}

await main();
