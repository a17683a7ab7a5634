import { expect, test } from "vitest";
import {
  batch,
  claimIds,
  event,
  fullRecord,
  fullTask,
  HOSTILE_TEXTS,
  leaseOf,
  record,
  SHARDS,
  sketch,
  T0,
  task,
  verdict,
} from "./back-end.ts";
import type { UseStore } from "./use-store.ts";

export function stateContract(use: UseStore): void {
  test("a shard that nobody wrote is empty", async () => {
    const { store } = await use();
    for (let shard = 0; shard < SHARDS; shard++) {
      expect(await store.state.load(shard)).toEqual({
        generation: 0,
        instances: [],
        names: [],
        removals: new Map(),
      });
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
        { projectId: "p1", name: "restart", executed: true, sketch: sketch(1) },
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

  test("how often an instance was removed stays when it goes, comes and goes, each shard for itself", async () => {
    const { store, reopen } = await use();
    const lease = await leaseOf(store);
    const two = await leaseOf(store, 2);
    const gone = async (key: string, removals: number) => {
      await store.state.commit(lease, batch({ key, record: record({ removals: removals - 1 }) }));
      const removal = { removals, at: T0 + removals };
      return store.state.commit(lease, batch({ key, expectRevision: 1, record: null, removal }));
    };
    for (let removals = 1; removals <= 11; removals++) await gone("p1/i1", removals);
    await gone("p1/a b 7 c", 3);
    const stale = batch({ expectRevision: 7, record: null, removal: { removals: 99, at: T0 } });
    expect(await store.state.commit(lease, stale)).toEqual({ kind: "stale" });
    expect(await store.state.commit(two, { ...stale, shard: 2 })).toEqual({ kind: "stale" });
    await store.state.commit(two, batch({ shard: 2 }));
    await store.state.commit(lease, batch({ record: record({ removals: 11 }) }));
    const removals = new Map([
      ["p1/i1", 11],
      ["p1/a b 7 c", 3],
    ]);
    const after = await reopen();
    expect((await after.state.load(1)).removals).toEqual(removals);
    expect((await after.state.loadInstance(1, "p1/i1"))?.record.removals).toBe(11);
    expect((await after.state.load(2)).removals).toEqual(new Map());
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
      batch({ expectRevision: 1, names: [{ ...name, executed: true, sketch: sketch(2) }] }),
    );
    const { names } = await store.state.load(1);
    expect(names).toHaveLength(2);
    expect(names.find(({ projectId }) => projectId === "p1")).toEqual({
      ...name,
      executed: true,
      sketch: sketch(2),
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
          names: [{ projectId: text, name: text, executed: true, sketch: sketch(3) }],
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
