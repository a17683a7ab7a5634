import type { Limit } from "./format.ts";

/** Limits the request rate by several limits at once. Remembers when the last requests went out. All times are monotonic. */
export class RateLimiter {
  readonly #limits: readonly Limit[];
  readonly #most: number;
  /** The oldest first, as many as the widest limit allows. */
  #sent: number[] = [];

  constructor(limits: readonly Limit[]) {
    this.#limits = limits;
    this.#most = Math.max(0, ...limits.map(({ requests }) => requests));
  }

  /** Returns how many requests may be sent now. */
  available(now: number): number {
    let free = Number.POSITIVE_INFINITY;
    for (const { requests, per } of this.#limits) {
      const within = this.#sent.filter((at) => leaves(at, per) > now).length;
      free = Math.min(free, requests - within);
    }
    return Math.max(0, free);
  }

  /** Returns the milliseconds until one more request may be sent. */
  retryAfter(now: number): number {
    let wait = 0;
    for (const { requests, per } of this.#limits) {
      const at = this.#sent.at(-requests);
      if (at !== undefined) wait = Math.max(wait, leaves(at, per) - now);
    }
    return Math.max(0, wait);
  }

  record(now: number): void {
    if (this.#most === 0) return;
    this.#sent.push(now);
    if (this.#sent.length > this.#most) this.#sent.shift();
  }
}

/**
 * When a request does not count any more. The receiver counts by when requests arrive, which is less regular than when
 * they leave: the first of a minute may have had to connect, which the first of the next one need not.
 */
const leaves = (at: number, per: number): number => at + per + 50 + Math.ceil(per / 100);
