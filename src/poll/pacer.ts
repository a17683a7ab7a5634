import type { Clock } from "../ports/clock.ts";
import type { Budget, Tokens } from "../ports/store.ts";

/** Throttling never slows a project to less than this share of its budget. */
const SLOWEST = 0.1;
/** Without further throttling, the share grows by half so often. */
const RECOVERY_MS = 30_000;
/** Calls in flight when the throttling began all answer alike: they count as one. */
const SAME_THROTTLING_MS = 1_000;
const WITHOUT_STORE_MS = 1_000;

type Resolve = () => void;

const TAKEN = Promise.resolve();

/**
 * Hands out a project's call tokens, fetched from the shared budget a few at a time. Calls of polls that are under
 * way go before the first calls of others: a poll that waits between its pages only gets staler.
 */
export class Pacer {
  readonly #projectId: string;
  readonly #budget: Budget;
  readonly #clock: Clock;
  #rate: number;
  #share = 1;
  #shareChangedAt = 0;
  #fetching = false;
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

  /** Resolves with one token taken; rejects with the signal's reason. */
  take(kind: "continuing" | "starting", signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#fetching) return this.#queue(kind, signal);
    const asked = this.#ask(1);
    // Nearly always, where the bucket is in this process: no place in a queue is made for that.
    if (!(asked instanceof Promise) && asked.granted > 0) return TAKEN;
    const taken = this.#queue(kind, signal);
    void this.#fetch(asked);
    return taken;
  }

  #queue(kind: "continuing" | "starting", signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
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
      const { granted, retryIn } = await asked;
      // A token whose caller gave up meanwhile lapses: no burst builds up here beside the shared bucket.
      for (let left = granted; left > 0; left--) this.#next()?.();
      if (granted === 0 && this.#waits() > 0) await this.#wait(retryIn);
      if (this.#waits() === 0) break;
      asked = this.#ask(this.#batch());
    }
    this.#fetching = false;
  }

  #batch(): number {
    return Math.min(Math.max(1, Math.floor(this.rate / 20)), this.#waits());
  }

  #ask(want: number): Promise<Tokens> | Tokens {
    this.#recover();
    const taken = this.#budget.take(this.#projectId, this.rate, want);
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
