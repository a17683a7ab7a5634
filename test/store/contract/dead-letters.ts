import { describe, expect, test } from "vitest";
import type { Lease, Store } from "../../../src/ports/store.ts";
import {
  claimIds,
  dead,
  deadLetters,
  delivered,
  event,
  leaseOf,
  put,
  retryAt,
  settle,
  T0,
} from "./back-end.ts";
import type { UseStore } from "./use-store.ts";

export function deadLettersContract(use: UseStore): void {
  test("the next of a lane follows a dead letter", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    await put(store, lease, event("evt_1", { time: T0 + 1 }), event("evt_2"));
    await store.outbox.claim(lease, "ops", 10, T0 + 1);
    await settle(store, lease, "evt_1", dead, { now: T0 + 50 });
    expect(await claimIds(store, lease)).toEqual(["evt_2"]);
    expect(await deadLetters(store)).toEqual([
      {
        webhook: "ops",
        eventId: "evt_1",
        type: "task.failed",
        at: T0 + 50,
        since: T0 + 1,
        attempts: 1,
        reason: "refused: 400",
        body: '{"id":"evt_1"}',
      },
    ]);
  });

  test("a replayed dead letter is due at once, same id, same body, and the owner sees it in the generation", async () => {
    const { store, second } = await use();
    const lease = await leaseOf(store);
    await put(store, lease, event("evt_1", { body: "as it was" }));
    await claimIds(store, lease);
    await settle(store, lease, "evt_1", dead);
    const [before] = await store.leases.renew([lease], 600_000);
    expect(await (await second()).outbox.replay(["evt_1", "unknown"], T0 + 900)).toEqual(["evt_1"]);
    const [after] = await store.leases.renew([lease], 600_000);
    expect(after).not.toEqual(before);
    expect(await deadLetters(store)).toEqual([]);
    expect(await store.outbox.claim(lease, "ops", 10, T0)).toMatchObject({
      deliveries: [{ eventId: "evt_1", body: "as it was", attempts: 0, since: T0 + 900 }],
    });
    expect(await store.outbox.replay(null, T0)).toEqual([]);
  });

  test("a replayed dead letter neither waits for its lane nor holds it up", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    await put(store, lease, event("evt_1"), event("evt_2"), event("evt_3"));
    await claimIds(store, lease);
    await settle(store, lease, "evt_1", dead);
    expect(await claimIds(store, lease)).toEqual(["evt_2"]);
    await store.outbox.replay(null, T0);
    const claim = await store.outbox.claim(lease, "ops", 10, T0);
    if (claim === "fenced") throw new Error("fenced");
    const [replayed] = claim.deliveries;
    expect(claim.deliveries.map(({ eventId }) => eventId)).toEqual(["evt_1"]);
    await store.outbox.settle(lease, "ops", [replayed!], retryAt(T0 + 60_000), T0);
    await settle(store, lease, "evt_2", delivered);
    expect(await claimIds(store, lease)).toEqual(["evt_3"]);
    await settle(store, lease, "evt_3", delivered);
    expect(await claimIds(store, lease, T0 + 60_000)).toEqual(["evt_1"]);
  });

  test("dead letters of one lane are replayed in their old order, also those that died again", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    const ids = ["evt_3", "evt_1", "evt_2"];
    await put(store, lease, ...ids.map((id) => event(id)));
    for (let round = 0; round < 2; round++) {
      const order: string[] = [];
      for (const _ of ids) {
        const claim = await store.outbox.claim(lease, "ops", 10, T0);
        if (claim === "fenced") throw new Error("fenced");
        await expect(claim.deliveries).toHaveLength(1);
        order.push(claim.deliveries[0]?.eventId ?? "none");
        await store.outbox.settle(lease, "ops", claim.deliveries, dead, T0);
      }
      expect(order).toEqual(ids);
      expect(new Set(await store.outbox.replay(null, T0))).toEqual(new Set(ids));
    }
    expect(await store.outbox.counts(1)).toMatchObject([{ pending: 3, dead: 0 }]);
  });

  test("an event that is dead for two webhooks is replayed to both, and one id is told once", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    await put(store, lease, event("evt_1", { webhooks: ["ops", "chat"] }), event("evt_2", { lane: "b" }));
    for (const webhook of ["ops", "chat"]) {
      await claimIds(store, lease, T0, { webhook });
      await settle(store, lease, "evt_1", dead, { webhook });
    }
    await settle(store, lease, "evt_2", dead, { lane: "b" });
    expect(await deadLetters(store)).toHaveLength(3);
    expect(await store.outbox.replay(["evt_1"], T0)).toEqual(["evt_1"]);
    expect(await claimIds(store, lease)).toEqual(["evt_1"]);
    expect(await claimIds(store, lease, T0, { webhook: "chat" })).toEqual(["evt_1"]);
    expect((await deadLetters(store)).map(({ eventId }) => eventId)).toEqual(["evt_2"]);
  });

  describe("replayed to another webhook", () => {
    async function deadFor(store: Store, lease: Lease, webhook: string, ...ids: readonly string[]) {
      await put(store, lease, ...ids.map((id) => event(id, { webhooks: [webhook] })));
      for (const id of ids) {
        await claimIds(store, lease, T0, { webhook });
        await settle(store, lease, id, dead, { webhook });
      }
    }

    test("they are its deliveries, same id, same body, in their old order, and its name is counted", async () => {
      const { store, second } = await use();
      const lease = await leaseOf(store);
      await deadFor(store, lease, "old", "evt_1", "evt_2");
      await deadFor(store, lease, "other", "evt_3");
      const route = { from: "old", to: "new" };
      expect(new Set(await (await second()).outbox.replay(null, T0 + 9, route))).toEqual(
        new Set(["evt_1", "evt_2"]),
      );
      expect(await store.outbox.counts(1)).toEqual([
        { webhook: "new", pending: 2, oldestAt: T0 + 9, dead: 0 },
        { webhook: "other", pending: 0, oldestAt: null, dead: 1 },
      ]);
      for (const id of ["evt_1", "evt_2"]) {
        const claim = await store.outbox.claim(lease, "new", 10, T0);
        if (claim === "fenced") throw new Error("fenced");
        expect(claim.deliveries).toMatchObject([
          { webhook: "new", eventId: id, body: `{"id":"${id}"}`, attempts: 0 },
        ]);
        await store.outbox.settle(lease, "new", claim.deliveries, delivered, T0);
      }
      expect(await store.outbox.replay(["evt_3"], T0, { from: "old", to: "new" })).toEqual([]);
    });

    for (const { what, prepare } of [
      { what: "waits for it", prepare: async () => undefined },
      {
        what: "is a dead letter of it",
        prepare: async (store: Store, lease: Lease) => {
          await claimIds(store, lease, T0, { webhook: "new" });
          await settle(store, lease, "evt_1", dead, { webhook: "new" });
        },
      },
      {
        what: "waits for it after a replay",
        prepare: async (store: Store, lease: Lease) => {
          await claimIds(store, lease, T0, { webhook: "new" });
          await settle(store, lease, "evt_1", dead, { webhook: "new" });
          await store.outbox.replay(null, T0, { from: "new" });
        },
      },
    ]) {
      test(`one that ${what} already is delivered once, and nothing of it is left`, async () => {
        const { store } = await use();
        const lease = await leaseOf(store);
        await put(store, lease, event("evt_1", { webhooks: ["old", "new"] }));
        await claimIds(store, lease, T0, { webhook: "old" });
        await settle(store, lease, "evt_1", dead, { webhook: "old" });
        await prepare(store, lease);
        expect(await store.outbox.replay(["evt_1"], T0, { to: "new" })).toEqual(["evt_1"]);
        expect(await store.outbox.counts(1)).toMatchObject([{ webhook: "new", pending: 1, dead: 0 }]);
        const claim = await store.outbox.claim(lease, "new", 10, T0);
        if (claim === "fenced") throw new Error("fenced");
        expect(claim.deliveries.map(({ eventId }) => eventId)).toEqual(["evt_1"]);
        await store.outbox.settle(lease, "new", claim.deliveries, delivered, T0);
        expect(await store.outbox.counts(1)).toEqual([]);
        // Nothing needs the event any more, so it is pruned.
        await store.outbox.prune(lease, Number.MAX_SAFE_INTEGER, new Map(), 0);
        expect((await store.reader.newestEvents(9)).events).toEqual([]);
      });
    }
  });

  test("a dropped dead letter is gone", async () => {
    const { store, second } = await use();
    const lease = await leaseOf(store);
    await put(store, lease, ...["a", "b", "c"].map((id) => event(id, { lane: id })));
    for (const id of await claimIds(store, lease)) await settle(store, lease, id, dead, { lane: id });
    expect(await (await second()).outbox.drop(["b", "unknown"])).toEqual(["b"]);
    expect((await deadLetters(store)).map(({ eventId }) => eventId)).toEqual(["a", "c"]);
    expect(new Set(await store.outbox.drop(null))).toEqual(new Set(["a", "c"]));
    expect(await store.outbox.replay(null, T0)).toEqual([]);
    expect(await store.outbox.counts(1)).toEqual([]);
  });

  test("dead letters are those of all shards, the oldest first", async () => {
    const { store } = await use();
    for (const [shard, at] of [
      [1, T0 + 2],
      [2, T0 + 1],
      [3, T0 + 3],
    ] as const) {
      const lease = await leaseOf(store, shard);
      await put(store, lease, event(`evt_${shard}`));
      await claimIds(store, lease);
      await settle(store, lease, `evt_${shard}`, dead, { now: at });
    }
    expect((await deadLetters(store)).map(({ eventId }) => eventId)).toEqual(["evt_2", "evt_1", "evt_3"]);
    expect(new Set(await store.outbox.replay(null, T0))).toEqual(new Set(["evt_1", "evt_2", "evt_3"]));
  });

  test("a page goes on where the last one ended, though letters go in between, and no cursor fails", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    const ids = Array.from({ length: 7 }, (_, n) => `evt_${n}`);
    await put(store, lease, ...ids.map((id) => event(id, { lane: id })));
    for (const id of await claimIds(store, lease)) await settle(store, lease, id, dead, { lane: id });
    const first = await store.outbox.deadLetters({ limit: 3 });
    expect(first.letters.map(({ eventId }) => eventId)).toEqual(ids.slice(0, 3));
    await store.outbox.drop(["evt_2", "evt_3"]);
    const rest = await store.outbox.deadLetters({ limit: 3, after: first.next ?? "" });
    expect(rest.letters.map(({ eventId }) => eventId)).toEqual(ids.slice(4));
    const end = rest.next === null ? null : await store.outbox.deadLetters({ limit: 3, after: rest.next });
    expect(end?.letters ?? []).toEqual([]);
    expect(end?.next ?? null).toBeNull();
    for (const after of ["", "x", "[]", "[1]", '{"at":1}'])
      expect((await store.outbox.deadLetters({ limit: 1, after })).letters).toMatchObject([
        { eventId: "evt_0" },
      ]);
  });

  test("a dead letter that is committed again becomes a delivery again and is no dead letter any more", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    await put(store, lease, event("evt_1", { body: "first" }));
    await claimIds(store, lease);
    await settle(store, lease, "evt_1", dead);
    await put(store, lease, event("evt_1", { body: "second" }));
    expect(await deadLetters(store)).toEqual([]);
    expect(await store.outbox.claim(lease, "ops", 10, T0)).toMatchObject({
      deliveries: [{ eventId: "evt_1", body: "first", attempts: 0 }],
    });
    await settle(store, lease, "evt_1", delivered);
    expect(await store.outbox.counts(1)).toEqual([]);
    expect(await store.outbox.replay(null, T0)).toEqual([]);
  });

  test("a replayed event that is committed again while it is pending is not queued twice", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    await put(store, lease, event("evt_1"));
    await claimIds(store, lease);
    await settle(store, lease, "evt_1", dead);
    await store.outbox.replay(null, T0);
    await put(store, lease, event("evt_1"));
    expect(await store.outbox.counts(1)).toMatchObject([{ pending: 1, dead: 0 }]);
  });
}
