import type { Lease } from "../ports/store.ts";

/** As a claim's "now": heads of lanes whatever their due time. */
export const ALL_DUE = Number.MAX_SAFE_INTEGER;

interface Entry {
  fence: number;
  /** Steady epoch milliseconds; minus infinity when the shard was woken. */
  dueAt: number;
  /** Monotonic. */
  askedAt: number;
  fenced: boolean;
}

/** When to ask the store for which shard. A shard that was never asked under its present lease is due. */
export class DueShards {
  readonly #entries = new Map<number, Entry>();
  readonly #askAgainMs: number;
  #turn = 0;

  /** @param askAgainMs A shard is asked so often even when nothing says that it is due: commands write beside the daemon. */
  constructor(askAgainMs: number) {
    this.#askAgainMs = askAgainMs;
  }

  /** One shard, or all. */
  wake(shard: number | null): void {
    for (const [number, entry] of this.#entries)
      if (shard === null || shard === number) entry.dueAt = Number.NEGATIVE_INFINITY;
  }

  forget(shard: number): void {
    this.#entries.delete(shard);
  }

  /** The store refuses this lease: it is not asked again under it. */
  fence(lease: Lease): void {
    this.#entry(lease).fenced = true;
  }

  /** Leases that the store has not refused. */
  usable(leases: readonly Lease[]): readonly Lease[] {
    return leases.filter((lease) => !this.#entry(lease).fenced);
  }

  /** Leases that are due, each time beginning with another one. */
  due(leases: readonly Lease[], now: number, monotonic: number): readonly Lease[] {
    this.#turn++;
    const turned = leases.map((_, i) => leases[(i + this.#turn) % leases.length] as Lease);
    return turned.filter((lease) => {
      const entry = this.#entry(lease);
      return !entry.fenced && (entry.dueAt <= now || monotonic - entry.askedAt >= this.#askAgainMs);
    });
  }

  /** To be called before the store is asked, so that a wake during the question is not lost. */
  asking(lease: Lease, monotonic: number): void {
    const entry = this.#entry(lease);
    entry.dueAt = Number.POSITIVE_INFINITY;
    entry.askedAt = monotonic;
  }

  /** @param nextDueAt When there may be more; null when only a wake can bring it. */
  answered(lease: Lease, nextDueAt: number | null): void {
    const entry = this.#entry(lease);
    entry.dueAt = Math.min(entry.dueAt, nextDueAt ?? Number.POSITIVE_INFINITY);
  }

  /** Milliseconds until one of the leases is due. */
  wait(leases: readonly Lease[], now: number): number {
    const waits = leases
      .map((lease) => this.#entry(lease))
      .filter((entry) => !entry.fenced)
      .map((entry) => Math.max(0, entry.dueAt - now));
    return Math.min(this.#askAgainMs, ...waits);
  }

  #entry(lease: Lease): Entry {
    let entry = this.#entries.get(lease.shard);
    if (entry === undefined || entry.fence !== lease.fence) {
      const never = Number.NEGATIVE_INFINITY;
      entry = { fence: lease.fence, dueAt: never, askedAt: never, fenced: false };
      this.#entries.set(lease.shard, entry);
    }
    return entry;
  }
}
