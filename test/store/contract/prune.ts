import { expect, test } from "vitest";
import type { Store } from "../../../src/ports/store.ts";
import {
  batch,
  claimIds,
  deadLetters,
  event,
  eventIds,
  leaseOf,
  put,
  T0,
  task,
  verdict,
} from "./back-end.ts";
import type { UseStore } from "./use-store.ts";

const OLD = T0 - 1000;
const NONE = new Map<string, number>();

/** Prunes until nothing more goes; one call's work is bounded. */
async function pruneAll(
  store: Store,
  lease: Parameters<Store["outbox"]["prune"]>[0],
  before = T0,
  dead = NONE,
) {
  for (let calls = 0, left = -1; calls < 100; calls++) {
    expect(await store.outbox.prune(lease, before, dead, 0)).toBe("ok");
    const now = (await eventIds(store)).length + (await deadLetters(store)).length;
    if (now === left) return;
    left = now;
  }
  throw new Error("pruning never ends");
}

export function pruneContract(use: UseStore): void {
  test("how often an instance was removed is known until its time, whatever else is pruned", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    for (const [key, at] of [
      ["p1/i1", T0],
      ["p1/i2", T0 + 10],
    ] as const) {
      await store.state.commit(lease, batch({ key }));
      await store.state.commit(
        lease,
        batch({ key, expectRevision: 1, record: null, removal: { removals: 1, at } }),
      );
    }
    const known = async () => [...(await store.state.load(1)).removals.keys()].sort();
    expect(await store.outbox.prune(lease, T0 + 99, new Map([["ops", T0 + 99]]), T0)).toBe("ok");
    expect(await known()).toEqual(["p1/i1", "p1/i2"]);
    expect(await store.outbox.prune(lease, T0, NONE, T0 + 10)).toBe("ok");
    expect(await known()).toEqual(["p1/i2"]);
    const next = await leaseOf(store);
    expect(await store.outbox.prune(lease, T0, NONE, T0 + 99)).toBe("fenced");
    expect(await known()).toEqual(["p1/i2"]);
    expect(await store.outbox.prune(next, T0, NONE, T0 + 11)).toBe("ok");
    expect(await known()).toEqual([]);
  });

  test("events that are old and that nobody needs go, others stay", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    await put(
      store,
      lease,
      event("evt_old", { time: OLD, webhooks: [] }),
      event("evt_edge", { time: T0, webhooks: [] }),
      event("evt_pending", { time: OLD, webhooks: ["chat"] }),
      event("evt_done", { time: OLD }),
      event("evt_dead", { time: OLD, lane: "b" }),
    );
    expect(await claimIds(store, lease)).toEqual(["evt_done", "evt_dead"]);
    const settled = [
      ["evt_done", "lane-1", { kind: "delivered" }],
      ["evt_dead", "b", { kind: "dead", reason: "refused" }],
    ] as const;
    for (const [eventId, lane, settlement] of settled) {
      await store.outbox.settle(lease, "ops", [{ eventId, lane }], settlement, T0);
    }
    await pruneAll(store, lease);
    expect(await eventIds(store)).toEqual(["evt_edge", "evt_pending", "evt_dead"]);
    expect(await store.outbox.replay(null, T0)).toEqual(["evt_dead"]);
    await pruneAll(store, lease);
    expect(await claimIds(store, lease)).toEqual(["evt_dead"]);
    expect(await claimIds(store, lease, T0, { webhook: "chat" })).toEqual(["evt_pending"]);
  });

  test("what an event was kept for ends, and it goes", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    const ids = ["evt_a", "evt_b", "evt_c"];
    await put(
      store,
      lease,
      ...ids.map((id) => event(id, { time: OLD, lane: id, webhooks: ["ops", "chat"] })),
      event("evt_new", { webhooks: [] }),
    );
    for (const webhook of ["ops", "chat"]) {
      await claimIds(store, lease, T0, { webhook });
      const [a, b, c] = ids.map((id) => [{ eventId: id, lane: id }]);
      await store.outbox.settle(lease, webhook, a!, { kind: "delivered" }, T0);
      await store.outbox.settle(lease, webhook, b!, { kind: "dead", reason: "r" }, T0);
      await store.outbox.settle(lease, webhook, c!, { kind: "dead", reason: "r" }, T0);
    }
    await pruneAll(store, lease);
    expect(await eventIds(store)).toEqual(["evt_b", "evt_c", "evt_new"]);
    expect(await store.outbox.drop(["evt_b"])).toEqual(["evt_b"]);
    await pruneAll(store, lease);
    expect(await eventIds(store)).toEqual(["evt_c", "evt_new"]);
    const half = new Map([["ops", T0 + 1]]);
    await pruneAll(store, lease, T0, half);
    expect((await deadLetters(store)).map(({ webhook }) => webhook)).toEqual(["chat"]);
    expect(await eventIds(store)).toEqual(["evt_c", "evt_new"]);
    await pruneAll(store, lease, T0, new Map([["chat", T0 + 1]]));
    expect(await eventIds(store)).toEqual(["evt_new"]);
  });

  test("dead letters go by the time of their own webhook, and at no other's", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    const other = await leaseOf(store, 2);
    for (const [owner, id] of [
      [lease, "evt_1"],
      [other, "evt_2"],
    ] as const) {
      await put(store, owner, event(id, { webhooks: ["ops", "chat"] }));
      for (const webhook of ["ops", "chat"]) {
        await claimIds(store, owner, T0, { webhook });
        await store.outbox.settle(
          owner,
          webhook,
          [{ eventId: id, lane: "lane-1" }],
          { kind: "dead", reason: "r" },
          T0 + 5,
        );
      }
    }
    const before = new Map([
      ["ops", T0 + 5],
      ["gone", T0 + 100],
    ]);
    await pruneAll(store, lease, OLD, before);
    expect(await deadLetters(store)).toHaveLength(4);
    await pruneAll(store, lease, OLD, new Map([["ops", T0 + 6]]));
    const left = (await deadLetters(store)).map(({ webhook, eventId }) => `${webhook} ${eventId}`);
    expect(left.sort()).toEqual(["chat evt_1", "chat evt_2", "ops evt_2"]);
  });

  test("the history of a stuck task and of an open failure is kept until it is over", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    const own = ["failure", "stuck", "open", "over"];
    await store.state.commit(
      lease,
      batch({
        upserts: [
          task("failure", { status: "FAILED", failedAt: OLD }),
          task("stuck", { status: "EXECUTING", verdict }),
          task("open", { status: "EXECUTING" }),
          task("over"),
        ],
        events: own.map((id) => event(`evt_${id}`, { time: OLD, taskId: id, webhooks: [] })),
      }),
    );
    await put(store, lease, event("evt_none", { time: OLD, webhooks: [], taskId: null }));
    await put(store, lease, event("evt_new", { webhooks: [] }));
    await pruneAll(store, lease);
    expect(await eventIds(store)).toEqual(["evt_failure", "evt_stuck", "evt_new"]);
    await store.state.commit(
      lease,
      batch({ expectRevision: 1, upserts: [task("failure", { status: "FAILED" })] }),
    );
    await pruneAll(store, lease);
    expect(await eventIds(store)).toEqual(["evt_stuck", "evt_new"]);
    await store.state.commit(lease, batch({ expectRevision: 2, removals: ["stuck"] }));
    await pruneAll(store, lease);
    expect(await eventIds(store)).toEqual(["evt_new"]);
  });

  test("pruning reaches every event behind thousands that are kept, and of its own shard only", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    const other = await leaseOf(store, 2);
    await put(store, other, event("evt_other", { time: OLD, webhooks: [] }));
    for (let round = 0; round < 5; round++) {
      const kept = Array.from({ length: 1000 }, (_, index) =>
        event(`evt_kept_${round}_${index}`, { time: OLD, lane: `${index}` }),
      );
      await put(store, lease, ...kept, event(`evt_free_${round}`, { time: OLD, webhooks: [] }));
    }
    await put(store, lease, event("evt_new", { webhooks: [] }));
    for (let calls = 0; calls < 20; calls++) await store.outbox.prune(lease, T0, NONE, 0);
    const left = await eventIds(store);
    expect(left.filter((id) => id.startsWith("evt_free"))).toEqual([]);
    expect(left).toHaveLength(5002);
    expect(left).toContain("evt_other");
  });
}
