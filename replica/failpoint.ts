/**
 * Where a run may be cut off, for tests: with TIDEMARK_BACKUP_FAILPOINT=n in its environment the process kills itself when it passes the n-th of these points. Without it they do nothing.
 */
let left = Number(process.env['TIDEMARK_BACKUP_FAILPOINT'] ?? 0);

export function failpoint(): void {
  if (left > 0 && --left === 0) process.kill(process.pid, 'SIGKILL');
}
