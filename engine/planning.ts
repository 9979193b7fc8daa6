/**
 * The main thread's side of planning a pruning: starts the thread that judges (planning-worker.ts) and waits for its answer. In: what the plan depends on. Out: the plan.
 *
 * Invariants:
 * 1. The thread ends with its answer. It has its share of the processors like any other: on a full disk somebody waits for it.
 */
import { Worker } from 'node:worker_threads';
import { VolumeError } from './errors.js';
import type { PlanningAnswer, PlanningOrder } from './planning-worker.js';
import type { PruningPlan } from './pruning-plan.js';

/** The thread's JavaScript heap: a hundred bytes or so for each moment that is judged. */
const heapMb = 4096;

/** Throws VolumeError EIO when the index cannot be read. */
export function planInThread(order: PlanningOrder): Promise<PruningPlan> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./planning-worker.js', import.meta.url), { workerData: order, resourceLimits: { maxOldGenerationSizeMb: heapMb }, name: 'planning' });
    const fail = (why: string): void => { reject(new VolumeError('EIO', `what is to be given up could not be found out (${why}); run "tidemark verify"`)); };
    worker.on('message', (answer: PlanningAnswer) => {
      if ('plan' in answer) resolve(answer.plan);
      else fail(answer.failed);
    });
    worker.on('error', (error) => { fail(error.message); });
    worker.on('exit', () => { fail('its thread ended'); });
  });
}
