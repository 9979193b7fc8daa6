/**
 * Two network namespaces joined by a cable that can be cut, in each direction alone. Needs root and iproute2. In: nothing. Out: where nodes can run, and the cuts.
 *
 * Invariants:
 * 1. Both namespaces are gone afterwards.
 */
import type { Places } from './pair.js';
import { run, runWell } from './processes.js';

export class Cable {
  readonly places: Places;
  readonly #names: readonly [string, string];
  #hardware: string[] = [];

  private constructor(names: readonly [string, string]) {
    this.#names = names;
    this.places = { prefixes: [this.#enter(0), this.#enter(1)], addresses: ['10.77.0.1', '10.77.0.2'] };
  }

  /** Makes both, runs the body, takes them away. */
  static async with(body: (cable: Cable) => Promise<void>): Promise<void> {
    const cable = new Cable([`tidemark-${process.pid}-a`, `tidemark-${process.pid}-b`]);
    try {
      await cable.#make();
      await body(cable);
    } finally {
      for (const name of cable.#names) await run('ip', ['netns', 'delete', name]);
    }
  }

  /** Nothing goes either way. */
  async cut(): Promise<void> {
    await runWell('ip', ['-n', this.#names[0], 'link', 'set', 'cable', 'down']);
  }

  /** What one node (0 or 1) sends does not arrive; it still hears the other. */
  async cutFrom(node: 0 | 1): Promise<void> {
    await this.#reach(node, '02:00:00:00:00:99');
  }

  async mend(): Promise<void> {
    await runWell('ip', ['-n', this.#names[0], 'link', 'set', 'cable', 'up']);
    for (const node of [0, 1] as const) await this.#reach(node, this.#hardware[1 - node]!);
  }

  async #make(): Promise<void> {
    const [a, b] = this.#names;
    for (const name of [a, b]) await runWell('ip', ['netns', 'add', name]);
    await runWell('ip', ['-n', a, 'link', 'add', 'cable', 'type', 'veth', 'peer', 'name', 'cable', 'netns', b]);
    for (const [node, name] of this.#names.entries()) {
      await runWell('ip', ['-n', name, 'address', 'add', `${this.places.addresses[node]!}/24`, 'dev', 'cable']);
      for (const link of ['lo', 'cable']) await runWell('ip', ['-n', name, 'link', 'set', link, 'up']);
      const shown = await runWell('ip', ['-n', name, '-o', 'link', 'show', 'cable']);
      this.#hardware.push(/link\/ether (\S+)/.exec(shown)?.[1] ?? '');
    }
  }

  /** To whom a node's frames for the other are addressed. */
  async #reach(node: 0 | 1, hardware: string): Promise<void> {
    await runWell('ip', ['-n', this.#names[node], 'neighbour', 'replace', this.places.addresses[1 - node]!, 'lladdr', hardware, 'dev', 'cable', 'nud', 'permanent']);
  }

  #enter(node: 0 | 1): string[] {
    return ['nsenter', `--net=/run/netns/${this.#names[node]}`];
  }
}
