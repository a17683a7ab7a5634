import type { Clock } from "../../ports/clock.ts";
import type { Lease, Leases } from "../../ports/store.ts";
import type { Database, Statement } from "./database.ts";

interface ShardRow {
  readonly owner: string | null;
  readonly fence: number;
  readonly generation: number;
}

/** The row of a shard, as far as the right to write it goes. */
export class ShardRows {
  readonly #find: Statement<ShardRow>;
  readonly #advance: Statement<{ generation: number }>;
  readonly #advanceHeld: Statement<{ generation: number }>;

  constructor(db: Database) {
    this.#find = db.prepare<ShardRow>("SELECT owner, fence, generation FROM shard WHERE shard = ?");
    this.#advance = db.prepare<{ generation: number }>(
      "UPDATE shard SET generation = generation + 1 WHERE shard = ? RETURNING generation",
    );
    this.#advanceHeld = db.prepare<{ generation: number }>(
      "UPDATE shard SET generation = generation + 1 WHERE shard = ? AND owner = ? AND fence = ? RETURNING generation",
    );
  }

  /** Null for a shard that the store does not have. */
  generation(shard: number): number | null {
    return this.#find.get(shard)?.generation ?? null;
  }

  /** Every write asks this, or `advanceHeld`, inside its transaction. */
  holds(lease: Lease): boolean {
    const row = this.#find.get(lease.shard);
    return row !== undefined && row.owner === lease.owner && row.fence === lease.fence;
  }

  /** Counts one more commit and returns the new generation; null for a shard that the store does not have. */
  advance(shard: number): number | null {
    return this.#advance.get(shard)?.generation ?? null;
  }

  /** The same, and null also for a lease that does not hold any more. */
  advanceHeld({ shard, owner, fence }: Lease): number | null {
    return this.#advanceHeld.get(shard, owner, fence)?.generation ?? null;
  }
}

/**
 * Leases of a file that one daemon has to itself: `granting` says that this handle is that daemon's. How long a
 * lease lasts is kept in memory, so a daemon that starts takes over at once what the one before it left; the
 * fence is in the file and only grows.
 */
export function sqliteLeases(
  db: Database,
  rows: ShardRows,
  clock: Clock,
  { granting, shards }: { readonly granting: boolean; readonly shards: number },
): Leases {
  const take = db.prepare<{ fence: number }>(
    "UPDATE shard SET owner = ?, fence = fence + 1 WHERE shard = ? RETURNING fence",
  );
  const give = db.prepare("UPDATE shard SET owner = NULL WHERE shard = ? AND owner = ? AND fence = ?");
  const members = new Map<string, number>();
  const held = new Map<number, { readonly owner: string; readonly until: number }>();

  const isFree = (shard: number, member: string): boolean => {
    const holder = held.get(shard);
    return granting && (!holder || holder.owner === member || holder.until <= clock.monotonic());
  };

  return {
    async join(member, ttl) {
      const now = clock.monotonic();
      members.set(member, now + ttl);
      for (const [other, until] of members) if (until <= now) members.delete(other);
      return [...members.keys()].sort();
    },

    async leave(member) {
      members.delete(member);
    },

    async free(member) {
      return Array.from({ length: shards }, (_, shard) => shard).filter((shard) => isFree(shard, member));
    },

    async acquire(shard, member, ttl) {
      if (!isFree(shard, member)) return null;
      const holder = held.get(shard);
      held.set(shard, { owner: member, until: clock.monotonic() + ttl });
      try {
        const row = await db.write(() => take.get(member, shard));
        return row === undefined ? null : { shard, owner: member, fence: row.fence };
      } catch (error) {
        if (holder === undefined) held.delete(shard);
        else held.set(shard, holder);
        throw error;
      }
    },

    async renew(leases, ttl) {
      const until = clock.monotonic() + ttl;
      return db.read(() =>
        leases.map((lease) => {
          const generation = rows.holds(lease) ? rows.generation(lease.shard) : null;
          if (generation === null) return { lost: lease };
          held.set(lease.shard, { owner: lease.owner, until });
          return { lease, generation };
        }),
      );
    },

    async release(lease) {
      const { changes } = await db.write(() => give.run(lease.shard, lease.owner, lease.fence));
      if (changes !== 0) held.delete(lease.shard);
    },
  };
}
