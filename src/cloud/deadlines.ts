import type { Clock } from "../ports/clock.ts";

/** A link of the chain of all that is watched, the earliest begun first; one end of it is the chain's own. */
interface Watch {
  readonly at: number;
  readonly expire: () => void;
  before: Watch;
  after: Watch;
}

/**
 * Deadlines of many calls with one timer for all: calls come by the hundred per second and nearly all end in time,
 * so a timer each would be made to be thrown away. No timer runs while nothing is watched. They are chained, because
 * a set that thousands enter and leave costs as much as the rest of a call.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #ends: Watch;
  #wake: AbortController | null = null;
  #due = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
    const ends = { at: Number.POSITIVE_INFINITY, expire: () => {} } as unknown as Watch;
    ends.before = ends;
    ends.after = ends;
    this.#ends = ends;
  }

  /** Calls `expire` once after `ms`, unless the returned function was called before. */
  watch(ms: number, expire: () => void): () => void {
    const at = this.#clock.monotonic() + ms;
    const ends = this.#ends;
    const watch: Watch = { at, expire, before: ends.before, after: ends };
    ends.before.after = watch;
    ends.before = watch;
    if (at < this.#due) this.#sleepUntil(at);
    return () => {
      unchain(watch);
      if (ends.after === ends) this.#sleepUntil(Number.POSITIVE_INFINITY);
    };
  }

  #sleepUntil(due: number): void {
    if (due === this.#due) return;
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
    const over: Watch[] = [];
    let next = Number.POSITIVE_INFINITY;
    for (let watch = this.#ends.after; watch !== this.#ends; watch = watch.after) {
      if (watch.at <= now) over.push(watch);
      else next = Math.min(next, watch.at);
    }
    for (const watch of over) unchain(watch);
    this.#due = Number.NaN;
    this.#sleepUntil(next);
    for (const { expire } of over) expire();
  }
}

/** May be called again. */
function unchain(watch: Watch): void {
  watch.before.after = watch.after;
  watch.after.before = watch.before;
  watch.before = watch;
  watch.after = watch;
}
