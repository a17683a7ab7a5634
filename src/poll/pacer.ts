import type { Clock } from "../ports/clock.ts";
import type { Budget, Tokens } from "../ports/store.ts";

/** Throttling never slows a project to less than this share of its budget. */
const SLOWEST = 0.1;
/** Without further throttling, the share grows by half so often. */
const RECOVERY_MS = 30_000;
/** Calls in flight when the throttling began all answer alike: they count as one. */
const SAME_THROTTLING_MS = 1_000;
const WITHOUT_STORE_MS = 1_000;

/**
 * A token lapses this long after it was taken. The poll may have waited for a slow store, or its process was frozen,
 * and the other replicas have spent what is due since: used later, all such tokens would come on top of it. A bucket
 * leaves room for calls that are late by this much (`HOLDS_SECONDS` in store/token-bucket.ts).
 */
export const FRESH_MS = 100;
/** How far back the demand for tokens is measured. */
const DEMAND_MS = 1_000;

type Resolve = (takenAt: number) => void;

/**
 * Hands out a project's call tokens. Calls of polls that are under way go before the first calls of others: a poll
 * that waits between its pages only gets staler.
 *
 * Where the budget is shared through the store, tokens are taken ahead, so that an idle poll asks the store for
 * nothing: as many as the project used lately within `FRESH_MS`, and at most what its rate allows within `FRESH_MS`.
 * A token that is not used in this time lapses. So a call starts no later after its token was taken, and after the
 * state of the key was read with it, than if it had asked for one token alone.
 */
export class Pacer {
  readonly #projectId: string;
  readonly #budget: Budget;
  readonly #clock: Clock;
  #rate: number;
  #share = 1;
  #shareChangedAt = 0;
  #fetching = false;
  /** The budget answers over the network, as its last answer did. */
  #remote = false;
  /** Tokens taken ahead, by the time at which they were asked for, monotonic; the oldest first. */
  #ahead: number[] = [];
  /** Tokens handed out in the span of `DEMAND_MS` that `from` begins, and in the one before it. */
  #demand = { from: 0, tokens: 0, before: 0 };
  #pause: AbortController | null = null;
  readonly #waiting = { continuing: new Set<Resolve>(), starting: new Set<Resolve>() };

  constructor(projectId: string, ratePerSecond: number, budget: Budget, clock: Clock) {
    this.#projectId = projectId;
    this.#rate = ratePerSecond;
    this.#budget = budget;
    this.#clock = clock;
  }

  /** Calls per second that the project may make now. */
  get rate(): number {
    return this.#rate * this.#share;
  }

  /** Calls per second while nothing throttles it. */
  get configured(): number {
    return this.#rate;
  }

  setRate(ratePerSecond: number): void {
    this.#rate = ratePerSecond;
  }

  /** Resolves with the time at which one token was taken, monotonic. Rejects with the signal's reason. */
  take(kind: "continuing" | "starting", signal: AbortSignal): Promise<number> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const now = this.#clock.monotonic();
    this.#count(now);
    const takenAt = this.#takeAhead(now);
    if (takenAt !== undefined) return Promise.resolve(takenAt);
    if (this.#fetching) return this.#queue(kind, signal);
    const asked = this.#ask(Math.max(1, this.#wantAhead()));
    // Nearly always, where the bucket is in this process: no place in a queue is made for that.
    if (!(asked instanceof Promise) && asked.granted > 0) return Promise.resolve(now);
    const taken = this.#queue(kind, signal);
    void this.#fetch(asked);
    return taken;
  }

  #queue(kind: "continuing" | "starting", signal: AbortSignal): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const queue = this.#waiting[kind];
    queue.add(resolve);
    const leave = () => {
      if (!queue.delete(resolve)) return;
      reject(signal.reason);
      if (this.#waits() === 0) this.#pause?.abort();
    };
    signal.addEventListener("abort", leave, { once: true });
    return promise.finally(() => signal.removeEventListener("abort", leave));
  }

  /** The cloud said that it is too much: half the rate. */
  throttled(): void {
    const now = this.#clock.monotonic();
    if (this.#share < 1 && now - this.#shareChangedAt < SAME_THROTTLING_MS) return;
    this.#share = Math.max(SLOWEST, this.#share / 2);
    this.#shareChangedAt = now;
  }

  async #fetch(first: Promise<Tokens> | Tokens): Promise<void> {
    this.#fetching = true;
    let asked = first;
    for (;;) {
      const askedAt = this.#clock.monotonic();
      const { granted, retryIn } = await asked;
      const now = this.#clock.monotonic();
      for (let left = granted; left > 0; left--) {
        const next = this.#next();
        if (next) next(now);
        else if (this.#remote) this.#ahead.push(askedAt);
      }
      if (granted === 0 && this.#waits() > 0) await this.#wait(retryIn);
      if (this.#waits() === 0) break;
      asked = this.#ask(this.#batch());
    }
    this.#fetching = false;
  }

  #batch(): number {
    const forWaiting = Math.min(Math.max(1, Math.floor(this.rate / 20)), this.#waits());
    return Math.max(forWaiting, this.#wantAhead());
  }

  /** Tokens that the project uses within `FRESH_MS`, by its demand of late; none where the bucket is in this process. */
  #wantAhead(): number {
    if (!this.#remote) return 0;
    const { tokens, before } = this.#demand;
    const perSecond = Math.min(this.rate, (Math.max(tokens, before) * 1_000) / DEMAND_MS);
    return Math.floor((perSecond * FRESH_MS) / 1_000);
  }

  #count(now: number): void {
    const spans = Math.floor((now - this.#demand.from) / DEMAND_MS);
    if (spans > 0) {
      const { from, tokens } = this.#demand;
      this.#demand = { from: from + spans * DEMAND_MS, tokens: 0, before: spans === 1 ? tokens : 0 };
    }
    this.#demand.tokens += 1;
  }

  #takeAhead(now: number): number | undefined {
    while (this.#ahead.length > 0 && now - (this.#ahead[0] ?? 0) > FRESH_MS) this.#ahead.shift();
    return this.#ahead.shift();
  }

  #ask(want: number): Promise<Tokens> | Tokens {
    this.#recover();
    const taken = this.#budget.take(this.#projectId, this.rate, want);
    this.#remote = taken instanceof Promise;
    if (!(taken instanceof Promise)) return taken;
    // No store, no tokens: the calls wait, and the store's own trouble is told elsewhere.
    return taken.catch(() => ({ granted: 0, retryIn: WITHOUT_STORE_MS }));
  }

  async #wait(ms: number): Promise<void> {
    this.#pause = new AbortController();
    await this.#clock.sleep(Math.max(1, ms), this.#pause.signal).catch(() => {});
    this.#pause = null;
  }

  #next(): Resolve | undefined {
    const [resolve] = this.#waiting.continuing.size > 0 ? this.#waiting.continuing : this.#waiting.starting;
    if (resolve && !this.#waiting.continuing.delete(resolve)) this.#waiting.starting.delete(resolve);
    return resolve;
  }

  #recover(): void {
    const now = this.#clock.monotonic();
    if (this.#share >= 1 || now - this.#shareChangedAt < RECOVERY_MS) return;
    this.#share = Math.min(1, this.#share * 1.5);
    this.#shareChangedAt = now;
  }

  #waits(): number {
    return this.#waiting.continuing.size + this.#waiting.starting.size;
  }
}
