import type { Entry } from "./alert-store.ts";

/** Changes that no Alertmanager of a webhook has taken. */
export interface Untaken {
  readonly pending: number;
  /** Epoch milliseconds of the oldest change; null when there is none. */
  readonly oldestAt: number | null;
}

/** How often an alert that lasts is posted again: an Alertmanager that was restarted knows nothing. */
export const REFRESH_MS = 60_000;

interface Receipt {
  readonly entry: Entry;
  /** Monotonic milliseconds. */
  readonly at: number;
}

export interface Moment {
  /** Epoch milliseconds. */
  readonly now: number;
  readonly monotonic: number;
}

/**
 * What the addresses of one webhook have taken. A change waits from when it happened until one address takes it; an
 * alert that lasts also waits from when it should have been posted again, because Alertmanager ends it by itself.
 */
export class Receipts {
  /** By the alert's identity. */
  readonly #taken = new Map<string, Receipt>();
  /** Since when each identity waits; kept while it changes further. */
  readonly #since = new Map<string, number>();
  /** Posted, and not taken: what only has not been posted yet is on its way. */
  readonly #refused = new WeakSet<Entry>();

  /** One post ended. */
  posted(entries: readonly (readonly [id: string, entry: Entry])[], taken: boolean, monotonic: number): void {
    for (const [id, entry] of entries) {
      if (!taken) {
        this.#refused.add(entry);
        continue;
      }
      this.#taken.set(id, { entry, at: monotonic });
      this.#since.delete(id);
    }
  }

  isUntaken(id: string, entry: Entry): boolean {
    return this.#taken.get(id)?.entry !== entry;
  }

  /**
   * @param entries All that there is to tell, by identity.
   * @param away The last post to every address failed.
   */
  untaken(entries: Iterable<readonly [id: string, entry: Entry]>, away: boolean, moment: Moment): Untaken {
    const waiting = new Map<string, number>();
    const known = new Set<string>();
    for (const [id, entry] of entries) {
      known.add(id);
      const since = this.#waitsSince(id, entry, away, moment);
      if (since !== null) waiting.set(id, Math.min(since, this.#since.get(id) ?? since));
    }
    for (const id of this.#taken.keys()) if (!known.has(id)) this.#taken.delete(id);
    this.#since.clear();
    for (const [id, since] of waiting) this.#since.set(id, since);
    let oldestAt: number | null = null;
    for (const since of waiting.values()) oldestAt = Math.min(oldestAt ?? since, since);
    return { pending: waiting.size, oldestAt };
  }

  #waitsSince(id: string, entry: Entry, away: boolean, { now, monotonic }: Moment): number | null {
    const receipt = this.#taken.get(id);
    if (receipt?.entry !== entry) return away || this.#refused.has(entry) ? entry.changedAt : null;
    const age = monotonic - receipt.at;
    return entry.endedAt === null && age > 2 * REFRESH_MS ? now - age + REFRESH_MS : null;
  }
}
