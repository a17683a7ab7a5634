import type { Clock } from "../ports/clock.ts";

/** Wakes one waiter early. A notification that nobody waits for ends the next wait at once. */
export class WakeSignal {
  readonly #clock: Clock;
  #notified = false;
  #waiting: AbortController | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  notify(): void {
    this.#notified = true;
    this.#waiting?.abort();
  }

  async wait(ms: number): Promise<void> {
    if (!this.#notified) {
      const waiting = new AbortController();
      this.#waiting = waiting;
      await this.#clock.sleep(ms, waiting.signal).catch(() => undefined);
      this.#waiting = null;
    }
    this.#notified = false;
  }
}
