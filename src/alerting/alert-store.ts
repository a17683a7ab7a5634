import type { Alert, InstanceSnapshot } from "./alerts.ts";

/** An alert that lasts, or that is over. Another object as soon as there is anything new to tell of it. */
export interface Entry {
  readonly alert: Alert;
  readonly shard: number;
  /** Local time at which it was seen to be over; null while it lasts. */
  readonly endedAt: number | null;
  /** Local time of what is new in it: the commit where it begins, the end, or when a change was seen. */
  readonly changedAt: number;
}

/** Ends that no Alertmanager has taken are kept beyond their time, up to so many: somebody must hear that none took them. */
const UNTAKEN_ENDS = 1_000;

/** How long an alert lasts of which nothing more is heard. */
export const LASTS_MS = 20 * 60_000;

/**
 * What lasts on the shards that are ours, and for a while what is over: whoever was not told of the end, or has
 * forgotten that it was, is told again until the alert would have ended by itself. It knows what is over because it saw
 * it last, or is told what events ended shortly before this process had the shard.
 */
export class AlertStore {
  /** By the alert's identity. */
  readonly #entries = new Map<string, Entry>();
  /** Identities by instance. */
  readonly #instances = new Map<string, Set<string>>();

  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries;
  }

  /** All that lasts on one instance now; the rest of what did is over. */
  set({ key, shard }: Pick<InstanceSnapshot, "key" | "shard">, alerts: readonly Alert[], now: number): void {
    const known = this.#instances.get(key);
    if (known === undefined && alerts.length === 0) return;
    const lasting = new Map(alerts.map((alert) => [JSON.stringify(alert.labels), alert]));
    for (const id of known ?? []) {
      const entry = this.#entries.get(id);
      if (entry === undefined || entry.endedAt !== null || lasting.has(id)) continue;
      this.#entries.set(id, { ...entry, endedAt: now, changedAt: now });
    }
    for (const [id, alert] of lasting) {
      const entry = this.#entries.get(id);
      if (entry?.endedAt === null && entry.shard === shard && isSame(entry.alert, alert)) continue;
      const changedAt = entry?.endedAt === null ? now : Math.min(alert.startsAt, now);
      this.#entries.set(id, { alert, shard, endedAt: null, changedAt });
    }
    this.#instances.set(key, new Set([...(known ?? []), ...lasting.keys()]));
  }

  /** What was over before it could be seen here; what lasts, or was over later, is as it was. */
  recall({ key, shard }: Pick<InstanceSnapshot, "key" | "shard">, alert: Alert, endedAt: number): void {
    const id = JSON.stringify(alert.labels);
    if (this.#entries.has(id)) return;
    this.#entries.set(id, { alert, shard, endedAt, changedAt: endedAt });
    this.#instances.set(key, new Set([...(this.#instances.get(key) ?? []), id]));
  }

  /** Ends what lasted on instances of which nothing is known any more. */
  endGone(isGone: (shard: number, key: string) => boolean, now: number): void {
    for (const [key, ids] of this.#instances) {
      for (const id of ids) {
        const entry = this.#entries.get(id);
        if (entry?.endedAt === null && isGone(entry.shard, key))
          this.#entries.set(id, { ...entry, endedAt: now, changedAt: now });
      }
    }
  }

  /** Removes what has been over for long enough. Call it now and then. */
  tidy(now: number, isUntaken: (id: string, entry: Entry) => boolean = () => false): void {
    let kept = 0;
    this.#remove((entry, id) => {
      if (entry.endedAt === null || Math.abs(now - entry.endedAt) <= LASTS_MS) return false;
      return !isUntaken(id, entry) || ++kept > UNTAKEN_ENDS;
    });
  }

  /** The shard is another's, which tells what lasts there. */
  forget(shard: number): void {
    this.#remove((entry) => entry.shard === shard);
  }

  #remove(unwanted: (entry: Entry, id: string) => boolean): void {
    for (const [key, ids] of this.#instances) {
      for (const id of ids) {
        const entry = this.#entries.get(id);
        if (entry !== undefined && !unwanted(entry, id)) continue;
        this.#entries.delete(id);
        ids.delete(id);
      }
      if (ids.size === 0) this.#instances.delete(key);
    }
  }
}

const isSame = (one: Alert, other: Alert): boolean => JSON.stringify(one) === JSON.stringify(other);

/**
 * An entry as Alertmanager's API v2 takes it. An end that lies ahead of Alertmanager's clock would be overruled by the
 * one that it was told before: so no time but the end of what lasts is after `now`.
 * @param now by Alertmanager's clock, epoch milliseconds
 */
export function postable({ alert, endedAt }: Pick<Entry, "alert" | "endedAt">, now: number) {
  const startsAt = Math.min(alert.startsAt, now);
  const endsAt = endedAt === null ? now + LASTS_MS : Math.max(startsAt, Math.min(endedAt, now));
  return {
    labels: alert.labels,
    annotations: alert.annotations,
    startsAt: new Date(startsAt).toISOString(),
    endsAt: new Date(endsAt).toISOString(),
    ...(alert.url === null ? {} : { generatorURL: alert.url }),
  };
}
