import type { Clock } from "../ports/clock.ts";

/** Below this, clocks agree: the gateway allows three times as much. */
const AGREE_MS = 5 * 60_000;

interface Reading {
  readonly at: number;
  readonly monotonic: number;
}

/**
 * The time that calls are signed by: the local wall clock, as long as it goes on from where the cloud last took it.
 * When somebody sets it by more, signing goes on by the monotonic clock, for the cloud's has not moved. Once a call
 * was refused while the cloud's clock was clearly another one, that one is followed, until the local clock agrees
 * again. A wrong Date header alone never changes anything.
 */
export class SigningClock {
  readonly #clock: Clock;
  /** What to sign by when the local clock does not go on from it. */
  #known: Reading | null = null;
  /** It is the cloud's, and not the local one of a time when both agreed. */
  #corrected = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    const local = this.#clock.now();
    if (this.#known === null) return local;
    const expected = this.#known.at + (this.#clock.monotonic() - this.#known.monotonic);
    return !this.#corrected && Math.abs(local - expected) <= AGREE_MS ? local : expected;
  }

  /**
   * Takes note of an answer.
   * @param date the answer's Date header, epoch milliseconds; null where there is none
   * @param refused the credentials were refused with it
   */
  saw(date: number | null, refused: boolean): void {
    if (date === null) return;
    const local = this.#clock.now();
    const monotonic = this.#clock.monotonic();
    if (Math.abs(date - local) <= AGREE_MS) {
      this.#corrected = false;
      this.#known = { at: local, monotonic };
    } else if (refused || this.#corrected) {
      this.#corrected = true;
      this.#known = { at: date, monotonic };
    }
  }
}
