import type { WebhookConfig } from "../config/config.ts";
import { fingerprint } from "../config/fingerprint.ts";
import type { RecentAttempt } from "./attempt-log.ts";
import { createSender } from "./deliver.ts";
import { webhookDispatcher } from "./dispatcher.ts";
import type { Format } from "./format.ts";
import { formatOf } from "./formats/index.ts";
import { RateLimiter } from "./rate-limit.ts";
import { WebhookWorker, type WorkerOptions } from "./worker.ts";

export interface WorkersOptions extends Omit<WorkerOptions, "webhook" | "format" | "sender" | "rateLimiter"> {
  /** Of the program, for the user agent. */
  readonly version: string;
}

export interface WebhookStatus {
  readonly name: string;
  readonly disabled: boolean;
  /** Taken for down: only probed. */
  readonly down: boolean;
  /** The oldest first. */
  readonly recent: readonly RecentAttempt[];
}

interface Running {
  readonly fingerprint: string;
  readonly worker: WebhookWorker;
}

/** One worker per webhook, none of which waits for another. */
export class WebhookWorkers {
  readonly #options: WorkersOptions;
  #running: ReadonlyMap<string, Running> = new Map();
  /** Replaced ones that still have something in flight. */
  readonly #retiring = new Map<string, Promise<void>>();
  readonly #retired = new Set<WebhookWorker>();
  /** By format, URL and routing key: several webhooks may send to one robot, and a new configuration does not make it forget. */
  #rateLimiters: ReadonlyMap<string, RateLimiter> = new Map();
  #stopped = false;

  constructor(options: WorkersOptions) {
    this.#options = options;
  }

  /**
   * Makes these the webhooks that are delivered to. One that did not change keeps its worker; a changed one begins
   * when its predecessor has nothing in flight. Throws, before anything is touched, for a template
   * that no check has seen. `format: alertmanager` does not go through the outbox and is passed over.
   */
  apply(webhooks: readonly WebhookConfig[]): void {
    const next = new Map<string, Running>();
    const begin: WebhookWorker[] = [];
    const rateLimiters = new Map<string, RateLimiter>();
    for (const webhook of webhooks) {
      if (webhook.format === "alertmanager") continue;
      const print = fingerprint(webhook);
      const running = this.#running.get(webhook.name);
      const format = formatOf(webhook);
      const robot = [webhook.format, webhook.urls[0].reveal(), webhook.routing_key?.reveal()].join(" ");
      const rateLimiter =
        rateLimiters.get(robot) ?? this.#rateLimiters.get(robot) ?? new RateLimiter(format.limits ?? []);
      rateLimiters.set(robot, rateLimiter);
      if (running?.fingerprint === print) next.set(webhook.name, running);
      else {
        const worker = this.#create(webhook, format, rateLimiter);
        begin.push(worker);
        next.set(webhook.name, { fingerprint: print, worker });
      }
    }
    const kept = new Set([...next.values()].map(({ worker }) => worker));
    for (const [name, { worker }] of this.#running) if (!kept.has(worker)) this.#retire(name, worker);
    this.#running = next;
    this.#rateLimiters = rateLimiters;
    for (const worker of begin) this.#begin(worker);
  }

  /** Something was committed in the shard: for these webhooks, or for all; or, without a shard, the leases changed. */
  wake(shard: number | null = null, webhooks: Iterable<string> | null = null): void {
    if (webhooks === null) for (const { worker } of this.#running.values()) worker.wake(shard);
    else for (const name of webhooks) this.#running.get(name)?.worker.wake(shard);
  }

  /** The shard's lease is lost. */
  lost(shard: number): void {
    for (const worker of this.#all()) worker.lost(shard);
  }

  /** Resolves when nothing of the shard is in flight, so that its lease can be given back; `leases()` must not name it. */
  async idle(shard: number): Promise<void> {
    await Promise.all(this.#all().map((worker) => worker.idle(shard)));
  }

  /** @param withinMs Deliveries in flight may end within it. */
  async stop(withinMs: number): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#all().map((worker) => worker.stop(withinMs)));
  }

  status(): readonly WebhookStatus[] {
    return [...this.#running.values()].map(({ worker }) => ({
      name: worker.name,
      disabled: worker.disabled,
      down: worker.down,
      recent: worker.recent(),
    }));
  }

  #create(webhook: WebhookConfig, format: Format, rateLimiter: RateLimiter): WebhookWorker {
    const { version, ...options } = this.#options;
    const sender = createSender(webhook, webhookDispatcher(webhook), options.clock, version);
    return new WebhookWorker({ ...options, webhook, format, sender, rateLimiter });
  }

  #retire(name: string, worker: WebhookWorker): void {
    this.#retired.add(worker);
    const before = this.#retiring.get(name);
    const ended = Promise.all([before, worker.stop()]).then(() => {
      this.#retired.delete(worker);
      if (this.#retiring.get(name) === ended) this.#retiring.delete(name);
    });
    this.#retiring.set(name, ended);
  }

  #begin(worker: WebhookWorker): void {
    const before = this.#retiring.get(worker.name);
    if (before === undefined) worker.start();
    else
      void before.then(() => {
        if (!this.#stopped) worker.start();
      });
  }

  #all(): readonly WebhookWorker[] {
    return [...[...this.#running.values()].map(({ worker }) => worker), ...this.#retired];
  }
}
