import { expect, test } from "vitest";
import {
  batch,
  claimIds,
  dead,
  deadLetters,
  delivered,
  event,
  eventIds,
  HOSTILE_TEXTS,
  leaseOf,
  put,
  retryAt,
  settle,
  T0,
} from "./back-end.ts";
import type { UseStore } from "./use-store.ts";

export function outboxContract(use: UseStore): void {
  test("a delivery carries all that a sender needs, byte by byte", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    const body = '{"id":"evt_1","odd":"\u2028 \\u0000 é 🔑"}\n';
    await put(store, lease, event("evt_1", { body, time: T0 + 7, type: "task.stuck", lane: "lane-x" }));
    expect(await store.outbox.claim(lease, "ops", 10, T0 + 20)).toEqual({
      deliveries: [
        {
          shard: 1,
          webhook: "ops",
          lane: "lane-x",
          eventId: "evt_1",
          type: "task.stuck",
          body,
          attempts: 0,
          since: T0 + 7,
        },
      ],
      nextDueAt: null,
    });
  });

  test("an event goes to each of its webhooks, once each, and one for none of them to nobody", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    await put(
      store,
      lease,
      event("evt_1", { webhooks: ["ops", "chat", "ops"] }),
      event("evt_2", { webhooks: [], lane: "lane-2" }),
    );
    expect(await claimIds(store, lease)).toEqual(["evt_1"]);
    expect(await claimIds(store, lease, T0, { webhook: "chat" })).toEqual(["evt_1"]);
    expect(await claimIds(store, lease, T0, { webhook: "unknown" })).toEqual([]);
    expect(await eventIds(store)).toEqual(["evt_1", "evt_2"]);
  });

  test("events of one lane go out one after the other, in the order of their commits", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    await put(store, lease, event("evt_3"), event("evt_1"));
    await put(store, lease, event("evt_2"));
    const order: string[] = [];
    for (let round = 0; round < 3; round++) {
      const [id = "none", ...rest] = await claimIds(store, lease);
      expect(rest).toEqual([]);
      expect(await claimIds(store, lease)).toEqual([]);
      order.push(id);
      expect(await settle(store, lease, id, delivered)).toBe("ok");
    }
    expect(order).toEqual(["evt_3", "evt_1", "evt_2"]);
    expect(await store.outbox.claim(lease, "ops", 10, T0)).toEqual({ deliveries: [], nextDueAt: null });
  });

  test("lanes do not wait for each other, webhooks do not, and shards do not", async () => {
    const { store } = await use();
    const one = await leaseOf(store, 1);
    const two = await leaseOf(store, 2);
    await put(store, one, event("evt_1", { webhooks: ["ops", "chat"] }), event("evt_2", { lane: "lane-2" }));
    await put(store, one, event("evt_3", { webhooks: ["ops", "chat"] }));
    await put(store, two, event("evt_4"));
    expect(await claimIds(store, one)).toEqual(["evt_1", "evt_2"]);
    expect(await claimIds(store, two)).toEqual(["evt_4"]);
    expect(await claimIds(store, one, T0, { webhook: "chat" })).toEqual(["evt_1"]);
    await settle(store, one, "evt_1", retryAt(T0 + 1000));
    await settle(store, one, "evt_1", delivered, { webhook: "chat" });
    expect(await claimIds(store, one, T0, { webhook: "chat" })).toEqual(["evt_3"]);
    expect(await claimIds(store, one)).toEqual([]);
  });

  test("a claim takes no more than its limit, and says when to ask again", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    const ids = ["evt_1", "evt_2", "evt_3"];
    await put(store, lease, ...ids.map((id) => event(id, { lane: id })));
    const first = await store.outbox.claim(lease, "ops", 0, T0);
    expect(first).toMatchObject({ deliveries: [] });
    expect(first !== "fenced" && first.nextDueAt !== null && first.nextDueAt <= T0).toBe(true);
    const second = await store.outbox.claim(lease, "ops", 2, T0);
    expect(second).toMatchObject({ deliveries: [{ eventId: "evt_1" }, { eventId: "evt_2" }] });
    expect(second !== "fenced" && second.nextDueAt !== null && second.nextDueAt <= T0).toBe(true);
    expect(await store.outbox.claim(lease, "ops", 2, T0)).toMatchObject({
      deliveries: [{ eventId: "evt_3" }],
      nextDueAt: null,
    });
    expect(await store.outbox.claim(lease, "ops", 2, T0)).toEqual({ deliveries: [], nextDueAt: null });
  });

  test("what was never tried is due whatever the clock says: one that was set back holds nothing up", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    await put(store, lease, event("evt_1", { time: T0 + 3_600_000 }));
    expect(await claimIds(store, lease, T0)).toEqual(["evt_1"]);
  });

  test("a retry waits for its time, keeps its lane waiting, and counts attempts", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    await put(store, lease, event("evt_1"), event("evt_2"), event("evt_9", { lane: "lane-9" }));
    await store.outbox.claim(lease, "ops", 10, T0);
    await settle(store, lease, "evt_9", delivered, { lane: "lane-9" });
    await settle(store, lease, "evt_1", retryAt(T0 + 1000));
    expect(await store.outbox.claim(lease, "ops", 10, T0 + 999)).toEqual({
      deliveries: [],
      nextDueAt: T0 + 1000,
    });
    expect(await store.outbox.claim(lease, "ops", 10, T0 + 1000)).toMatchObject({
      deliveries: [{ eventId: "evt_1", attempts: 1, since: T0 }],
    });
    await settle(store, lease, "evt_1", retryAt(T0 + 2000.25));
    expect(await store.outbox.claim(lease, "ops", 10, T0 + 3000)).toMatchObject({
      deliveries: [{ eventId: "evt_1", attempts: 2, since: T0 }],
    });
    await settle(store, lease, "evt_1", delivered);
    expect(await store.outbox.claim(lease, "ops", 10, T0)).toMatchObject({
      deliveries: [{ eventId: "evt_2", attempts: 0 }],
    });
  });

  test("what was never tried comes first, then retries, the longest due first", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    const ids = ["evt_a", "evt_b", "evt_c"];
    await put(store, lease, ...ids.map((id) => event(id, { lane: id })));
    await store.outbox.claim(lease, "ops", 10, T0);
    for (const [index, eventId] of ids.entries()) {
      await settle(store, lease, eventId, retryAt(T0 + 300 - index), { lane: eventId });
    }
    await put(store, lease, event("evt_new", { lane: "evt_new", time: T0 + 400 }));
    expect(await claimIds(store, lease, T0 + 500)).toEqual(["evt_new", "evt_c", "evt_b", "evt_a"]);
  });

  test("several deliveries are settled together", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    await put(store, lease, ...["a", "b", "c"].map((id) => event(id, { lane: id })));
    const claim = await store.outbox.claim(lease, "ops", 10, T0);
    if (claim === "fenced") throw new Error("fenced");
    expect(await store.outbox.settle(lease, "ops", claim.deliveries, retryAt(T0 + 5), T0)).toBe("ok");
    expect(await claimIds(store, lease, T0 + 4)).toEqual([]);
    expect(await claimIds(store, lease, T0 + 5)).toHaveLength(3);
    expect(await store.outbox.settle(lease, "ops", claim.deliveries, delivered, T0)).toBe("ok");
    expect(await store.outbox.counts(1)).toEqual([]);
  });

  test("a settlement of what is not held is passed over", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    await put(store, lease, event("evt_1"), event("evt_2"));
    expect(await settle(store, lease, "evt_1", delivered)).toBe("ok");
    expect(await claimIds(store, lease)).toEqual(["evt_1"]);
    expect(await settle(store, lease, "evt_2", delivered)).toBe("ok");
    expect(await settle(store, lease, "evt_1", delivered, { lane: "lane-2" })).toBe("ok");
    expect(await settle(store, lease, "evt_1", delivered, { webhook: "chat" })).toBe("ok");
    expect(await settle(store, lease, "nobody", dead)).toBe("ok");
    expect(await store.outbox.counts(1)).toMatchObject([{ pending: 2, dead: 0 }]);
    expect(await settle(store, lease, "evt_1", delivered)).toBe("ok");
    expect(await settle(store, lease, "evt_1", dead)).toBe("ok");
    expect(await claimIds(store, lease)).toEqual(["evt_2"]);
    expect(await deadLetters(store)).toEqual([]);
  });

  test("what was held when a daemon died is delivered again under the next lease, same id, same body", async () => {
    const opened = await use();
    const before = await leaseOf(opened.store);
    await put(opened.store, before, event("evt_1"), event("evt_2", { lane: "lane-2" }));
    const first = await opened.store.outbox.claim(before, "ops", 10, T0);
    await settle(opened.store, before, "evt_2", delivered, { lane: "lane-2" });
    const store = await opened.reopen();
    const lease = await leaseOf(store);
    const again = await store.outbox.claim(lease, "ops", 10, T0);
    if (first === "fenced" || again === "fenced") throw new Error("fenced");
    expect(again.deliveries).toEqual(first.deliveries.slice(0, 1));
  });

  test("a new lease frees what the old one holds, and the old one can no longer claim, settle or prune", async () => {
    const { store } = await use();
    const old = await leaseOf(store);
    await put(store, old, event("evt_1"));
    expect(await claimIds(store, old)).toEqual(["evt_1"]);
    const lease = await leaseOf(store);
    expect(await store.outbox.claim(old, "ops", 10, T0)).toBe("fenced");
    expect(await settle(store, old, "evt_1", delivered)).toBe("fenced");
    expect(await store.outbox.prune(old, T0, new Map())).toBe("fenced");
    expect(await claimIds(store, lease)).toEqual(["evt_1"]);
    expect(await settle(store, old, "evt_1", dead)).toBe("fenced");
    expect(await claimIds(store, lease)).toEqual([]);
    expect(await settle(store, lease, "evt_1", delivered)).toBe("ok");
  });

  test("counts tell per webhook what is pending, since when, and what is dead", async () => {
    const { store, second } = await use();
    const lease = await leaseOf(store);
    expect(await store.outbox.counts(1)).toEqual([]);
    await put(store, lease, event("evt_1", { time: T0 + 30, webhooks: ["ops", "chat"] }));
    await put(store, lease, event("evt_2", { time: T0 + 20 }), event("evt_3", { lane: "b", time: T0 + 10 }));
    await store.outbox.claim(lease, "chat", 10, T0);
    await settle(store, lease, "evt_1", dead, { webhook: "chat" });
    await claimIds(store, lease);
    await settle(store, lease, "evt_3", delivered, { lane: "b" });
    const counts = [
      { webhook: "chat", pending: 0, oldestAt: null, dead: 1 },
      { webhook: "ops", pending: 2, oldestAt: T0 + 20, dead: 0 },
    ];
    expect(await store.outbox.counts(1)).toEqual(counts);
    expect(await store.outbox.counts(2)).toEqual([]);
    expect(await (await second()).outbox.counts(1)).toEqual(counts);
  });

  test("an event that was delivered and is committed again is replaced and delivered again", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    await put(store, lease, event("evt_1", { body: "muted", webhooks: [] }), event("evt_2", { lane: "b" }));
    await put(store, lease, event("evt_1", { body: "sent", time: T0 + 60 }));
    expect(await store.outbox.claim(lease, "ops", 10, T0)).toMatchObject({
      deliveries: [{ eventId: "evt_2" }, { eventId: "evt_1", body: "sent", since: T0 + 60 }],
    });
    await settle(store, lease, "evt_1", delivered);
    await put(store, lease, event("evt_1", { body: "once more" }));
    expect(await store.outbox.claim(lease, "ops", 10, T0)).toMatchObject({
      deliveries: [{ eventId: "evt_1", body: "once more" }],
    });
    const { events } = await store.reader.events({ limit: 10 });
    expect(events.map(({ id, body }) => [id, body])).toEqual([
      ["evt_2", '{"id":"evt_2"}'],
      ["evt_1", "once more"],
    ]);
  });

  test("an event that is pending is not queued twice, and keeps the bytes that an attempt may have sent", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    await put(store, lease, event("evt_1", { body: "first" }));
    await claimIds(store, lease);
    await put(store, lease, event("evt_1", { body: "second", webhooks: ["ops", "chat"] }));
    expect(await store.outbox.counts(1)).toMatchObject([
      { webhook: "chat", pending: 1 },
      { webhook: "ops", pending: 1 },
    ]);
    await settle(store, lease, "evt_1", retryAt(T0));
    for (const webhook of ["ops", "chat"]) {
      expect(await store.outbox.claim(lease, webhook, 10, T0)).toMatchObject({
        deliveries: [{ eventId: "evt_1", body: "first" }],
      });
      await settle(store, lease, "evt_1", delivered, { webhook });
    }
    expect(await store.outbox.counts(1)).toEqual([]);
  });

  test("events come with their state or not at all", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    await store.state.commit(lease, batch({ events: [event("evt_1")] }));
    await store.state.commit(lease, batch({ events: [event("evt_2")] }));
    expect(await eventIds(store)).toEqual(["evt_1"]);
    expect(await claimIds(store, lease)).toEqual(["evt_1"]);
  });

  test("lanes, webhooks and ids of any kind keep their order and stay apart", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    for (const text of HOSTILE_TEXTS) {
      await put(
        store,
        lease,
        event(`${text} 1`, { lane: text, webhooks: [text] }),
        event(`${text} 2`, { lane: text, webhooks: [text] }),
      );
    }
    for (const text of HOSTILE_TEXTS) {
      expect(await claimIds(store, lease, T0, { webhook: text })).toEqual([`${text} 1`]);
      await settle(store, lease, `${text} 1`, dead, { webhook: text, lane: text });
      expect(await claimIds(store, lease, T0, { webhook: text })).toEqual([`${text} 2`]);
      expect(await store.outbox.replay([`${text} 1`], T0)).toEqual([`${text} 1`]);
      expect(await claimIds(store, lease, T0, { webhook: text })).toEqual([`${text} 1`]);
    }
  });
}
