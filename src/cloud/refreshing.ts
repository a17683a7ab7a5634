import type { Clock } from "../ports/clock.ts";
import { untilAborted } from "../util/until-aborted.ts";

export interface Fetched<T> {
  readonly value: T;
  /** Tells this value from the one before. */
  readonly key: string;
  /** How long it holds from now, milliseconds. */
  readonly lifetimeMs: number;
}

interface Held<T> {
  readonly value: T;
  readonly key: string;
  /** By the monotonic clock: a wall clock that jumps must not make credentials look fresh or stale. */
  readonly refreshAt: number;
  readonly expiresAt: number;
}

/** However short a life is, the refresh begins with a quarter of it left. */
const LARGEST_MARGIN = 1 / 4;
/** Of the margin: the pause before another try, where a refresh failed or gave the same again. */
const PAUSE = 1 / 16;

/**
 * Credentials that run out. They are fetched anew some time before, in the background, while the old ones still
 * serve; only where there are none that hold does anybody wait. One fetch at a time, shared by all who wait.
 */
export class Refreshing<T> {
  readonly #fetch: (signal: AbortSignal) => Promise<Fetched<T>>;
  readonly #marginMs: number;
  readonly #clock: Clock;
  readonly #lifetime: AbortSignal;
  #held: Held<T> | null = null;
  #flight: Promise<void> | null = null;

  /**
   * @param marginMs how long before the end a refresh begins
   * @param lifetime ends the fetches that nobody waits for
   */
  constructor(
    fetch: (signal: AbortSignal) => Promise<Fetched<T>>,
    marginMs: number,
    clock: Clock,
    lifetime: AbortSignal,
  ) {
    this.#fetch = fetch;
    this.#marginMs = marginMs;
    this.#clock = clock;
    this.#lifetime = lifetime;
  }

  /** What is held, good or not; null before the first fetch. */
  get value(): T | null {
    return this.#held?.value ?? null;
  }

  /** Null when something is held that still serves; else resolves once there is. */
  prepare(signal: AbortSignal): Promise<void> | null {
    const held = this.#held;
    const now = this.#clock.monotonic();
    if (held !== null && now < held.expiresAt) {
      // Its failure is nobody's yet: the next call tries again, and the gate has counted it.
      if (now >= held.refreshAt) this.#fly().catch(() => {});
      return null;
    }
    return untilAborted(this.#fly(), signal);
  }

  /** Fetches anew unless `refused` is no longer what is held. */
  async renew(refused: T, signal: AbortSignal): Promise<void> {
    if (this.#held !== null && this.#held.value !== refused && this.#flight === null) return;
    await untilAborted(this.#fly(), signal);
  }

  /** What is held does not serve any more: the next call waits for another. */
  discard(): void {
    if (this.#held !== null) this.#held = { ...this.#held, expiresAt: Number.NEGATIVE_INFINITY };
  }

  #fly(): Promise<void> {
    this.#flight ??= this.#fetch(this.#lifetime)
      .then(
        (fetched) => this.#hold(fetched),
        (error: unknown) => {
          this.#pause();
          throw error;
        },
      )
      .finally(() => {
        this.#flight = null;
      });
    return this.#flight;
  }

  #hold({ value, key, lifetimeMs }: Fetched<T>): void {
    const now = this.#clock.monotonic();
    const margin = Math.min(this.#marginMs, lifetimeMs * LARGEST_MARGIN);
    const same = key === this.#held?.key;
    const refreshIn = same ? margin * PAUSE : lifetimeMs - margin;
    // A little less: the cloud says its time in whole seconds, and a refusal costs more than a fetch.
    const serves = lifetimeMs - margin * PAUSE;
    this.#held = { value, key, refreshAt: now + refreshIn, expiresAt: now + serves };
  }

  #pause(): void {
    if (this.#held === null) return;
    const now = this.#clock.monotonic();
    const margin = Math.min(this.#marginMs, Math.max(0, this.#held.expiresAt - now));
    this.#held = { ...this.#held, refreshAt: now + margin * PAUSE };
  }
}
