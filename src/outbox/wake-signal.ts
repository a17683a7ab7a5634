import type { Clock } from "../ports/clock.ts";

/** A wait that somebody may end early. A ring that nobody waits for ends the next wait at once. */
export class WakeSignal {
  readonly #clock: Clock;
  #rung = false;
  #waiting: AbortController | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  notify(): void {
    this.#rung = true;
    this.#waiting?.abort();
  }

  async wait(ms: number): Promise<void> {
    if (!this.#rung) {
      const waiting = new AbortController();
      this.#waiting = waiting;
      await this.#clock.sleep(ms, waiting.signal).catch(() => undefined);
      this.#waiting = null;
    }
    this.#rung = false;
  }
}
