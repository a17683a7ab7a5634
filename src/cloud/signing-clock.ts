import type { Clock } from "../ports/clock.ts";

/** Below this, clocks agree: the gateway allows three times as much. */
const AGREE_MS = 5 * 60_000;

/**
 * The time that calls are signed by: the local wall clock, until a call was refused while the cloud's clock was
 * clearly another one. Then it is the cloud's clock, carried on by the monotonic one, until the local clock agrees
 * again. A wrong Date header alone never changes anything.
 */
export class SigningClock {
  readonly #clock: Clock;
  #cloud: { readonly at: number; readonly monotonic: number } | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    if (this.#cloud === null) return this.#clock.now();
    return this.#cloud.at + (this.#clock.monotonic() - this.#cloud.monotonic);
  }

  get corrected(): boolean {
    return this.#cloud !== null;
  }

  /**
   * Takes note of an answer.
   * @param date the answer's Date header, epoch milliseconds; null where there is none
   * @param refused the credentials were refused with it
   */
  saw(date: number | null, refused: boolean): void {
    if (date === null) return;
    const agrees = Math.abs(date - this.#clock.now()) <= AGREE_MS;
    if (agrees) this.#cloud = null;
    else if (refused || this.#cloud !== null) {
      this.#cloud = { at: date, monotonic: this.#clock.monotonic() };
    }
  }
}
