import type { WebhookConfig } from "../config/config.ts";
import type { Attempt } from "../outbox/attempt.ts";
import { AttemptLog, type RecentAttempt } from "../outbox/attempt-log.ts";
import { OPENS_AFTER } from "../outbox/breaker.ts";
import { createSender, type Sender } from "../outbox/deliver.ts";
import { webhookDispatcher } from "../outbox/dispatcher.ts";
import type { Clock, Random } from "../ports/clock.ts";
import type { StoredEvent } from "../ports/store.ts";
import type { DeliveryFact } from "../ports/telemetry.ts";
import { type AlertStore, LASTS_MS } from "./alert-store.ts";
import { AlertmanagerClient, type PostedEntry } from "./alertmanager-client.ts";
import { type AlertMaker, alertMaker, type InstanceSnapshot } from "./alerts.ts";
import { Receipts, type Untaken } from "./receipts.ts";

export interface AlertmanagerOptions {
  readonly webhook: WebhookConfig;
  readonly externalUrl: string;
  /** Outlives a changed configuration, so that what is no alert of the new one is ended. */
  readonly alertStore: AlertStore;
  readonly clock: Clock;
  readonly random: Random;
  /** Whether the shard's lease, by its local deadline, still is this replica's. */
  readonly mine: (shard: number) => boolean;
  readonly emit: (fact: DeliveryFact) => void;
  readonly onUnforeseen: (error: unknown) => void;
  /** Of the program, for the user agent. */
  readonly version: string;
}

/** One webhook of format alertmanager: what lasts, kept up to date at each of its addresses, none of which waits for another. */
export class Alertmanager {
  readonly alertStore: AlertStore;
  readonly #webhook: string;
  readonly #alerts: AlertMaker;
  readonly #mine: (shard: number) => boolean;
  readonly #clock: Clock;
  readonly #emit: (fact: DeliveryFact) => void;
  readonly #log: AttemptLog;
  readonly #receipts = new Receipts();
  readonly #sender: Sender;
  readonly #posters: readonly AlertmanagerClient[];
  /** Failed posts in a row, by address. */
  readonly #failures: number[];
  #down = false;

  constructor(options: AlertmanagerOptions) {
    const { webhook, externalUrl, alertStore, clock, emit, version } = options;
    this.alertStore = alertStore;
    this.#webhook = webhook.name;
    this.#alerts = alertMaker(webhook, externalUrl);
    this.#mine = options.mine;
    this.#clock = clock;
    this.#emit = emit;
    this.#log = new AttemptLog(webhook.name, clock, emit);
    this.#sender = createSender(webhook, webhookDispatcher(webhook), clock, version);
    this.#failures = webhook.urls.map(() => 0);
    this.#posters = webhook.urls.map(
      (url, index) =>
        new AlertmanagerClient({
          ...options,
          url: url.reveal(),
          sender: this.#sender,
          retry: webhook.retry,
          onAttempt: (attempt, entries, failures) => this.#attempted(index, attempt, entries, failures),
        }),
    );
  }

  /** No address takes anything. */
  get down(): boolean {
    return this.#down;
  }

  /** What no address has taken, of the shards that are ours. */
  untaken(): Untaken {
    const { alertStore } = this;
    const mine = [...alertStore.entries].filter(([, { shard }]) => this.#mine(shard));
    const away = this.#failures.every((count) => count > 0);
    const moment = { now: this.#clock.now(), monotonic: this.#clock.monotonic() };
    return this.#receipts.untaken(mine, away, moment);
  }

  /** Removes from the alertStore what needs no telling any more. Call it now and then. */
  tidy(): void {
    this.alertStore.tidy(this.#clock.now(), (id, entry) => this.#receipts.isUntaken(id, entry));
  }

  /** The last attempts, the oldest first. */
  recent(): readonly RecentAttempt[] {
    return this.#log.recent();
  }

  start(): void {
    for (const poster of this.#posters) poster.start();
  }

  update(snapshot: InstanceSnapshot): void {
    this.alertStore.set(snapshot, this.#alerts.lasting(snapshot), this.#clock.now());
  }

  /** What ended on our shards while this process did not have them, or had no time to tell. The newest event first. */
  restore(events: readonly StoredEvent[], shardOf: (key: string) => number): void {
    const now = this.#clock.now();
    for (const event of events) {
      const over = Math.abs(now - event.time) <= LASTS_MS ? this.#alerts.overWith(event) : null;
      if (over === null) continue;
      const shard = shardOf(over.key);
      if (this.#mine(shard)) this.alertStore.recall({ key: over.key, shard }, over.alert, event.time);
    }
  }

  /** What was seen is to be posted. */
  wake(): void {
    for (const poster of this.#posters) poster.wake();
  }

  /** Posts that are under way may end within the time. Never rejects. */
  async stop(withinMs: number): Promise<void> {
    await Promise.all(this.#posters.map((poster) => poster.stop(withinMs)));
    await this.#sender.close();
  }

  #attempted(address: number, attempt: Attempt, entries: readonly PostedEntry[], failures: number): void {
    const delivered = attempt.verdict.kind === "delivered";
    const alerts = entries.length;
    this.#receipts.posted(entries, delivered, this.#clock.monotonic());
    this.#log.attempted({ eventId: null, type: null, events: alerts, attempts: failures }, attempt);
    if (delivered) this.#emit({ kind: "posted", webhook: this.#webhook, alerts });
    this.#failures[address] = delivered ? 0 : failures + 1;
    const down = this.#failures.every((count) => count >= OPENS_AFTER);
    if (down === this.#down) return;
    this.#down = down;
    const { verdict } = attempt;
    if (!down) this.#emit({ kind: "breaker_closed", webhook: this.#webhook });
    else if (verdict.kind !== "delivered" && verdict.kind !== "disable")
      this.#emit({ kind: "breaker_opened", webhook: this.#webhook, reason: verdict.reason });
  }
}
