import type { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import type { Store } from "../../src/ports/store.ts";
import { openStore } from "../../src/store/open.ts";
import { Keys } from "../../src/store/redis/keys.ts";
import { RedisServer } from "../support/redis.ts";
import {
  batch,
  claimIds,
  dead,
  deadLetters,
  delivered,
  event,
  leaseOf,
  put,
  settle,
  T0,
} from "./contract/back-end.ts";

// What Redis holds beside the records of instances: texts, which SQLite has as columns with a type.

let server: RedisServer;
let client: Redis;
let store: Store;
let keys: Keys;
let spaces = 0;

beforeAll(async () => {
  server = await RedisServer.start();
  client = server.client();
});
afterAll(async () => {
  client.disconnect();
  await server[Symbol.asyncDispose]();
});
beforeEach(async () => {
  const keyPrefix = `unreadable-${++spaces}`;
  keys = new Keys(keyPrefix);
  store = await openStore({ url: server.url, keyPrefix, shards: 4 }, { exclusive: true, clock: systemClock });
  return () => store.close();
});

const at = () => keys.shard(1);
const aside = async () => (await store.setAside.list([1])).map(({ kind, key }) => `${kind} ${key}`);

const DAMAGED = ["[[1,", '{"v":2,"rows":[]}', "[]", "[1]", ""];

test.each(DAMAGED)(
  "a lane that cannot be read (%s) is made anew, and every delivery of it goes out",
  async (text) => {
    const lease = await leaseOf(store);
    await put(store, lease, event("evt_1"), event("evt_2"), event("evt_other", { lane: "lane-2" }));
    await client.hset(at().lanes("ops"), "lane-1", text);
    expect(await claimIds(store, lease)).toEqual(["evt_1", "evt_other"]);
    await put(store, lease, event("evt_3"));
    await settle(store, lease, "evt_1", delivered);
    expect(await claimIds(store, lease)).toEqual(["evt_2"]);
    await client.hset(at().lanes("ops"), "lane-1", text);
    await settle(store, lease, "evt_2", delivered);
    expect(await claimIds(store, lease)).toEqual(["evt_3"]);
    expect(await aside()).toEqual(["delivery ops/lane-1"]);
  },
);

test.each(DAMAGED)("a commit into a lane that cannot be read (%s) is done whole", async (text) => {
  const lease = await leaseOf(store);
  await put(store, lease, event("evt_1"));
  await client.hset(at().lanes("ops"), "lane-1", text);
  expect(await put(store, lease, event("evt_2"))).toMatchObject({ kind: "ok" });
  expect(await claimIds(store, lease)).toEqual(["evt_1"]);
  await settle(store, lease, "evt_1", delivered);
  expect(await claimIds(store, lease)).toEqual(["evt_2"]);
});

test.each(["[1", '{"v":2}', '["evt_1","task.failed","late","{}"]', null])(
  "an event that cannot be read (%s) costs itself alone, at each of its webhooks",
  async (text) => {
    const lease = await leaseOf(store);
    const webhooks = ["ops", "chat"];
    await put(store, lease, event("evt_1", { webhooks }), event("evt_2", { webhooks }));
    const [seq = ""] = await client.zrange(at().eventLog, "0", "0");
    if (text === null) await client.hdel(at().events, seq);
    else await client.hset(at().events, seq, text);
    if (text !== null) {
      expect((await store.reader.events({ limit: 10 })).events.map(({ id }) => id)).toEqual(["evt_2"]);
      expect((await store.reader.newestEvents(10)).events.map(({ id }) => id)).toEqual(["evt_2"]);
      expect(await store.reader.unreadable()).toMatchObject([{ kind: "event", key: seq, at: null }]);
    }
    for (const webhook of webhooks) {
      const claim = await store.outbox.claim(lease, webhook, 10, T0);
      expect(claim).toEqual({ deliveries: [], nextDueAt: 0 });
      expect(await claimIds(store, lease, T0, { webhook })).toEqual(["evt_2"]);
    }
    const lost = ["delivery chat/lane-1/evt_1", "delivery ops/lane-1/evt_1"];
    expect(await aside()).toEqual(text === null ? lost : [...lost, "event evt_1"]);
    expect(await store.outbox.counts(1)).toMatchObject([{ pending: 1 }, { pending: 1 }]);
    expect(await store.outbox.prune(lease, T0 + 1, new Map(), 0)).toBe("ok");
  },
);

test.each(["[1", '{"v":2}', "[1,2]"])(
  "a dead letter that cannot be read (%s) hides no other",
  async (text) => {
    const lease = await leaseOf(store);
    await put(store, lease, event("evt_1"), event("evt_2", { lane: "lane-2" }));
    await claimIds(store, lease);
    await settle(store, lease, "evt_1", dead);
    await settle(store, lease, "evt_2", dead, { lane: "lane-2" });
    const [seq = ""] = await client.zrange(at().eventLog, "0", "0");
    await client.hset(at().dead("ops"), seq, text);
    expect((await deadLetters(store)).map(({ eventId }) => eventId)).toEqual(["evt_2"]);
    expect(await store.outbox.replay(null, T0)).toEqual(["evt_2"]);
    expect(await store.outbox.prune(lease, 0, new Map(), 0)).toBe("ok");
    expect(await aside()).toEqual([`dead_letter ops/${seq}`]);
    expect(await store.outbox.counts(1)).toMatchObject([{ dead: 0, pending: 1 }]);
  },
);

test("an event of which nothing says how old it is does not stop the pruning", async () => {
  const lease = await leaseOf(store);
  await put(store, lease, event("evt_1", { webhooks: [] }), event("evt_2", { webhooks: [] }));
  const [seq = ""] = await client.zrange(at().eventLog, "0", "0");
  await client.hset(at().eventFacts, seq, "garbage");
  expect(await store.outbox.prune(lease, T0 + 1, new Map(), 0)).toBe("ok");
  expect(await client.zcard(at().eventLog)).toBe(0);
  expect(await aside()).toEqual([`event ${seq}`]);
});

test.each(["till", "fence", "gen", "seq"])(
  "a lease whose %s cannot be read is taken under a greater fence",
  async (name) => {
    const before = await leaseOf(store);
    await put(store, before, event("evt_1"));
    await client.hset(at().meta, name, "garbage");
    const [renewed] = await store.leases.renew([before], 10_000);
    // Where the lease itself is meant, its owner has lost it and takes it again.
    if (name === "fence" || name === "gen") expect(renewed).toEqual({ lost: before });
    const lease = await leaseOf(store);
    expect(lease.fence).toBeGreaterThan(before.fence);
    expect(await store.state.commit(before, batch())).toEqual({ kind: "fenced" });
    expect(await store.state.commit(lease, batch({ events: [event("evt_2")] }))).toMatchObject({
      kind: "ok",
    });
    const { events } = await store.reader.events({ limit: 10 });
    expect(events.map(({ id }) => id)).toEqual(["evt_1", "evt_2"]);
    // Without damage, the renewal has written another end before anybody read this one.
    expect(await aside()).toEqual(name === "till" ? [] : [`lease ${name}`]);
  },
);

test("members, tokens and notes that cannot be read stop nothing", async () => {
  await store.leases.join("replica-a", 10_000);
  await client.hset(keys.members, "replica-b", "garbage");
  expect(await store.leases.join("replica-a", 10_000)).toEqual(["replica-a"]);
  await store.budget.take("p1", 5, 1);
  await client.hset(keys.budget("p1"), "tokens", "garbage", "at", "garbage");
  expect(await store.budget.take("p1", 5, 1)).toMatchObject({ granted: 0 });
  await client.hset(keys.notes, "n", "garbage");
  expect(await store.notes.read("n")).toBeNull();
  expect(await store.notes.write("n", "anew", 0)).toBe(true);
  expect(await store.notes.read("n")).toMatchObject({ value: "anew" });
  expect(await store.setAside.list([0])).toMatchObject([{ kind: "note", key: "n" }]);
});
