import type { Clock } from "../../src/ports/clock.ts";

interface Sleeper {
  readonly due: number;
  readonly wake: () => void;
}

interface Watcher {
  readonly holds: () => boolean;
  readonly resolve: () => void;
}

/**
 * A clock that stands still until the test moves it. `advance` wakes sleepers in the order of their due times,
 * each at its own time, and lets the program run between them. What waits for a real socket is not waited for:
 * await the event that the socket brings.
 */
export class ManualClock implements Clock {
  #wall: number;
  #monotonic = 0;
  readonly #sleepers = new Set<Sleeper>();
  readonly #watchers = new Set<Watcher>();

  /** @param start Epoch milliseconds, or an ISO 8601 time. */
  constructor(start: number | string = "2026-11-24T10:00:00.000Z") {
    this.#wall = typeof start === "string" ? Date.parse(start) : start;
  }

  now(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = () => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason);
      };
      const sleeper: Sleeper = {
        due: this.#monotonic + Math.max(ms, 0),
        wake: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#sleepers.add(sleeper);
      for (const watcher of this.#watchers) if (watcher.holds()) watcher.resolve();
    });
  }

  after(ms: number, act: () => void): () => void {
    const sleeper: Sleeper = { due: this.#monotonic + Math.max(ms, 0), wake: act };
    this.#sleepers.add(sleeper);
    return () => this.#sleepers.delete(sleeper);
  }

  /** Moves both clocks forward by `ms`, waking every sleep that ends within it, also those begun meanwhile. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonic + ms;
    await settled();
    for (;;) {
      const next = this.#earliest();
      if (next === null || next.due > end) break;
      this.#move(next.due);
      this.#sleepers.delete(next);
      next.wake();
      await settled();
    }
    this.#move(end);
    await settled();
  }

  /** Moves the wall clock alone, either way, as an operator or NTP would. */
  jump(ms: number): void {
    this.#wall += ms;
  }

  /** Sleeps that have not ended. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  /** Milliseconds until the next sleep ends, null when nobody sleeps. */
  get nextWake(): number | null {
    const next = this.#earliest();
    return next === null ? null : next.due - this.#monotonic;
  }

  /** Resolves once a sleep is pending whose remaining time is within the bounds, so that the test may advance. */
  async untilSleeping(atLeastMs = 0, atMostMs = Number.POSITIVE_INFINITY): Promise<void> {
    const holds = () =>
      [...this.#sleepers].some(({ due }) => {
        const left = due - this.#monotonic;
        return left >= atLeastMs && left <= atMostMs;
      });
    if (holds()) return;
    await new Promise<void>((resolve) => {
      const watcher: Watcher = {
        holds,
        resolve: () => {
          this.#watchers.delete(watcher);
          resolve();
        },
      };
      this.#watchers.add(watcher);
    });
  }

  #earliest(): Sleeper | null {
    let first: Sleeper | null = null;
    for (const sleeper of this.#sleepers) if (first === null || sleeper.due < first.due) first = sleeper;
    return first;
  }

  #move(to: number): void {
    this.#wall += to - this.#monotonic;
    this.#monotonic = to;
  }
}

/** A few turns of the event loop: everything that needs no socket has run. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
