import type { WebhookConfig } from "../config/config.ts";
import type { OutboxCount } from "../ports/store.ts";
import type { DeliveryFact, OutboxEvent } from "../ports/telemetry.ts";
import { Orphans, type OrphansOptions } from "./orphans.ts";

export interface OutboxHousekeepingOptions extends Omit<OrphansOptions, "emit"> {
  readonly emit: (event: OutboxEvent) => void;
  /** What waits outside the outbox, by the webhook's name: changes that no Alertmanager has taken. */
  readonly untaken: () => ReadonlyMap<string, Waiting>;
}

type Waiting = Pick<OutboxCount, "pending" | "oldestAt">;

/** How long dead letters of a webhook are kept that is not configured any more; the default of those that are. */
const KEEP_MS = 30 * 86_400_000;

/** What the outbox needs beside deliveries: its counts told, what nobody delivers settled, what is old pruned. */
export class OutboxHousekeeping {
  readonly #options: OutboxHousekeepingOptions;
  readonly #orphans: Orphans;
  #webhooks: readonly WebhookConfig[] = [];
  /** Not configured, with deliveries or dead letters left as of the last count. */
  #former: readonly string[] = [];

  constructor(options: OutboxHousekeepingOptions) {
    this.#options = options;
    const emit = (fact: DeliveryFact) => options.emit({ kind: "outbox", fact });
    this.#orphans = new Orphans({ ...options, emit });
  }

  apply(webhooks: readonly WebhookConfig[]): void {
    this.#webhooks = webhooks;
  }

  /** Over the shards that are ours. Rejects as the store does. */
  async count(): Promise<void> {
    const { outbox, leases, emit } = this.#options;
    const sums = new Map<string, { pending: number; oldestAt: number | null; dead: number }>();
    const sumOf = (webhook: string) => {
      const sum = sums.get(webhook) ?? { pending: 0, oldestAt: null, dead: 0 };
      sums.set(webhook, sum);
      return sum;
    };
    for (const { name } of this.#webhooks) sumOf(name);
    for (const { shard } of leases()) {
      for (const { webhook, pending, oldestAt, dead } of await outbox.counts(shard)) {
        const sum = sumOf(webhook);
        sum.pending += pending;
        sum.dead += dead;
        if (oldestAt !== null) sum.oldestAt = Math.min(sum.oldestAt ?? oldestAt, oldestAt);
      }
    }
    const configured = new Map(this.#webhooks.map((webhook) => [webhook.name, webhook]));
    const untaken = this.#options.untaken();
    for (const webhook of this.#former) sumOf(webhook);
    for (const [webhook, sum] of sums) {
      const waiting = added(sum, untaken.get(webhook));
      emit({ kind: "outbox.counts", webhook, configured: configured.has(webhook), ...waiting });
    }
    const former = [...sums].filter(([name]) => !configured.has(name));
    this.#former = former.flatMap(([name, { pending, dead }]) => (pending + dead > 0 ? [name] : []));
    // Format alertmanager has no deliveries: what waits under its name was another webhook's.
    const delivered = (name: string) => (configured.get(name)?.format ?? "alertmanager") !== "alertmanager";
    const orphaned = [...sums].filter(([name, { pending }]) => pending > 0 && !delivered(name));
    await this.#orphans.look(new Map(orphaned.map(([name, { pending }]) => [name, pending])));
  }

  /** Rejects as the store does. */
  async prune(eventsBefore: number): Promise<void> {
    const { outbox, leases, clock } = this.#options;
    const now = clock.now();
    const dead = new Map([
      ...this.#former.map((name) => [name, now - KEEP_MS] as const),
      ...this.#webhooks.map(({ name, dead_letters }) => [name, now - dead_letters] as const),
    ]);
    // What happened before a removal is pending for its retry time at most, and a dead letter for its own after that.
    const retried = Math.max(0, ...this.#webhooks.map(({ retry }) => retry.for));
    const removedBefore = Math.min(eventsBefore, now - KEEP_MS, ...dead.values()) - retried;
    for (const lease of leases()) await outbox.prune(lease, eventsBefore, dead, removedBefore);
  }
}

/** Both kinds of waiting as one: the sum, and the older of the oldest. */
export function added<T extends Waiting>(sum: T, more: Waiting | undefined): T {
  if (more === undefined) return sum;
  const oldest = [sum.oldestAt, more.oldestAt].filter((at) => at !== null);
  const oldestAt = oldest.length === 0 ? null : Math.min(...oldest);
  return { ...sum, pending: sum.pending + more.pending, oldestAt };
}
