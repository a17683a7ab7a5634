import type { Clock } from "../ports/clock.ts";

interface Watch {
  readonly at: number;
  readonly expire: () => void;
}

/**
 * Deadlines of many calls with one timer for all: calls come by the hundred per second and nearly all end in time,
 * so a timer each would be made to be thrown away. No timer runs while nothing is watched.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #watches = new Set<Watch>();
  #wake: AbortController | null = null;
  #due = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `expire` once after `ms`, unless the returned function was called before. */
  watch(ms: number, expire: () => void): () => void {
    const watch = { at: this.#clock.monotonic() + ms, expire };
    this.#watches.add(watch);
    if (watch.at < this.#due) this.#sleepUntil(watch.at);
    return () => {
      this.#watches.delete(watch);
      if (this.#watches.size === 0) this.#sleepUntil(Number.POSITIVE_INFINITY);
    };
  }

  #sleepUntil(due: number): void {
    this.#wake?.abort();
    this.#wake = null;
    this.#due = due;
    if (due === Number.POSITIVE_INFINITY) return;
    const wake = new AbortController();
    this.#wake = wake;
    this.#clock.sleep(Math.max(0, due - this.#clock.monotonic()), wake.signal).then(
      () => {
        if (this.#wake === wake) this.#expireDue();
      },
      () => {}, // Woken early: another sleep has taken its place.
    );
  }

  #expireDue(): void {
    const now = this.#clock.monotonic();
    let next = Number.POSITIVE_INFINITY;
    for (const watch of [...this.#watches]) {
      if (watch.at <= now) {
        this.#watches.delete(watch);
        watch.expire();
      } else next = Math.min(next, watch.at);
    }
    this.#sleepUntil(next);
  }
}
