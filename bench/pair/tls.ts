/** A bare TLS connection on the loopback (tls-end.ts in two processes). In: an empty directory. Out: seconds. */
import { makeCertificates } from '../../test/support/certificates.js';
import { answers, freePort } from '../../test/support/ports.js';
import { execute, pause, startService } from '../command.js';

const program = `${import.meta.dirname}/tls-end.js`;

export class BareTls {
  readonly #directory: string;
  readonly #port: number;
  readonly #end: () => void;

  private constructor(directory: string, port: number, end: () => void) {
    this.#directory = directory;
    this.#port = port;
    this.#end = end;
  }

  static async with<T>(directory: string, body: (tls: BareTls) => Promise<T>): Promise<T> {
    await makeCertificates(directory);
    const port = await freePort();
    const { child } = startService(process.execPath, [program, 'serve', String(port), directory], { cwd: directory });
    const tls = new BareTls(directory, port, () => child.kill());
    try {
      while (!(await answers(port))) await pause(20);
      return await body(tls);
    } finally {
      tls.#end();
    }
  }

  /** Until the file is on the other end's disk. */
  copy(path: string): Promise<number> {
    return this.#run('copy', path);
  }

  /** The median of a byte's way there and back. */
  roundTrip(count: number): Promise<number> {
    return this.#run('echo', String(count));
  }

  async #run(...words: [string, string]): Promise<number> {
    const [role, what] = words;
    return Number(await execute(process.execPath, [program, role, String(this.#port), what], { cwd: this.#directory }));
  }
}
