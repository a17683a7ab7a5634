import { expect, test } from "vitest";
import { StoreError } from "../../../src/errors.ts";
import type { Batch } from "../../../src/ports/store.ts";
import {
  batch,
  claimIds,
  event,
  eventIds,
  fullRecord,
  fullTask,
  HOSTILE_TEXTS,
  leaseOf,
  put,
  record,
  SHARDS,
  T0,
  task,
  verdict,
} from "./back-end.ts";
import type { UseStore } from "./use-store.ts";

export function stateContract(use: UseStore): void {
  test("a shard that nobody wrote is empty", async () => {
    const { store } = await use();
    for (let shard = 0; shard < SHARDS; shard++) {
      expect(await store.state.load(shard)).toEqual({ generation: 0, instances: [], names: [] });
    }
    expect(await store.state.loadInstance(1, "p1/i1")).toBeNull();
  });

  test("what was committed is read back to the last field, also after a restart", async () => {
    const opened = await use();
    const lease = await leaseOf(opened.store);
    const written = batch({
      record: fullRecord(),
      upserts: [fullTask("full"), task("plain")],
      names: [
        { projectId: "p1", name: "restart", executed: true, sketch: "sketch\0é" },
        { projectId: "p1", name: "__proto__", executed: false, sketch: null },
      ],
    });
    expect(await opened.store.state.commit(lease, written)).toEqual({ kind: "ok", generation: 1 });
    for (const open of [async () => opened.store, opened.reopen]) {
      const store = await open();
      const instance = await store.state.loadInstance(1, "p1/i1");
      expect(instance).toEqual({
        record: fullRecord(),
        revision: 1,
        tasks: new Map([
          ["full", fullTask("full")],
          ["plain", task("plain")],
        ]),
      });
      expect(Object.keys(instance?.tasks.get("full")?.counts ?? {})).toContain("__proto__");
      const { names } = await store.state.load(1);
      expect([...names].sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual(
        [...written.names].sort((a, b) => (a.name < b.name ? -1 : 1)),
      );
    }
  });

  test("load gives every instance with its open, failed and stuck tasks only", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    await store.state.commit(
      lease,
      batch({
        upserts: [
          task("over"),
          task("created", { status: "CREATED" }),
          task("odd", { status: "NOBODY KNOWS" }),
          task("failure", { status: "FAILED", failedAt: T0 }),
          task("resolved", { status: "FAILED" }),
          task("stuck", { status: "SUCCESS", verdict }),
        ],
      }),
    );
    await store.state.commit(lease, batch({ key: "p1/idle", record: record({ instanceId: "idle" }) }));
    const { instances, generation } = await store.state.load(1);
    expect(generation).toBe(2);
    const tasks = new Map(instances.map((one) => [one.record.instanceId, [...one.tasks.keys()].sort()]));
    expect(tasks).toEqual(
      new Map([
        ["i1", ["created", "failure", "odd", "stuck"]],
        ["idle", []],
      ]),
    );
    expect((await store.state.loadInstance(1, "p1/i1"))?.tasks.size).toBe(6);
  });

  test("a task that is over leaves what load gives, and one that is removed is gone", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    const open = [task("a", { status: "EXECUTING" }), task("b", { status: "EXECUTING" })];
    await store.state.commit(lease, batch({ upserts: open }));
    await store.state.commit(
      lease,
      batch({ expectRevision: 1, upserts: [task("a")], removals: ["b", "never there"] }),
    );
    expect((await store.state.load(1)).instances[0]?.tasks.size).toBe(0);
    expect([...((await store.state.loadInstance(1, "p1/i1"))?.tasks.values() ?? [])]).toEqual([task("a")]);
  });

  test("shards do not see each other", async () => {
    const { store } = await use();
    const one = await leaseOf(store, 1);
    const two = await leaseOf(store, 2);
    await store.state.commit(one, batch({ upserts: [task("a", { status: "EXECUTING" })] }));
    await store.state.commit(two, batch({ shard: 2, record: record({ name: "other" }) }));
    expect((await store.state.loadInstance(2, "p1/i1"))?.record.name).toBe("other");
    expect((await store.state.load(2)).instances[0]?.tasks.size).toBe(0);
    expect((await store.state.load(0)).instances).toEqual([]);
    expect((await store.state.load(1)).generation).toBe(1);
  });

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

  test("removing an instance removes its tasks, keeps its events, and it can come again", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    const own = [task("a", { status: "EXECUTING" }), task("b")];
    await store.state.commit(lease, batch({ upserts: own }));
    await store.state.commit(
      lease,
      batch({ key: "p1/i10", record: record({ instanceId: "i10" }), upserts: own }),
    );
    const removal = batch({
      expectRevision: 1,
      record: null,
      events: [event("evt_removed", { taskId: null })],
    });
    expect(await store.state.commit(lease, { ...removal, expectRevision: 2 })).toEqual({ kind: "stale" });
    expect(await store.state.commit(lease, removal)).toEqual({ kind: "ok", generation: 3 });
    expect(await store.state.loadInstance(1, "p1/i1")).toBeNull();
    expect((await store.state.load(1)).instances.map((one) => one.record.instanceId)).toEqual(["i10"]);
    expect((await store.reader.tasks({ state: "all" })).map(({ key }) => key)).toEqual(["p1/i10", "p1/i10"]);
    expect(await claimIds(store, lease)).toEqual(["evt_removed"]);
    await store.state.commit(lease, batch());
    expect(await store.state.loadInstance(1, "p1/i1")).toEqual({
      record: record(),
      revision: 1,
      tasks: new Map(),
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

  test("times of complete polls are written without a trace in revision and generation", async () => {
    const opened = await use();
    const lease = await leaseOf(opened.store);
    await opened.store.state.commit(lease, batch({ record: fullRecord(), upserts: [fullTask("a")] }));
    const times = [
      { key: "p1/i1", lastCompleteAt: T0 + 500, lastSweepAt: null },
      { key: "p1/unknown", lastCompleteAt: T0, lastSweepAt: T0 },
    ];
    expect(await opened.store.state.touch(lease, times)).toBe("ok");
    const store = await opened.reopen();
    const { instances, generation } = await store.state.load(1);
    expect(generation).toBe(1);
    expect(instances).toEqual([
      {
        record: { ...fullRecord(), lastCompleteAt: T0 + 500, lastSweepAt: null },
        revision: 1,
        tasks: new Map([["a", fullTask("a")]]),
      },
    ]);
    expect(await store.state.touch({ ...lease, fence: lease.fence - 1 }, times)).toBe("fenced");
  });

  test("a name is known as it was written last, per shard and project", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    const name = { projectId: "p1", name: "restart", executed: false, sketch: null };
    await store.state.commit(lease, batch({ names: [name, { ...name, projectId: "p2" }] }));
    await store.state.commit(
      lease,
      batch({ expectRevision: 1, names: [{ ...name, executed: true, sketch: "s2" }] }),
    );
    const { names } = await store.state.load(1);
    expect(names).toHaveLength(2);
    expect(names.find(({ projectId }) => projectId === "p1")).toEqual({
      ...name,
      executed: true,
      sketch: "s2",
    });
    expect((await store.state.load(2)).names).toEqual([]);
  });

  test("ids and names of any kind are kept apart and come back as they were", async () => {
    const opened = await use();
    const lease = await leaseOf(opened.store);
    for (const text of HOSTILE_TEXTS) {
      const result = await opened.store.state.commit(
        lease,
        batch({
          key: `p1/${text}`,
          record: record({ instanceId: text, name: text }),
          upserts: HOSTILE_TEXTS.map((id) => task(id, { name: text, status: "EXECUTING", params: text })),
          names: [{ projectId: text, name: text, executed: true, sketch: text }],
          events: [event(`evt ${text}`, { taskId: text, lane: text, body: text, webhooks: [text] })],
        }),
      );
      expect(result.kind).toBe("ok");
    }
    const store = await opened.reopen();
    const { instances, names } = await store.state.load(1);
    expect(instances.map((one) => one.record.instanceId).sort()).toEqual([...HOSTILE_TEXTS].sort());
    expect(names.map(({ name }) => name).sort()).toEqual([...HOSTILE_TEXTS].sort());
    for (const { record: read, tasks } of instances) {
      const text = read.instanceId;
      expect(read.name).toBe(text);
      expect([...tasks.keys()].sort()).toEqual([...HOSTILE_TEXTS].sort());
      for (const [id, state] of tasks) {
        expect(state).toEqual(task(id, { name: text, status: "EXECUTING", params: text }));
      }
    }
    const again = await leaseOf(store);
    for (const text of HOSTILE_TEXTS) {
      expect(await store.outbox.claim(again, text, 10, T0)).toMatchObject({
        deliveries: [{ eventId: `evt ${text}`, lane: text, body: text, webhook: text }],
      });
      expect(await store.reader.events({ limit: 10, taskId: text })).toMatchObject({
        events: [{ id: `evt ${text}`, body: text }],
      });
    }
  });

  test("a shard that the store does not have is refused", async () => {
    const { store } = await use();
    await expect(store.state.load(SHARDS)).rejects.toThrow(StoreError);
    await expect(store.state.commit(null, batch({ shard: SHARDS }))).rejects.toThrow(StoreError);
    const lease = { shard: SHARDS, owner: "replica-a", fence: 1 };
    expect(await store.state.commit(lease, batch({ shard: SHARDS }))).toEqual({ kind: "fenced" });
  });

  test("a store that was closed answers with an error of its own kind", async () => {
    const { store, second } = await use();
    const handle = await second();
    await handle.close();
    await expect(handle.ping()).rejects.toMatchObject({ name: "StoreError", code: "unavailable" });
    await expect(handle.state.load(1)).rejects.toMatchObject({ name: "StoreError", code: "unavailable" });
    await expect(handle.state.commit(null, batch())).rejects.toMatchObject({ code: "unavailable" });
    await handle.close();
    await expect(store.ping()).resolves.toBeUndefined();
  });
}
