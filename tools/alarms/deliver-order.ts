/** What the daemon (courier.ts) and a delivery's process (deliver.ts) say to each other: one line of JSON each way. */
import type { Sink } from './config.js';
import type { Message } from './message.js';

export interface Order {
  readonly sink: Sink;
  readonly message: Message;
}

export type Delivery = { readonly tries: number } | { readonly error: string };

export interface Answer {
  /** The order's. */
  readonly id: number;
  readonly delivery: Delivery;
}

/** More than all tries and pauses of a sink together. */
export const longestDeliveryMs = 140_000;
