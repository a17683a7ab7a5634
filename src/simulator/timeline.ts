/** What happens later, by the simulator's clock. Nothing runs by itself: `runUntil` is called before each answer. */
export class Timeline {
  readonly #heap: { readonly at: number; readonly order: number; readonly run: (at: number) => void }[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** Events of one moment run in the order they were added. */
  add(at: number, run: (at: number) => void): void {
    const heap = this.#heap;
    heap.push({ at, order: this.#order++, run });
    let child = heap.length - 1;
    while (child > 0) {
      const parent = (child - 1) >>> 1;
      if (!this.#swapIfEarlier(child, parent)) break;
      child = parent;
    }
  }

  /** Runs all that is due, in order of time; what it adds runs too when it is due. */
  runUntil(now: number): void {
    for (let top = this.#heap[0]; top !== undefined && top.at <= now; top = this.#heap[0]) {
      this.#removeTop();
      top.run(top.at);
    }
  }

  clear(): void {
    this.#heap.length = 0;
  }

  #removeTop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    heap[0] = last;
    let parent = 0;
    for (;;) {
      const left = parent * 2 + 1;
      const right = left + 1;
      const child = right < heap.length && this.#earlier(right, left) ? right : left;
      if (child >= heap.length || !this.#swapIfEarlier(child, parent)) return;
      parent = child;
    }
  }

  #swapIfEarlier(a: number, b: number): boolean {
    const first = this.#heap[a];
    const second = this.#heap[b];
    if (!first || !second || !this.#earlier(a, b)) return false;
    this.#heap[a] = second;
    this.#heap[b] = first;
    return true;
  }

  #earlier(a: number, b: number): boolean {
    const first = this.#heap[a];
    const second = this.#heap[b];
    if (!first || !second) return false;
    return first.at < second.at || (first.at === second.at && first.order < second.order);
  }
}
