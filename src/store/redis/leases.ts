import type { Leases } from "../../ports/store.ts";
import type { Client } from "./connect.ts";
import { asStoreErrors } from "./errors.ts";
import type { Keys } from "./keys.ts";
import type { Run } from "./scripts.ts";

/** Leases by the server's clock; every write of a shard checks owner, fence and time in its own script. */
export function redisLeases(client: Client, keys: Keys, run: Run, shards: number): Leases {
  const meta = (shard: number) => [keys.shard(shard).meta];
  return {
    async join(member, ttl) {
      const alive = (await run("join", [keys.members], [member, ttl])) as string[];
      return alive.sort();
    },

    async leave(member) {
      await asStoreErrors("leave", () => client.hdel(keys.members, member));
    },

    async free(member) {
      const all = Array.from({ length: shards }, (_, shard) => shard);
      const free = await answered(all.map((shard) => run("free", meta(shard), [member])));
      return all.filter((shard) => free[shard] === 1);
    },

    async acquire(shard, member, ttl) {
      if (shard < 0 || shard >= shards) return null;
      const at = keys.shard(shard);
      const fence = Number(await run("acquire", [at.meta, at.aside, at.eventLog], [member, ttl]));
      return fence === 0 ? null : { shard, owner: member, fence };
    },

    renew: (leases, ttl) =>
      answered(
        leases.map(async (lease) => {
          const generation = Number(await run("renew", meta(lease.shard), [lease.owner, lease.fence, ttl]));
          return generation < 0 ? { lost: lease } : { lease, generation };
        }),
      ),

    async release({ shard, owner, fence }) {
      await run("release", meta(shard), [owner, fence]);
    },
  };
}

/**
 * Null for each that got no answer, as from one master of a cluster that is away: the others' shards go on. Rejects
 * when none got one.
 */
async function answered<T>(asks: readonly Promise<T>[]): Promise<(T | null)[]> {
  const settled = await Promise.allSettled(asks);
  const refused = settled.filter((each) => each.status === "rejected");
  if (refused[0] && refused.length === settled.length) throw refused[0].reason;
  return settled.map((each) => (each.status === "fulfilled" ? each.value : null));
}
