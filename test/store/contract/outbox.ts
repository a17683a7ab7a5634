import { expect, test } from "vitest";
import {
  batch,
  claimIds,
  dead,
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
import { claimContract } from "./claim.ts";
import type { UseStore } from "./use-store.ts";

export function outboxContract(use: UseStore): void {
  claimContract(use);

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

  test("a dead letter that was put back is as old as its return", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    await put(store, lease, event("evt_1"));
    await claimIds(store, lease);
    await settle(store, lease, "evt_1", dead);
    await store.outbox.replay(["evt_1"], T0 + 100);
    expect(await store.outbox.claimOld(lease, "ops", 10, T0 + 99)).toEqual([]);
    expect(await store.outbox.claimOld(lease, "ops", 10, T0 + 100)).toMatchObject([
      { eventId: "evt_1", since: T0 + 100 },
    ]);
  });

  test("a new lease frees what the old one holds, and the old one can no longer claim, settle or prune", async () => {
    const { store } = await use();
    const old = await leaseOf(store);
    await put(store, old, event("evt_1"));
    expect(await claimIds(store, old)).toEqual(["evt_1"]);
    const lease = await leaseOf(store);
    expect(await store.outbox.claim(old, "ops", 10, T0)).toBe("fenced");
    expect(await settle(store, old, "evt_1", delivered)).toBe("fenced");
    expect(await store.outbox.prune(old, T0, new Map(), 0)).toBe("fenced");
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
      expect(await store.outbox.claimOld(lease, text, 10, T0)).toMatchObject([{ eventId: `${text} 1` }]);
    }
  });
}
