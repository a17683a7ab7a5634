/** The last `size` of the things that were added; `total` counts all. Each gets a number, `seq`, from 1. */
export class Ring<T extends object> {
  readonly #size: number;
  readonly #items: (T & { readonly seq: number })[] = [];
  #total = 0;

  constructor(size: number) {
    this.#size = size;
  }

  get total(): number {
    return this.#total;
  }

  add(item: T): T & { readonly seq: number } {
    const entry = { ...item, seq: this.#total + 1 };
    this.#items[this.#total % this.#size] = entry;
    this.#total += 1;
    return entry;
  }

  /** Oldest first. */
  list(): (T & { readonly seq: number })[] {
    const split = this.#items.length < this.#size ? 0 : this.#total % this.#size;
    return [...this.#items.slice(split), ...this.#items.slice(0, split)];
  }

  clear(): void {
    this.#items.length = 0;
    this.#total = 0;
  }
}
