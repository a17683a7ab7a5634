import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import type { Store } from "../../src/ports/store.ts";
import { openStore } from "../../src/store/open.ts";
import { readScripts } from "../../src/store/redis/scripts.ts";
import { RedisServer, type Servers, startCluster } from "../support/redis.ts";
import { type OpenedStore, SHARDS, storeContract } from "./contract.ts";

let spaces = 0;

/** An empty store on a server that others use too: an installation of its own, by its key prefix. */
async function openOn(url: string): Promise<OpenedStore> {
  const keyPrefix = `contract${process.pid}-${++spaces}`;
  const handles: Store[] = [];
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
    dispose: async () => {
      for (const handle of handles) await handle.close();
    },
  };
}

describe("single server", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start();
  });
  afterAll(() => server[Symbol.asyncDispose]());
  storeContract("redis", () => openOn(server.url));
});

describe("cluster of three", () => {
  let cluster: Servers;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster[Symbol.asyncDispose]());
  storeContract("redis cluster", () => openOn(cluster.url));
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
