import { Cluster, type Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import type { Store } from "../../src/ports/store.ts";
import { openStore } from "../../src/store/open.ts";
import { Keys, liveField } from "../../src/store/redis/keys.ts";
import { readScripts } from "../../src/store/redis/scripts.ts";
import { RedisServer, type Servers, startCluster } from "../support/redis.ts";
import { type OpenedStore, SHARDS, storeContract } from "./contract.ts";

let spaces = 0;

/** An empty store on a server that others use too: an installation of its own, by its key prefix. */
async function openOn(url: string, client: Redis | Cluster): Promise<OpenedStore> {
  const keyPrefix = `contract${process.pid}-${++spaces}`;
  const handles: Store[] = [];
  const keys = new Keys(keyPrefix);
  const open = async () => {
    const store = await openStore(
      { url, keyPrefix, shards: SHARDS },
      { exclusive: true, clock: systemClock },
    );
    handles.push(store);
    return store;
  };
  return {
    store: await open(),
    reopen: open,
    second: open,
    async damage({ shard, kind, key, id = "" }, text) {
      const at = keys.shard(shard);
      if (kind === "instance") await client.hset(at.records, key, text);
      else if (kind === "name")
        await client.hset(at.names, JSON.stringify([key, id]), JSON.stringify([true, text]));
      else {
        await client.hset(at.tasks(key), id, text);
        const live = await client.hget(at.live, liveField(key, id));
        if (live !== null) await client.hset(at.live, liveField(key, id), live.slice(0, 1) + text);
      }
    },
    notesKept: () => client.hlen(keys.notes),
    async aside(kind, key) {
      const hashes = [keys.aside, ...Array.from({ length: SHARDS }, (_, shard) => keys.shard(shard).aside)];
      for (const hash of hashes) {
        for (const [field, text] of Object.entries(await client.hgetall(hash))) {
          const [ofKind, ofKey] = JSON.parse(field) as [string, string];
          if (ofKind === kind && ofKey === key) return text.slice(text.indexOf("\n") + 1);
        }
      }
      return undefined;
    },
    dispose: async () => {
      for (const handle of handles) await handle.close();
    },
  };
}

describe("single server", () => {
  let server: RedisServer;
  let client: Redis;
  beforeAll(async () => {
    server = await RedisServer.start();
    client = server.client();
  });
  afterAll(() => {
    client.disconnect();
    return server[Symbol.asyncDispose]();
  });
  storeContract("redis", () => openOn(server.url, client));
});

describe("cluster of three", () => {
  let cluster: Servers;
  let client: Cluster;
  beforeAll(async () => {
    cluster = await startCluster();
    const [{ port = 0 } = {}] = cluster.servers;
    client = new Cluster([{ host: "127.0.0.1", port }]);
  });
  afterAll(() => {
    client.disconnect();
    return cluster[Symbol.asyncDispose]();
  });
  storeContract("redis cluster", () => openOn(cluster.url, client));
});

describe("scripts", () => {
  test.each([...readScripts().values()].map((script) => [script.file, script] as const))(
    "%s says what it takes, and takes no more keys than its name says",
    (_, { text, keys, more }) => {
      expect(text).toMatch(/^-- .+\n-- KEYS/m);
      expect(text).toMatch(/^-- ARGV {2}/m);
      expect(text).toMatch(/^-- Returns {2}/m);
      const used = [...text.matchAll(/KEYS\[(\d+)\]/g)].map(([, number]) => Number(number));
      expect(Math.max(...used)).toBeLessThanOrEqual(keys);
      if (more === 0) expect(used).toContain(keys);
      // No key is made up inside a script: a cluster could not know where it lives.
      expect(text).not.toMatch(/redis\.call\('\w+', '/);
    },
  );
});
