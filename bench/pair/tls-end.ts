/**
 * One end of a bare TLS 1.3 connection through one Node socket: what replication is compared with. In: the words `serve PORT DIRECTORY` or `copy|echo PORT …`, and the
 * files of test/support/certificates.ts in the working directory. Out: for `copy FILE` the seconds until the other end has the file on its disk, for `echo COUNT` the median of
 * a byte's way there and back, in seconds.
 */
import { createReadStream, createWriteStream, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { connect, createServer } from 'node:tls';
import type { TLSSocket } from 'node:tls';

const [role = '', port = '', what = ''] = process.argv.slice(2);
const version = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const;

/** What is sent is kept in a file; a byte sent first alone, `e`, asks for all others to be sent back. */
function serve(directory: string): void {
  const server = createServer({ ...version, key: readFileSync('server.key'), cert: readFileSync('server.crt'), allowHalfOpen: true }, (socket) => {
    socket.once('data', (first) => {
      if (first[0] === 0x65) {
        socket.setNoDelay(true).pipe(socket);
        return;
      }
      const file = createWriteStream(`${directory}/copied`, { flush: true });
      file.write(first.subarray(1));
      void pipeline(socket, file, { end: true }).then(() => socket.end('done'), () => socket.destroy());
    });
    socket.on('error', () => undefined);
  });
  server.listen(Number(port), '127.0.0.1', () => console.log('listening'));
}

async function open(): Promise<TLSSocket> {
  const socket = connect({ ...version, port: Number(port), host: '127.0.0.1', servername: 'localhost', ca: readFileSync('ca.pem') });
  await once(socket, 'secureConnect');
  return socket.setNoDelay(true);
}

async function copy(path: string): Promise<number> {
  const socket = await open();
  const startedAt = performance.now();
  socket.write('c');
  const ended = once(socket, 'data');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), socket);
  await ended;
  return (performance.now() - startedAt) / 1000;
}

async function echo(count: number): Promise<number> {
  const socket = await open();
  socket.write('e');
  await new Promise((resolve) => setTimeout(resolve, 100));
  const seconds: number[] = [];
  for (let index = 0; index < count; index++) {
    const startedAt = performance.now();
    socket.write('.');
    await once(socket, 'data');
    seconds.push((performance.now() - startedAt) / 1000);
  }
  socket.destroy();
  return seconds.sort((one, other) => one - other)[Math.floor(count / 2)] ?? Number.NaN;
}

if (role === 'serve') serve(what);
else console.log(role === 'copy' ? await copy(what) : await echo(Number(what)));
