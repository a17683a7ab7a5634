/** At most so many at once; waiters are served in order. */
export class Semaphore {
  #free: number;
  #limit: number;
  readonly #waiting = new Set<() => void>();

  constructor(limit: number) {
    this.#limit = limit;
    this.#free = limit;
  }

  /**
   * Resolves with the function that gives the place back; rejects with the signal's reason, but not before its turn
   * has come: those who hold the places end by the same signal, or in their own time.
   */
  async acquire(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.add(resolve));
    if (signal.aborted) {
      this.#release();
      throw signal.reason;
    }
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#release();
    };
  }

  /** A lower limit is reached as places are given back. */
  setLimit(limit: number): void {
    this.#free += limit - this.#limit;
    this.#limit = limit;
    while (this.#free > 0 && this.#waiting.size > 0) {
      this.#free -= 1;
      this.#next();
    }
  }

  #release(): void {
    if (this.#waiting.size > 0 && this.#free >= 0) this.#next();
    else this.#free += 1;
  }

  #next(): void {
    const [resolve] = this.#waiting;
    if (!resolve) return;
    this.#waiting.delete(resolve);
    resolve();
  }
}
