/**
 * The thread that judges which moments stay: of a million it takes seconds, which would hold up whoever asks the main thread. In: where the index is, and what else counts. Out: the
 * plan, or why there is none.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from './errors.js';
import { IndexStore } from './index-store.js';
import type { Policy } from './policy.js';
import { planPruning } from './pruning-plan.js';
import type { PruningPlan } from './pruning-plan.js';
import { Transactions } from './transactions.js';

export interface PlanningOrder {
  readonly indexDirectory: string;
  readonly createdNs: bigint;
  /** Pinned or in use. */
  readonly held: ReadonlySet<number>;
  readonly policy: Policy;
  readonly nowMs: number;
}

export type PlanningAnswer = { readonly plan: PruningPlan } | { readonly failed: string };

async function plan({ indexDirectory, createdNs, held, policy, nowMs }: PlanningOrder): Promise<PruningPlan> {
  const index = new IndexStore(indexDirectory);
  try {
    return await planPruning({ transactions: new Transactions(index, createdNs), held, policy, nowMs });
  } finally {
    await index.close();
  }
}

const port = parentPort!;
try {
  const made = await plan(workerData as PlanningOrder);
  port.postMessage({ plan: made } satisfies PlanningAnswer, [made.kept.buffer as ArrayBuffer]);
} catch (error) {
  port.postMessage({ failed: messageOf(error) } satisfies PlanningAnswer);
}
