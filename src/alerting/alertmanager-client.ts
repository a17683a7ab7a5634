import { backoff } from "../core/backoff.ts";
import { type Attempt, exchange } from "../outbox/attempt.ts";
import type { Sender } from "../outbox/deliver.ts";
import type { Message } from "../outbox/format.ts";
import { WakeSignal } from "../outbox/wake-signal.ts";
import type { Clock, Random } from "../ports/clock.ts";
import { type AlertStore, type Entry, postable } from "./alert-store.ts";
import { REFRESH_MS } from "./receipts.ts";

export interface AlertmanagerClientOptions {
  /** Of one Alertmanager, without the path of its API. */
  readonly url: string;
  readonly alertStore: AlertStore;
  readonly sender: Sender;
  readonly clock: Clock;
  readonly random: Random;
  readonly retry: { readonly min: number; readonly max: number };
  /** Whether the shard's lease, by its local deadline, still is this replica's. */
  readonly mine: (shard: number) => boolean;
  /** @param failures In a row before this one. */
  readonly onAttempt: (attempt: Attempt, entries: readonly PostedEntry[], failures: number) => void;
  readonly onUnforeseen: (error: unknown) => void;
}

/** One entry of a post, with the identity of its alert. */
export type PostedEntry = readonly [id: string, entry: Entry];

const AT_ONCE = 200;
/** However long it asks to be left alone: the alerts last for twenty minutes. */
const LONGEST_WAIT_MS = 5 * 60_000;

/** Keeps one Alertmanager up to date: posts what is news to it, and all of it once a minute. */
export class AlertmanagerClient {
  readonly #options: AlertmanagerClientOptions;
  readonly #address: string;
  readonly #wakeSignal: WakeSignal;
  readonly #abort = new AbortController();
  /** What it was told, by the alert's identity. */
  readonly #told = new Map<string, Entry>();
  /** Monotonic. */
  #allAt = Number.NEGATIVE_INFINITY;
  #heldUntil = 0;
  /** Its clock less ours, milliseconds, as its last answer told. */
  #skew = 0;
  #failures = 0;
  #stopping = false;
  #loop: Promise<void> = Promise.resolve();

  constructor(options: AlertmanagerClientOptions) {
    this.#options = options;
    this.#address = apiAddress(options.url);
    this.#wakeSignal = new WakeSignal(options.clock);
  }

  start(): void {
    this.#loop = this.#run();
  }

  /** There is news. */
  wake(): void {
    this.#wakeSignal.notify();
  }

  /** A post that is under way may end within the time. Never rejects. */
  async stop(withinMs: number): Promise<void> {
    this.#stopping = true;
    this.#wakeSignal.notify();
    if (withinMs > 0) {
      const ended = new AbortController();
      const late = this.#options.clock.sleep(withinMs, ended.signal).catch(() => undefined);
      await Promise.race([this.#loop, late]);
      ended.abort();
    }
    this.#abort.abort(new Error("stopped"));
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      try {
        const wait = await this.#round();
        if (wait > 0) await this.#wakeSignal.wait(wait);
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        this.#options.onUnforeseen(error);
        await this.#wakeSignal.wait(REFRESH_MS);
      }
    }
  }

  /** One post, where there is anything to post. Returns the milliseconds until there may be more. */
  async #round(): Promise<number> {
    const { clock, sender } = this.#options;
    const now = clock.monotonic();
    if (now < this.#heldUntil) return this.#heldUntil - now;
    if (now - this.#allAt >= REFRESH_MS) {
      this.#told.clear();
      this.#allAt = now;
    }
    const news = this.#news();
    if (news.length === 0) return this.#allAt + REFRESH_MS - now;
    const message = postOf(
      this.#address,
      news.map(([, entry]) => entry),
      clock.now() + this.#skew,
    );
    const result = notGone(await exchange(sender, message, clock, this.#abort.signal));
    if (result.date !== null) this.#skew = result.date - clock.now();
    this.#learn(result, news);
    return 0;
  }

  #news(): readonly PostedEntry[] {
    const { alertStore, mine } = this.#options;
    const news: PostedEntry[] = [];
    for (const [id, entry] of alertStore.entries) {
      if (this.#told.get(id) === entry || !mine(entry.shard)) continue;
      news.push([id, entry]);
      if (news.length === AT_ONCE) break;
    }
    return news;
  }

  #learn(result: Attempt, news: readonly PostedEntry[]): void {
    const { clock, random, retry, onAttempt } = this.#options;
    const { verdict } = result;
    onAttempt(result, news, this.#failures);
    // Of a post that it refuses, Alertmanager takes what it can.
    if (verdict.kind === "delivered" || verdict.kind === "refused")
      for (const [id, entry] of news) this.#told.set(id, entry);
    if (verdict.kind === "delivered") {
      this.#failures = 0;
      return;
    }
    this.#failures++;
    if (verdict.kind !== "retry") return;
    const asked = verdict.retryAfter ?? 0;
    const own = backoff(this.#failures, retry, random());
    const wait = Math.max(Math.min(own, REFRESH_MS), Math.min(asked, LONGEST_WAIT_MS));
    this.#heldUntil = clock.monotonic() + wait;
  }
}

/** A 410 disables what is delivered; of what is only kept up to date nothing is lost by asking again. */
function notGone(result: Attempt): Attempt {
  if (result.verdict.kind !== "disable") return result;
  const verdict = { kind: "retry", reason: "refused", group: "refused_for", retryAfter: null } as const;
  return { ...result, verdict };
}

const API_PATH = "/api/v2/alerts";

/** Of the API v2 below the URL that is configured, whether or not that names it already. */
export function apiAddress(url: string): string {
  const address = new URL(url);
  const base = address.pathname.replace(/\/+$/, "");
  address.pathname = base.endsWith(API_PATH) ? base : `${base}${API_PATH}`;
  return address.href;
}

/** @param now by the Alertmanager's clock */
export const postOf = (
  url: string,
  entries: readonly Pick<Entry, "alert" | "endedAt">[],
  now: number,
): Message => ({
  method: "POST",
  url,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(entries.map((entry) => postable(entry, now))),
});
