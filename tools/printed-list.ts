/**
 * Prints a long list while it comes, in portions, so that neither command nor daemon has to hold it. In: items, as they come. Out: text on standard output.
 *
 * Invariants:
 * 1. Portions are printed one after the other; `finish` rejects with what went wrong in any of them, and no end is printed then.
 */
import { table } from './format.js';
import { print } from './output.js';

const itemsInPortion = 1000;

/** How a list looks: `portion` gets the number of items before it. */
export interface ListForm<Item> {
  portion(items: readonly Item[], before: number): string;
  /** What comes last. */
  end(count: number): string;
}

export class PrintedList<Item> {
  readonly #form: ListForm<Item>;
  readonly #onFault: () => void;
  #items: Item[] = [];
  #count = 0;
  #printing: Promise<void> = Promise.resolve();
  /** What went wrong in printing. */
  fault: unknown = undefined;

  /** `onFault`: nobody reads any more. */
  constructor(form: ListForm<Item>, onFault: () => void) {
    this.#form = form;
    this.#onFault = onFault;
  }

  add(item: Item): void {
    this.#items.push(item);
    if (this.#items.length === itemsInPortion) this.#flush();
  }

  /** Resolves with how many there were, when all is printed. */
  async finish(): Promise<number> {
    this.#flush();
    await this.#printing;
    await print(this.#form.end(this.#count));
    return this.#count;
  }

  #flush(): void {
    if (this.#items.length === 0) return;
    const text = this.#form.portion(this.#items, this.#count);
    this.#count += this.#items.length;
    this.#items = [];
    this.#printing = this.#printing.then(() => print(text));
    this.#printing.catch((error: unknown) => {
      this.fault ??= error;
      this.#onFault();
    });
  }
}

/** A row a line. Columns keep their widths, unless a later portion needs more. */
export function tableForm<Item>(row: (item: Item) => readonly string[], right: readonly number[]): ListForm<Item> {
  const widths: number[] = [];
  return { portion: (items) => table(items.map(row), right, widths), end: () => '' };
}

/** One JSON array, one element a line. */
export function jsonForm<Item>(element: (item: Item) => unknown): ListForm<Item> {
  return {
    portion: (items, before) => `${before === 0 ? '[' : ','}\n${items.map((item) => JSON.stringify(element(item))).join(',\n')}`,
    end: (count) => (count === 0 ? '[]\n' : '\n]\n'),
  };
}
