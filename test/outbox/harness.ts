import { setImmediate as turn } from "node:timers/promises";
import type { WebhookConfig } from "../../src/config/config.ts";
import { Secret } from "../../src/config/secret.ts";
import { createSender } from "../../src/outbox/deliver.ts";
import { webhookDispatcher } from "../../src/outbox/dispatcher.ts";
import type { FormattedEvent } from "../../src/outbox/format.ts";
import { formatOf } from "../../src/outbox/formats/index.ts";
import { WebhookWorker } from "../../src/outbox/worker.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Lease } from "../../src/ports/store.ts";
import type { DeliveryFact } from "../../src/ports/telemetry.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { MemoryNotes, MemoryOutbox } from "../support/memory-outbox.ts";

export const HOUR = 3_600_000;

export function webhookConfig(url: string, overrides: Partial<WebhookConfig> = {}): WebhookConfig {
  return {
    name: "ops",
    urls: [new Secret(url)],
    secrets: [],
    format: "cloudevents",
    events: ["task.failed"],
    match: { project: null, instance: null, task: null, engine: null, region: null },
    headers: {},
    auth: null,
    tls: null,
    timeout: 15_000,
    retry: { for: 72 * HOUR, refused_for: HOUR, min: 1_000, max: HOUR },
    concurrency: 4,
    group: null,
    dead_letters: 30 * 24 * HOUR,
    routing_key: null,
    template: null,
    content_type: null,
    ...overrides,
  };
}

export const lease = (shard: number, fence = 1): Lease => ({ shard, owner: "me", fence });

/** A clock that does not move, an outbox in memory, and workers on real sockets; everything is closed at the end. */
export class Workbench implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly outbox = new MemoryOutbox();
  readonly notes = new MemoryNotes();
  readonly facts: DeliveryFact[] = [];
  leases: Lease[] = [lease(0)];
  /** Shards whose lease is in doubt. */
  readonly doubtful = new Set<number>();
  readonly #workers: WebhookWorker[] = [];
  #sending = 0;
  #watchers: { readonly holds: () => boolean; readonly resolve: () => void }[] = [];

  /** @param leases Of this worker alone; else those of the bench. */
  start(webhook: WebhookConfig, leases: () => readonly Lease[] = () => this.leases): WebhookWorker {
    const sender = createSender(webhook, webhookDispatcher(webhook), this.clock satisfies Clock, "1.2.3");
    const worker = new WebhookWorker({
      webhook,
      format: formatOf(webhook),
      sender: {
        ...sender,
        send: (message, signal) => {
          this.#sending++;
          return sender.send(message, signal).finally(() => {
            this.#sending--;
            this.#look();
          });
        },
      },
      outbox: this.outbox,
      notes: this.notes,
      clock: this.clock,
      random: () => 0.5,
      leases,
      stillMine: ({ shard, fence }) =>
        !this.doubtful.has(shard) && leases().some((one) => one.shard === shard && one.fence === fence),
      emit: (fact) => {
        this.facts.push(fact);
        this.#look();
      },
    });
    this.#workers.push(worker);
    worker.start();
    return worker;
  }

  put(
    lane: string,
    body: string,
    options: { readonly shard?: number; readonly webhooks?: readonly string[] } = {},
  ): void {
    this.outbox.put(options.shard ?? 0, options.webhooks ?? ["ops"], { lane, body }, this.clock.now());
    for (const worker of this.#workers) worker.wake(options.shard ?? 0);
  }

  /** A whole event, in the lane of its task unless another is named. */
  putEvent(
    { id, type, body }: FormattedEvent,
    options: { readonly lane: string; readonly shard?: number },
  ): void {
    const { lane, shard = 0 } = options;
    this.outbox.put(shard, ["ops"], { lane, body, id, type }, this.clock.now());
    for (const worker of this.#workers) worker.wake(shard);
  }

  of<K extends DeliveryFact["kind"]>(kind: K): Extract<DeliveryFact, { kind: K }>[] {
    return this.facts.filter((fact): fact is Extract<DeliveryFact, { kind: K }> => fact.kind === kind);
  }

  /** Resolves as soon as it holds after a fact. The clock does not move. */
  async until(holds: () => boolean): Promise<void> {
    if (!holds()) await new Promise<void>((resolve) => this.#watchers.push({ holds, resolve }));
  }

  /** Moves the clock from one wait to the next, only while nothing is in flight, until it holds. */
  async advanceUntil(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.outbox.held > 0) await this.outbox.changed();
      else if (this.clock.nextWake === null) await turn();
      else await this.clock.advance(this.clock.nextWake);
    }
  }

  /** The same for workers that hold what they do not send yet: only requests are waited for. */
  async advanceSending(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.#sending > 0) {
        const sending = this.#sending;
        await this.until(() => this.#sending < sending || holds());
      } else if (this.clock.nextWake === null) await turn();
      else await this.clock.advance(this.clock.nextWake);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const stopped = Promise.all(this.#workers.map((worker) => worker.stop(0)));
    let open = true;
    const closed = stopped.then(() => {
      open = false;
    });
    while (open) {
      await this.clock.advance(1_000);
      await turn();
    }
    await closed;
  }

  #look(): void {
    const met = this.#watchers.filter(({ holds }) => holds());
    this.#watchers = this.#watchers.filter((watcher) => !met.includes(watcher));
    for (const { resolve } of met) resolve();
  }
}
