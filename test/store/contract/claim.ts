import { expect, test } from "vitest";
import {
  type Claims,
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

/** Gives one that is empty, each time another one. */
export type UseClaims = () => Promise<{ readonly store: Claims }>;

/** In what order deliveries are claimed, and what a settlement does to their lane. */
export function claimContract(use: UseClaims): void {
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

  test("the longest due comes first, and what was never tried is due since its commit", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    const ids = ["evt_a", "evt_b", "evt_c"];
    await put(store, lease, ...ids.map((id) => event(id, { lane: id })));
    await store.outbox.claim(lease, "ops", 10, T0);
    for (const [index, eventId] of ids.entries()) {
      await settle(store, lease, eventId, retryAt(T0 + 300 - 100 * index), { lane: eventId });
    }
    for (const at of [150, 250, 350, 9_999])
      await put(store, lease, event(`evt_${at}`, { lane: `evt_${at}`, time: T0 + at }));
    expect(await claimIds(store, lease, T0 + 250, { limit: 2 })).toEqual(["evt_c", "evt_150"]);
    expect(await claimIds(store, lease, T0 + 250, { limit: 2 })).toEqual(["evt_b", "evt_250"]);
    expect(await claimIds(store, lease, T0 + 250)).toEqual(["evt_350", "evt_9999"]);
    expect(await claimIds(store, lease, T0 + 300)).toEqual(["evt_a"]);
  });

  test("no retry is passed over for long by what comes in, and nothing that comes in by retries", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    const claims: string[] = [];
    for (let n = 0; n < 12; n++) {
      await put(store, lease, event(`evt_${n}`, { lane: `evt_${n}`, time: T0 + 10 * n }));
      const ids = await claimIds(store, lease, T0 + 10 * n, { limit: 1 });
      for (const id of ids) await settle(store, lease, id, retryAt(T0 + 10 * n + 15), { lane: id });
      claims.push(...ids);
    }
    expect(claims.slice(0, 6)).toEqual(["evt_0", "evt_1", "evt_0", "evt_2", "evt_1", "evt_3"]);
    const firsts = claims.filter((id, index) => claims.indexOf(id) === index);
    expect(firsts).toEqual(firsts.map((_, n) => `evt_${n}`));
    expect(firsts.length).toBeGreaterThanOrEqual(5);
    expect(claims.length - firsts.length).toBeGreaterThanOrEqual(5);
  });

  test("what is old is claimed whatever its due time, the oldest first, no more than the limit, and settled as any", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    const claimOld = async (until: number, limit = 10) => {
      const claim = await store.outbox.claimOld(lease, "ops", limit, until);
      return claim === "fenced" ? claim : claim.map(({ eventId }) => eventId);
    };
    for (const [n, lane] of ["a", "b", "c", "a", "d"].entries())
      await put(store, lease, event(`evt_${n + 1}`, { lane, time: T0 + n + 1 }));
    await claimIds(store, lease, T0, { limit: 3 });
    await settle(store, lease, "evt_1", retryAt(T0 + 2e9), { lane: "a" });
    await settle(store, lease, "evt_2", retryAt(T0), { lane: "b" });
    await settle(store, lease, "evt_3", retryAt(T0 + 1e9), { lane: "c" });
    expect(await claimOld(T0)).toEqual([]);
    expect(await claimOld(T0 + 4, 1)).toEqual(["evt_1"]);
    // Held by a claim of either kind is held.
    expect(await claimIds(store, lease, T0, { limit: 1 })).toEqual(["evt_2"]);
    expect(await claimOld(T0 + 4)).toEqual(["evt_3"]);
    expect(await claimOld(T0 + 4)).toEqual([]);
    await settle(store, lease, "evt_1", dead, { lane: "a" });
    // The next of its lane is the head, and old too.
    expect(await claimOld(T0 + 4)).toEqual(["evt_4"]);
    await settle(store, lease, "evt_4", dead, { lane: "a" });
    await settle(store, lease, "evt_2", delivered, { lane: "b" });
    await settle(store, lease, "evt_3", retryAt(T0 + 1e9), { lane: "c" });
    expect((await deadLetters(store)).map(({ eventId, attempts }) => [eventId, attempts])).toEqual([
      ["evt_1", 2],
      ["evt_4", 1],
    ]);
    expect(await store.outbox.counts(1)).toMatchObject([{ pending: 2, oldestAt: T0 + 3, dead: 2 }]);
    expect(await claimOld(T0 + 1e9)).toEqual(["evt_3", "evt_5"]);
  });

  test("a new lease frees what the old one holds, and the old one can neither claim nor settle", async () => {
    const { store } = await use();
    const old = await leaseOf(store);
    await put(store, old, event("evt_1"), event("evt_2", { lane: "lane-2" }));
    expect(await claimIds(store, old, T0, { limit: 1 })).toEqual(["evt_1"]);
    expect(await store.outbox.claimOld(old, "ops", 10, T0)).toMatchObject([{ eventId: "evt_2" }]);
    const lease = await leaseOf(store);
    expect(await store.outbox.claim(old, "ops", 10, T0)).toBe("fenced");
    expect(await store.outbox.claimOld(old, "ops", 10, T0)).toBe("fenced");
    expect(await settle(store, old, "evt_1", delivered)).toBe("fenced");
    expect(await store.outbox.claimOld(lease, "ops", 10, T0)).toMatchObject([
      { eventId: "evt_1" },
      { eventId: "evt_2" },
    ]);
    expect(await claimIds(store, lease)).toEqual([]);
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
}
