/** What `status --json` and `metrics` tell of the requests that a mount has answered. */
import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import t from 'tap';
import type { LatencySummary } from '../../tools/latency.js';
import { parseExposition, sampleOf } from '../support/exposition.js';
import { withMount } from '../support/mount.js';
import type { Mount } from '../support/mount.js';
import { isRefusal } from '../support/refusal.js';

t.setTimeout(120_000);

const fsyncCount = 100;
const mkdirCount = 50;

function syncAndMake(mount: Mount): void {
  const fd = openSync(mount.path('file'), 'w');
  for (let index = 0; index < fsyncCount; index += 1) {
    writeSync(fd, `${index}\n`);
    fsyncSync(fd);
  }
  closeSync(fd);
  for (let index = 0; index < mkdirCount; index += 1) mkdirSync(mount.path(`directory-${index}`));
}

void t.test('status and metrics count every request and tell how long it took', async (t) => {
  await withMount(t, {}, async (mount) => {
    const begunMs = performance.now();
    syncAndMake(mount);
    const [status] = await mount.json('status', mount.directory);
    const elapsedUs = (performance.now() - begunMs) * 1000;
    const operations = status?.['operations'] as Record<string, LatencySummary>;
    t.equal(operations['fsync']?.count, fsyncCount);
    t.equal(operations['mkdir']?.count, mkdirCount);
    t.notOk('rename2' in operations, 'what never happened is not told');
    for (const name of ['fsync', 'mkdir']) {
      const { meanUs = 0, p50Us = 0, p90Us = 0, p99Us = 0, p999Us = 0, maxUs = 0 } = operations[name] ?? {};
      t.ok(p50Us > 0 && p50Us <= p90Us && p90Us <= p99Us && p99Us <= p999Us && p999Us <= maxUs, `${name}: ${p50Us} ≤ ${p90Us} ≤ ${p99Us} ≤ ${p999Us} ≤ ${maxUs}`);
      t.ok(meanUs > 0 && meanUs <= maxUs && maxUs <= elapsedUs, `${name}: mean ${meanUs}`);
    }

    for (const named of [[mount.directory], []]) {
      const samples = parseExposition(await mount.cliWell('metrics', ...named));
      const volume = mount.directory;
      t.ok(samples.every(({ labels }) => labels['volume'] === volume));
      for (const [operation, count] of [['fsync', fsyncCount], ['mkdir', mkdirCount]] as const) {
        t.equal(sampleOf(samples, 'tidemark_request_duration_seconds_count', { volume, operation }), count);
        t.equal(sampleOf(samples, 'tidemark_request_duration_seconds_bucket', { volume, operation, le: '+Inf' }), count);
        t.ok(sampleOf(samples, 'tidemark_request_duration_seconds_sum', { volume, operation }) > 0);
      }
      t.ok(sampleOf(samples, 'tidemark_history_bytes', { volume }) > 0);
      t.ok(sampleOf(samples, 'tidemark_last_txid', { volume }) >= fsyncCount);
    }
  });
});

void t.test('metrics of what is not mounted are refused; of nothing mounted there are none', async (t) => {
  await withMount(t, {}, async (mount) => {
    await mount.unmount();
    isRefusal(t, await mount.cli('metrics', mount.directory), /no mounted volume/);
    t.equal(await mount.cliWell('metrics'), '');
  });
});
