import { systemClock } from "../../src/platform/clock.ts";
import type { Clock } from "../../src/ports/clock.ts";

/**
 * The system's clock, moved by the test: `advance` lets time pass for everything that waits, in one step, and `jump`
 * sets the wall clock alone. In between it goes on by itself, `pace` times as fast as the system's, so that real
 * sockets work as ever and nobody waits long for the next second.
 */
export class ShiftedClock implements Clock {
  readonly pace: number;
  readonly #began = systemClock.monotonic();
  #passed = 0;
  #jumped = 0;
  #moved = new AbortController();

  constructor(pace = 1) {
    this.pace = pace;
  }

  now(): number {
    return Math.floor(systemClock.now() + this.#ahead()) + this.#jumped;
  }

  monotonic(): number {
    return systemClock.monotonic() + this.#ahead();
  }

  #ahead(): number {
    return this.#passed + (systemClock.monotonic() - this.#began) * (this.pace - 1);
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const due = this.monotonic() + ms;
    for (let first = true; first || this.monotonic() < due; first = false) {
      const moved = this.#moved.signal;
      try {
        const left = (due - this.monotonic()) / this.pace;
        await systemClock.sleep(left, signal ? AbortSignal.any([signal, moved]) : moved);
      } catch (error) {
        if (!moved.aborted || signal?.aborted) throw error;
      }
    }
  }

  after(ms: number, act: () => void): () => void {
    const stopped = new AbortController();
    this.sleep(ms, stopped.signal).then(act, () => {});
    return () => stopped.abort();
  }

  /** Time has passed: both clocks go on, and every wait that ends within it ends now. */
  advance(ms: number): void {
    this.#passed += ms;
    const moved = this.#moved;
    this.#moved = new AbortController();
    moved.abort(new Error("time passed"));
  }

  /** Somebody set the wall clock, either way. */
  jump(ms: number): void {
    this.#jumped += ms;
  }
}
