import type { Clock } from "../ports/clock.ts";
import type { Delivery, Lease, Outbox } from "../ports/store.ts";
import type { DeliveryFact } from "../ports/telemetry.ts";
import { ALL_DUE } from "./due-shards.ts";

export interface OrphansOptions {
  readonly outbox: Outbox;
  readonly clock: Clock;
  /** The shards that this replica owns and means to keep. */
  readonly leases: () => readonly Lease[];
  readonly emit: (fact: DeliveryFact) => void;
}

/**
 * Replicas read a changed configuration at different moments, and somebody who took a webhook out may put it back:
 * what waits for it is kept for so long.
 */
const GRACE_MS = 60 * 60_000;
/** Settled in one write. */
const BATCH = 100;

interface Batch {
  readonly lease: Lease;
  readonly webhook: string;
  readonly deliveries: readonly Delivery[];
}

/**
 * Deliveries of webhooks that nobody delivers to any more, because they were renamed, or taken out of the configuration.
 * They become dead letters: these can be listed, replayed when the webhook is back, and go by their time.
 */
export class Orphans {
  readonly #options: OrphansOptions;
  /** Since when each was seen to be one; monotonic. */
  readonly #since = new Map<string, number>();
  /** Claimed, and not settled because the store did not answer: while the lease is held nobody else can. */
  readonly #unsettled = new Set<Batch>();

  constructor(options: OrphansOptions) {
    this.#options = options;
  }

  /** Now and then, with what waits for whom nobody delivers to, on our shards. Rejects as the store does. */
  async look(pending: ReadonlyMap<string, number>): Promise<void> {
    const { clock, emit } = this.#options;
    const now = clock.monotonic();
    for (const batch of this.#unsettled) await this.#settle(batch);
    for (const webhook of this.#since.keys()) if (!pending.has(webhook)) this.#since.delete(webhook);
    for (const [webhook, events] of pending) {
      const since = this.#since.get(webhook);
      if (since === undefined) {
        this.#since.set(webhook, now);
        emit({ kind: "orphaned", webhook, events, graceSeconds: GRACE_MS / 1000 });
      } else if (now - since >= GRACE_MS) await this.#bury(webhook);
    }
  }

  async #bury(webhook: string): Promise<void> {
    const { outbox, leases, emit } = this.#options;
    let events = 0;
    for (const lease of leases()) {
      for (;;) {
        const claimed = await outbox.claim(lease, webhook, BATCH, ALL_DUE);
        if (claimed === "fenced" || claimed.deliveries.length === 0) break;
        const { deliveries } = claimed;
        if ((await this.#settle({ lease, webhook, deliveries })) === "fenced") break;
        events += deliveries.length;
      }
    }
    if (events > 0) emit({ kind: "dead_lettered", webhook, events });
  }

  async #settle(batch: Batch) {
    const { outbox, clock } = this.#options;
    const { lease, webhook, deliveries } = batch;
    const dead = { kind: "dead", reason: "the webhook is not configured any more" } as const;
    this.#unsettled.add(batch);
    const answer = await outbox.settle(lease, webhook, deliveries, dead, clock.now());
    this.#unsettled.delete(batch);
    return answer;
  }
}
