import type { Clock } from "../ports/clock.ts";

/**
 * Wall clock for due times that never runs backwards and never stands still: after the clock was set back,
 * a delivery that waits for a stored time would otherwise wait that much longer.
 */
export class NonDecreasingClock {
  readonly #clock: Clock;
  #offset: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#offset = clock.now() - clock.monotonic();
  }

  /** Epoch milliseconds. */
  now(): number {
    this.#offset = Math.max(this.#offset, this.#clock.now() - this.#clock.monotonic());
    return Math.round(this.#clock.monotonic() + this.#offset);
  }
}
