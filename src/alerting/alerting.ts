import type { Config } from "../config/config.ts";
import { fingerprint } from "../config/fingerprint.ts";
import type { StoredEvent } from "../ports/store.ts";
import { AlertStore } from "./alert-store.ts";
import { Alertmanager, type AlertmanagerOptions } from "./alertmanager.ts";
import type { InstanceSnapshot } from "./alerts.ts";
import type { Untaken } from "./receipts.ts";

export interface AlertingOptions
  extends Pick<AlertmanagerOptions, "clock" | "random" | "mine" | "emit" | "onUnforeseen" | "version"> {
  /** All instances that are watched here. */
  readonly snapshots: () => Iterable<InstanceSnapshot>;
  /** Is nothing known of the instance any more, on a shard that is ours? */
  readonly isGone: (shard: number, key: string) => boolean;
  /** The last ones of all shards, the newest first; as many as may have been committed in a moment. */
  readonly lastEvents: () => Promise<readonly StoredEvent[]>;
  readonly shardOf: (key: string) => number;
}

interface Running {
  readonly fingerprint: string;
  readonly alertmanager: Alertmanager;
}

/** The webhooks of format alertmanager: they are told what lasts, not what happened. */
export class Alerting {
  readonly #options: AlertingOptions;
  #running: ReadonlyMap<string, Running> = new Map();
  readonly #retiring = new Set<Promise<void>>();
  /** Shards were gained, and what ended there just before is not known yet. */
  #recallDue = false;

  constructor(options: AlertingOptions) {
    this.#options = options;
  }

  /** Makes these the webhooks that are kept up to date. One that is gone is told nothing more: its alerts run out. */
  apply({ webhooks, server }: Pick<Config, "webhooks" | "server">): void {
    const before = this.#running;
    const next = new Map<string, Running>();
    const begin: Alertmanager[] = [];
    for (const webhook of webhooks) {
      if (webhook.format !== "alertmanager") continue;
      const print = fingerprint([webhook, server.external_url]);
      const running = before.get(webhook.name);
      if (running?.fingerprint === print) {
        next.set(webhook.name, running);
        continue;
      }
      const alertStore = running?.alertmanager.alertStore ?? new AlertStore();
      const { external_url: externalUrl } = server;
      const alertmanager = new Alertmanager({ ...this.#options, webhook, externalUrl, alertStore });
      begin.push(alertmanager);
      next.set(webhook.name, { fingerprint: print, alertmanager });
    }
    for (const [name, running] of before) if (next.get(name) !== running) this.#retire(running);
    this.#running = next;
    this.sync();
    for (const alertmanager of begin) alertmanager.start();
  }

  /** Something was committed about one instance. */
  changed(snapshot: InstanceSnapshot): void {
    for (const { alertmanager } of this.#running.values()) {
      alertmanager.update(snapshot);
      alertmanager.wake();
    }
  }

  /** Now and then, all of it: commands write beside the daemon, and what they end is to be told too. */
  sync(): void {
    if (this.#running.size === 0) return;
    const { snapshots, isGone, clock } = this.#options;
    const now = clock.now();
    const all = [...snapshots()];
    const watched = new Set(all.map(({ key }) => key));
    for (const { alertmanager } of this.#running.values()) {
      const { alertStore } = alertmanager;
      for (const snapshot of all) alertmanager.update(snapshot);
      alertStore.endGone((shard, key) => !watched.has(key) && isGone(shard, key), now);
      alertmanager.tidy();
      alertmanager.wake();
    }
  }

  /** A shard is ours from now on. */
  gained(): void {
    this.#recallDue = true;
    this.sync();
  }

  /**
   * Now and then, for the shards that were gained: whoever had them may have written an end and died before it was told.
   * What lasts has to be known by then. Rejects as the store does.
   */
  async restore(): Promise<void> {
    if (!this.#recallDue || this.#running.size === 0) return;
    this.#recallDue = false;
    try {
      const events = await this.#options.lastEvents();
      for (const { alertmanager } of this.#running.values()) {
        alertmanager.restore(events, this.#options.shardOf);
        alertmanager.wake();
      }
    } catch (error) {
      this.#recallDue = true;
      throw error;
    }
  }

  /** The shard is, or is about to be, another replica's. */
  lost(shard: number): void {
    for (const { alertmanager } of this.#running.values()) alertmanager.alertStore.forget(shard);
  }

  /** @param withinMs Posts that are under way may end within it. */
  async stop(withinMs: number): Promise<void> {
    const running = [...this.#running.values()];
    await Promise.all([...this.#retiring, ...running.map(({ alertmanager }) => alertmanager.stop(withinMs))]);
  }

  status() {
    return [...this.#running].map(([name, { alertmanager }]) => ({
      name,
      disabled: false,
      down: alertmanager.down,
      recent: alertmanager.recent(),
    }));
  }

  /** What no Alertmanager of each webhook has taken, by the webhook's name. */
  untaken(): ReadonlyMap<string, Untaken> {
    return new Map([...this.#running].map(([name, { alertmanager }]) => [name, alertmanager.untaken()]));
  }

  #retire({ alertmanager }: Running): void {
    const ended = alertmanager.stop(0).finally(() => this.#retiring.delete(ended));
    this.#retiring.add(ended);
  }
}
