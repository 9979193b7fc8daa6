/** The process of a user's session: gets its order and the connection from the daemon, and ends with either. */
import type { Socket } from 'node:net';
import { UserSession } from './session.js';
import type { SessionOrder } from './session.js';

process.once('message', (order: SessionOrder, socket: Socket | undefined) => {
  process.title = 'tidemark backup: for a user';
  if (socket === undefined) process.exit();
  new UserSession(order, socket).serve().finally(() => { process.exit(); });
});
process.on('disconnect', () => { process.exit(1); });
