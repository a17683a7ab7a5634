import { expect, test } from "vitest";
import { StoreError } from "../../../src/errors.ts";
import type { Batch } from "../../../src/ports/store.ts";
import { batch, claimIds, event, eventIds, leaseOf, put, record, SHARDS, T0, task } from "./back-end.ts";
import type { UseStore } from "./use-store.ts";

export function commitContract(use: UseStore): void {
  test("a commit on an old revision writes nothing at all", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    await store.state.commit(lease, batch({ upserts: [task("a")] }));
    const before = [await store.state.load(1), await store.state.loadInstance(1, "p1/i1")];
    const late: Partial<Batch> = {
      record: record({ name: "late" }),
      upserts: [task("b", { status: "EXECUTING" })],
      removals: ["a"],
      events: [event("evt_late")],
      names: [{ projectId: "p1", name: "late", executed: true, sketch: null }],
    };
    for (const expectRevision of [0, 2]) {
      expect(await store.state.commit(lease, batch({ ...late, expectRevision }))).toEqual({ kind: "stale" });
    }
    expect(await store.state.commit(null, batch({ ...late, expectRevision: 0 }))).toEqual({ kind: "stale" });
    expect(await store.state.commit(lease, batch({ ...late, key: "p1/unknown", expectRevision: 3 }))).toEqual(
      {
        kind: "stale",
      },
    );
    expect([await store.state.load(1), await store.state.loadInstance(1, "p1/i1")]).toEqual(before);
    expect(await eventIds(store)).toEqual([]);
    expect(await claimIds(store, lease)).toEqual([]);
  });

  test("a commit without the valid lease writes nothing at all", async () => {
    const { store } = await use();
    const old = await leaseOf(store);
    await store.state.commit(old, batch());
    const valid = await leaseOf(store);
    const other = await leaseOf(store, 2);
    const attempt = batch({
      expectRevision: 1,
      record: record({ name: "late" }),
      events: [event("evt_late")],
    });
    const forged = [
      old,
      { ...valid, owner: "replica-b" },
      { ...valid, fence: valid.fence + 1 },
      other,
      { ...other, shard: 1, fence: valid.fence, owner: "" },
    ];
    for (const lease of forged) {
      expect(await store.state.commit(lease, attempt)).toEqual({ kind: "fenced" });
    }
    await store.leases.release(valid);
    expect(await store.state.commit(valid, attempt)).toEqual({ kind: "fenced" });
    expect(await store.state.load(1)).toMatchObject({
      generation: 1,
      instances: [{ revision: 1, record: { name: "orders" } }],
    });
    expect(await eventIds(store)).toEqual([]);
  });

  test("the fence is told before the revision: a replica that lost its shard must not load and go on", async () => {
    const { store } = await use();
    const old = await leaseOf(store);
    await leaseOf(store);
    expect(await store.state.commit(old, batch({ expectRevision: 9 }))).toEqual({ kind: "fenced" });
  });

  test("of two commits on one revision in the same turn, the first one wins", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    const results = await Promise.all([
      store.state.commit(lease, batch({ record: record({ name: "first" }), events: [event("evt_1")] })),
      store.state.commit(lease, batch({ record: record({ name: "second" }), events: [event("evt_2")] })),
      store.state.commit(lease, batch({ key: "p1/i2", record: record({ instanceId: "i2" }) })),
    ]);
    expect(results).toEqual([
      { kind: "ok", generation: 1 },
      { kind: "stale" },
      { kind: "ok", generation: 2 },
    ]);
    expect((await store.state.loadInstance(1, "p1/i1"))?.record.name).toBe("first");
    expect(await eventIds(store)).toEqual(["evt_1"]);
  });

  test("own commits return the generation that a renewal shows", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    for (let revision = 0; revision < 3; revision++) {
      const result = await store.state.commit(lease, batch({ expectRevision: revision }));
      expect(result).toEqual({ kind: "ok", generation: revision + 1 });
      const renewed = await store.leases.renew([lease], 600_000);
      expect(renewed).toEqual([{ lease, generation: revision + 1 }]);
      expect((await store.state.load(1)).generation).toBe(revision + 1);
    }
    await store.state.commit(lease, batch({ expectRevision: 0 }));
    expect(await store.leases.renew([lease], 600_000)).toEqual([{ lease, generation: 3 }]);
  });

  test("a command's write beside the owner is checked by revision, and the owner sees it in the generation", async () => {
    const { store, second } = await use();
    const lease = await leaseOf(store);
    await store.state.commit(lease, batch({ upserts: [task("a", { status: "EXECUTING" })] }));
    const command = await second();
    const seen = await command.state.loadInstance(1, "p1/i1");
    expect(seen?.revision).toBe(1);
    const acknowledged = task("a", {
      status: "EXECUTING",
      acknowledged: { by: "ann", at: T0, reason: "known" },
    });
    const ack = batch({ expectRevision: 1, upserts: [acknowledged], events: [event("evt_ack")] });
    expect(await command.state.commit(null, ack)).toEqual({ kind: "ok", generation: 2 });
    expect(await command.state.commit(null, ack)).toEqual({ kind: "stale" });
    expect(await store.leases.renew([lease], 600_000)).toEqual([{ lease, generation: 2 }]);
    expect(await store.state.commit(lease, batch({ expectRevision: 1 }))).toEqual({ kind: "stale" });
    expect((await store.state.load(1)).instances[0]?.tasks.get("a")).toEqual(acknowledged);
    expect(await claimIds(store, lease)).toEqual(["evt_ack"]);
  });

  test("a command writes a shard that nobody owns", async () => {
    const { store, second } = await use();
    const command = await second();
    expect(await command.state.commit(null, batch({ shard: 3 }))).toEqual({ kind: "ok", generation: 1 });
    expect((await store.state.load(3)).instances).toHaveLength(1);
  });

  test("the generation goes on over leases and restarts", async () => {
    const opened = await use();
    await opened.store.state.commit(await leaseOf(opened.store), batch());
    const store = await opened.reopen();
    const lease = await leaseOf(store);
    expect(await store.leases.renew([lease], 600_000)).toEqual([{ lease, generation: 1 }]);
    expect(await store.state.commit(lease, batch({ expectRevision: 1 }))).toEqual({
      kind: "ok",
      generation: 2,
    });
  });

  test("events of no instance are written without a record", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    const result = await put(store, lease, event("evt_test", { type: "test", taskId: null }));
    expect(result).toEqual({ kind: "ok", generation: 1 });
    expect((await store.state.load(1)).instances).toEqual([]);
    expect(await claimIds(store, lease)).toEqual(["evt_test"]);
  });

  test("a shard that the store does not have is refused", async () => {
    const { store } = await use();
    await expect(store.state.load(SHARDS)).rejects.toThrow(StoreError);
    await expect(store.state.commit(null, batch({ shard: SHARDS }))).rejects.toThrow(StoreError);
    const lease = { shard: SHARDS, owner: "replica-a", fence: 1 };
    expect(await store.state.commit(lease, batch({ shard: SHARDS }))).toEqual({ kind: "fenced" });
  });
}
