import { randomBytes } from "node:crypto";
import { StoreError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Store } from "../../ports/store.ts";
import { type Client, connect, type RedisSettings } from "./connect.ts";
import { asStoreErrors } from "./errors.ts";
import { Keys } from "./keys.ts";
import { redisLeases } from "./leases.ts";
import { redisBudget, redisNotes } from "./notes.ts";
import { redisOutbox } from "./outbox.ts";
import { redisReader } from "./reader.ts";
import { replies } from "./replies.ts";
import { scriptRunner } from "./scripts.ts";
import { redisSetAside } from "./set-aside.ts";
import { redisState } from "./state.ts";

/** Format of what is stored; a store with a greater one was written by a newer version. */
const LAYOUT = 1;
const QUIT_MS = 500;

export interface RedisStoreOptions {
  /** Called for each connection. */
  readonly settings: () => RedisSettings;
  readonly keyPrefix: string;
  readonly shards: number;
  readonly clock: Clock;
}

/** Rejects with StoreError: `unavailable`, `mismatch`, `newer`, `full`; with UsageError for a URL that is none. */
export async function openRedis(options: RedisStoreOptions): Promise<Store> {
  const client = await connect(options.settings, options.clock);
  try {
    const keys = new Keys(options.keyPrefix);
    await checkLayout(client, keys, options.shards);
    return storeOn(client, keys, options);
  } catch (error) {
    client.disconnect();
    throw error;
  }
}

/** Format, number of shards, and an origin, kept from the first opening on. */
async function checkLayout(client: Client, keys: Keys, shards: number): Promise<void> {
  const own = `${LAYOUT} ${shards} ${randomBytes(8).toString("hex")}`;
  const [, text] = await replies(client.pipeline().set(keys.layout, own, "NX").get(keys.layout));
  const [layout = 0, kept = 0] = String(text).split(" ").map(Number);
  if (!Number.isSafeInteger(layout) || !Number.isSafeInteger(kept)) {
    throw new StoreError(
      "mismatch",
      `the key ${keys.layout} in Redis is not a layout: is store.key_prefix shared with another program?`,
    );
  }
  if (layout > LAYOUT) {
    throw new StoreError(
      "newer",
      `the store in Redis has layout ${layout}, and this version knows up to ${LAYOUT}: use the newer version that wrote it`,
    );
  }
  if (kept !== shards) {
    throw new StoreError(
      "mismatch",
      `the store in Redis has ${kept} shards and store.shards is ${shards}: set it to ${kept}, or use another store.key_prefix`,
    );
  }
}

function storeOn(client: Client, keys: Keys, { shards, clock }: RedisStoreOptions): Store {
  const run = scriptRunner(client);
  const setAside = redisSetAside(client, keys, clock);
  const leases = redisLeases(client, keys, run, shards);
  return {
    kind: "redis",
    state: redisState(client, keys, run, { shards, clock }),
    outbox: redisOutbox(client, keys, run, { shards, setAside }),
    leases: {
      ...leases,
      async join(member, ttl) {
        // Put back after the server lost all: what begins anew has the same layout. While replicas are replaced, a newer
        // one may have raised it: this one must not write any more.
        await checkLayout(client, keys, shards);
        return await leases.join(member, ttl);
      },
    },
    notes: redisNotes(client, keys, run),
    budget: redisBudget(keys, run),
    reader: redisReader(client, keys, shards, setAside),
    setAside,
    async ping() {
      await asStoreErrors("ping", () => client.ping());
    },
    async close() {
      // A server that is away cannot say goodbye.
      const said = new AbortController();
      const goodbye = client.quit().then(
        () => said.abort(),
        () => said.abort(),
      );
      await Promise.race([goodbye, clock.sleep(QUIT_MS, said.signal).catch(() => undefined)]);
      client.disconnect();
    },
  };
}
