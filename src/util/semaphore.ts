/** At most so many at once; waiters are served in order. */
export class Semaphore {
  #free: number;
  #limit: number;
  readonly #waiting = new Set<() => void>();

  constructor(limit: number) {
    this.#limit = limit;
    this.#free = limit;
  }

  /** Resolves with the function that gives the place back; rejects with the signal's reason. */
  async acquire(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#wait(signal);
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

  #wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    const leave = () => {
      if (this.#waiting.delete(resolve)) reject(signal.reason);
    };
    signal.addEventListener("abort", leave, { once: true });
    return promise.finally(() => signal.removeEventListener("abort", leave));
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
