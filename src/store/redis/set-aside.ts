import type { Clock } from "../../ports/clock.ts";
import type { SetAside, Unreadable } from "../../ports/store.ts";
import { SET_ASIDE_KEPT_MS } from "../unreadable.ts";
import type { Client } from "./connect.ts";
import { asStoreErrors } from "./errors.ts";
import type { Keys } from "./keys.ts";

export interface RedisSetAside extends SetAside {
  /** Removes copies that were kept for long enough. */
  prune(shard: number): Promise<void>;
}

export function redisSetAside(client: Client, keys: Keys, clock: Clock): RedisSetAside {
  /** The notes stand apart from the shards, and are counted with the first. */
  const hashesOf = (shard: number) => [keys.shard(shard).aside, ...(shard === 0 ? [keys.aside] : [])];
  const textsOf = (hash: string) => asStoreErrors("read", () => client.hgetall(hash));
  return {
    async list(shards) {
      const lists = [...shards]
        .sort((a, b) => a - b)
        .map(async (shard) => {
          const texts = await Promise.all(hashesOf(shard).map(textsOf));
          return texts.flatMap((each) => entriesOf(shard, each)).sort(byPlace);
        });
      return (await Promise.all(lists)).flat();
    },

    async drop(copies) {
      for (const { shard, kind, key } of copies) {
        const hash = kind === "note" ? keys.aside : keys.shard(shard).aside;
        // The scripts write the field, and escape more than `JSON.stringify` does.
        const fields = Object.keys(await textsOf(hash)).filter((field) => {
          const [ofKind, ofKey] = JSON.parse(field) as [string, string];
          return ofKind === kind && ofKey === key;
        });
        if (fields.length > 0) await asStoreErrors("drop", () => client.hdel(hash, ...fields));
      }
    },

    async prune(shard) {
      const before = clock.now() - SET_ASIDE_KEPT_MS;
      for (const hash of hashesOf(shard)) {
        const old = Object.entries(await textsOf(hash)).filter(([, text]) => headOf(text).at < before);
        if (old.length === 0) continue;
        await asStoreErrors("prune", () => client.hdel(hash, ...old.map(([field]) => field)));
      }
    },
  };
}

const entriesOf = (shard: number, hash: Readonly<Record<string, string>>): readonly Unreadable[] =>
  Object.entries(hash).map(([field, text]) => {
    const [kind, key] = JSON.parse(field) as [Unreadable["kind"], string];
    return { shard, kind, key, ...headOf(text) };
  });

function headOf(text: string): { readonly at: number; readonly why: string } {
  const [at, why] = JSON.parse(text.slice(0, text.indexOf("\n"))) as [number, string];
  return { at, why };
}

const byPlace = (a: Unreadable, b: Unreadable): number => compare(a.kind, b.kind) || compare(a.key, b.key);

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
