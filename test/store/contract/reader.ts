import { expect, test } from "vitest";
import type { Store, TaskFilter } from "../../../src/ports/store.ts";
import {
  batch,
  event,
  fullRecord,
  fullTask,
  leaseOf,
  put,
  record,
  sketch,
  T0,
  task,
  verdict,
} from "./back-end.ts";
import type { UseStore } from "./use-store.ts";

/** Round the shards, each a millisecond later than the one before. Returns the ids. */
async function putOverShards(store: Store, count: number): Promise<readonly string[]> {
  const ids = Array.from({ length: count }, (_, index) => `evt_${index}`);
  for (const [index, id] of ids.entries()) {
    await put(store, await leaseOf(store, index % 3), event(id, { time: T0 + index, webhooks: [] }));
  }
  return ids;
}

export function readerContract(use: UseStore): void {
  test("instances of all shards are read from any handle", async () => {
    const { store, second } = await use();
    await store.state.commit(await leaseOf(store, 1), batch({ record: fullRecord() }));
    const other = record({ instanceId: "i2", lastCompleteAt: T0 });
    await store.state.commit(await leaseOf(store, 3), batch({ shard: 3, key: "p1/i2", record: other }));
    for (const handle of [store, await second()]) {
      const instances = [...(await handle.reader.instances())].sort((a, b) => a.shard - b.shard);
      expect(instances).toEqual([
        { key: "p1/i1", shard: 1, record: fullRecord(), revision: 1 },
        { key: "p1/i2", shard: 3, record: other, revision: 1 },
      ]);
    }
  });

  test("tasks are read by what they are, over all shards or of one instance", async () => {
    const { store } = await use();
    const tasks = [
      task("over"),
      task("open", { status: "WAITING" }),
      task("failed", { status: "FAILED", failedAt: T0 }),
      task("resolved", { status: "FAILED" }),
      task("stuck", { status: "EXECUTING", verdict }),
    ];
    await store.state.commit(await leaseOf(store, 1), batch({ upserts: tasks }));
    const elsewhere = batch({ shard: 2, key: "p1/i2", upserts: [fullTask("full"), task("over")] });
    await store.state.commit(await leaseOf(store, 2), elsewhere);
    const ids = async (filter: TaskFilter) =>
      (await store.reader.tasks(filter)).map(({ key, task: { id } }) => `${key} ${id}`).sort();
    expect(await ids({ state: "open" })).toEqual(["p1/i1 open", "p1/i1 stuck", "p1/i2 full"]);
    expect(await ids({ state: "stuck" })).toEqual(["p1/i1 stuck", "p1/i2 full"]);
    expect(await ids({ state: "failed" })).toEqual(["p1/i1 failed", "p1/i2 full"]);
    expect(await ids({ state: "all" })).toHaveLength(7);
    const live = ["p1/i1 failed", "p1/i1 open", "p1/i1 stuck", "p1/i2 full"];
    expect(await ids({ state: "live" })).toEqual(live);
    const [first, second, unknown] = [
      { shard: 1, key: "p1/i1" },
      { shard: 2, key: "p1/i2" },
      { shard: 2, key: "unknown" },
    ];
    expect(await ids({ state: "all", instances: [second, unknown] })).toEqual(["p1/i2 full", "p1/i2 over"]);
    expect(await ids({ state: "open", instances: [first] })).toEqual(["p1/i1 open", "p1/i1 stuck"]);
    expect(await ids({ state: "live", instances: [second, first] })).toEqual(live);
    expect(await ids({ state: "all", instances: [] })).toEqual([]);
    expect(await store.reader.tasks({ state: "stuck", instances: [second] })).toEqual([
      { key: "p1/i2", task: fullTask("full") },
    ]);
  });

  test("thousands of tasks are read without one missed or doubled", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    for (let instance = 0; instance < 5; instance++) {
      const own = Array.from({ length: 700 }, (_, index) =>
        task(`t${index}`, { status: index % 7 ? "SUCCESS" : "EXECUTING" }),
      );
      await store.state.commit(lease, batch({ key: `p1/${instance}`, upserts: own }));
    }
    const all = (await store.reader.tasks({ state: "all" })).map(({ key, task: { id } }) => `${key} ${id}`);
    expect(all).toHaveLength(3500);
    expect(new Set(all).size).toBe(3500);
    expect(await store.reader.tasks({ state: "open" })).toHaveLength(500);
    expect(await store.reader.task("t699")).toHaveLength(5);
  });

  test("a task is found by its id wherever it is, also on several instances", async () => {
    const { store } = await use();
    await store.state.commit(await leaseOf(store, 1), batch({ upserts: [fullTask("t"), task("u")] }));
    await store.state.commit(
      await leaseOf(store, 2),
      batch({
        shard: 2,
        key: "p2/i9",
        record: record({ projectId: "p2", instanceId: "i9" }),
        upserts: [task("t")],
      }),
    );
    const found = [...(await store.reader.task("t"))].sort((a, b) => (a.key < b.key ? -1 : 1));
    expect(found).toEqual([
      { key: "p1/i1", task: fullTask("t") },
      { key: "p2/i9", task: task("t") },
    ]);
    expect(await store.reader.task("unknown")).toEqual([]);
  });

  test("events are paged by a cursor that misses nothing and repeats nothing while more come and old ones go", async () => {
    const { store, second } = await use();
    const lease = await leaseOf(store);
    const ids = Array.from({ length: 25 }, (_, index) => `evt_${String(index).padStart(2, "0")}`);
    await put(store, lease, ...ids.slice(0, 20).map((id) => event(id, { webhooks: [], time: T0 - 50 })));
    const reader = (await second()).reader;
    const seen: string[] = [];
    const first = await reader.events({ limit: 8 });
    seen.push(...first.events.map(({ id }) => id));
    expect(seen).toHaveLength(8);
    await store.outbox.prune(lease, T0 - 49, new Map(), 0);
    await put(store, lease, ...ids.slice(20).map((id) => event(id, { webhooks: [] })));
    await store.outbox.prune(lease, T0 - 49, new Map(), 0);
    const second8 = await reader.events({ limit: 8, after: first.cursor });
    seen.push(...second8.events.map(({ id }) => id));
    expect(seen).toEqual([...ids.slice(0, 8), ...ids.slice(20)]);
    const end = await reader.events({ limit: 8, after: second8.cursor });
    expect(end.events).toEqual([]);
    await put(store, lease, event("evt_last", { webhooks: [] }));
    const last = await reader.events({ limit: 8, after: end.cursor });
    expect(last.events.map(({ id }) => id)).toEqual(["evt_last"]);
  });

  test("a cursor at the end stays good when the newest event is pruned", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    await put(store, lease, event("evt_1", { webhooks: [], time: T0 - 50 }));
    const { cursor } = await store.reader.events({ limit: 10 });
    for (let calls = 0; calls < 3; calls++) await store.outbox.prune(lease, T0, new Map(), 0);
    expect((await store.reader.events({ limit: 10 })).events).toEqual([]);
    await put(store, lease, event("evt_2", { webhooks: [] }));
    expect((await store.reader.events({ limit: 10, after: cursor })).events.map(({ id }) => id)).toEqual([
      "evt_2",
    ]);
  });

  test("pages over events of several shards give each one once, each shard's in the order of its commits", async () => {
    const { store } = await use();
    const written = new Map<number, string[]>();
    for (let round = 0; round < 12; round++) {
      const shard = round % 3;
      const id = `evt_${shard}_${round}`;
      written.set(shard, [...(written.get(shard) ?? []), id]);
      await put(store, await leaseOf(store, shard), event(id, { time: T0 + round, webhooks: [] }));
    }
    const seen: string[] = [];
    let after: string | undefined;
    for (;;) {
      const page = await store.reader.events({ limit: 5, ...(after === undefined ? {} : { after }) });
      if (page.events.length === 0) break;
      seen.push(...page.events.map(({ id }) => id));
      after = page.cursor;
    }
    expect(seen).toHaveLength(12);
    for (const [shard, ids] of written)
      expect(seen.filter((id) => id.startsWith(`evt_${shard}_`))).toEqual(ids);
  });

  test("every event has a cursor of its own, and reading goes on right after it", async () => {
    const { store } = await use();
    await putOverShards(store, 9);
    const { events } = await store.reader.events({ limit: 9 });
    expect(events).toHaveLength(9);
    for (const [index, { cursor }] of events.entries()) {
      const rest = await store.reader.events({ limit: 9, after: cursor });
      expect(rest.events).toEqual(events.slice(index + 1));
    }
  });

  test("the newest events come in their order, each with its cursor, and reading goes on after the end", async () => {
    const { store } = await use();
    expect((await store.reader.newestEvents(3)).events).toEqual([]);
    const ids = await putOverShards(store, 9);
    const all = await store.reader.events({ limit: 100 });
    const newest = await store.reader.newestEvents(4);
    expect(newest.events.map(({ id }) => id)).toEqual(ids.slice(-4));
    expect((await store.reader.newestEvents(100)).events).toEqual(all.events);
    const none = await store.reader.newestEvents(0);
    expect(none.events).toEqual([]);
    const [first] = newest.events;
    const rest = await store.reader.events({ limit: 100, after: first?.cursor ?? "" });
    expect(rest.events.map(({ id }) => id)).toEqual(ids.slice(-3));
    await put(store, await leaseOf(store, 2), event("evt_more", { webhooks: [] }));
    for (const { cursor } of [newest, none]) {
      const more = await store.reader.events({ limit: 100, after: cursor });
      expect(more.events.map(({ id }) => id)).toEqual(["evt_more"]);
    }
  });

  test("the end is the end also when the newest events were pruned", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    await put(store, lease, event("evt_1", { webhooks: [], time: T0 - 50 }));
    for (let calls = 0; calls < 3; calls++) await store.outbox.prune(lease, T0, new Map(), 0);
    const { events, cursor } = await store.reader.newestEvents(5);
    expect(events).toEqual([]);
    await put(store, lease, event("evt_2", { webhooks: [] }));
    const more = await store.reader.events({ limit: 10, after: cursor });
    expect(more.events.map(({ id }) => id)).toEqual(["evt_2"]);
  });

  test("events are chosen by type and by task, and a page is full as long as there are more", async () => {
    const { store } = await use();
    const lease = await leaseOf(store);
    for (let round = 0; round < 3; round++) {
      const many = Array.from({ length: 1500 }, (_, index) =>
        event(`evt_${round}_${index}`, {
          webhooks: [],
          type: index % 500 === 0 ? "task.stuck" : "task.started",
          taskId: index === 1 ? null : `task ${index}`,
        }),
      );
      await put(store, lease, ...many);
    }
    const stuck = await store.reader.events({ limit: 6, types: ["task.stuck", "test"] });
    expect(stuck.events.map(({ type }) => type)).toEqual(Array(6).fill("task.stuck"));
    const rest = await store.reader.events({ limit: 6, types: ["task.stuck"], after: stuck.cursor });
    expect(rest.events.map(({ id }) => id)).toEqual(["evt_2_0", "evt_2_500", "evt_2_1000"]);
    const own = await store.reader.events({ limit: 10, taskId: "task 7" });
    expect(own.events).toEqual(
      [0, 1, 2].map((round) => ({
        id: `evt_${round}_7`,
        type: "task.started",
        time: T0,
        body: JSON.stringify({ id: `evt_${round}_7` }),
        cursor: expect.any(String),
      })),
    );
    expect((await store.reader.events({ limit: 2, taskId: "task 7" })).events).toHaveLength(2);
    expect((await store.reader.events({ limit: 10, taskId: "unknown" })).events).toEqual([]);
  });

  test("a cursor of another store, which may have lost what it had, reads from the oldest", async () => {
    const { store: full } = await use();
    await putOverShards(full, 9);
    const { cursor } = await full.reader.newestEvents(0);
    const { store } = await use();
    const empty = await store.reader.events({ limit: 20, after: cursor });
    expect(empty.events).toEqual([]);
    // As far as the other one, and further.
    for (const rounds of [1, 2]) {
      await putOverShards(store, 9);
      const { events, cursor: end } = await store.reader.events({ limit: 20, after: cursor });
      expect(events, `after ${rounds}`).toHaveLength(9);
      expect((await store.reader.events({ limit: 20, after: empty.cursor })).events).toEqual(events);
      expect((await store.reader.events({ limit: 20, after: end })).events).toEqual([]);
    }
  });

  test("a cursor that nobody gave out reads from the oldest", async () => {
    const { store } = await use();
    await put(store, await leaseOf(store), event("evt_1", { webhooks: [] }));
    for (const after of ["", "nonsense", "-1", "9e999", "__proto__"]) {
      expect((await store.reader.events({ limit: 10, after })).events).toHaveLength(1);
    }
  });

  test("names of all shards are read, each shard's own", async () => {
    const { store } = await use();
    const name = { projectId: "p1", name: "restart", executed: true, sketch: sketch(1) };
    await store.state.commit(await leaseOf(store, 1), batch({ names: [name] }));
    await store.state.commit(
      await leaseOf(store, 2),
      batch({
        shard: 2,
        names: [
          { ...name, sketch: sketch(2) },
          { ...name, name: "resize", sketch: null },
        ],
      }),
    );
    const names = [...(await store.reader.names())].sort((a, b) =>
      (a.sketch ?? "") < (b.sketch ?? "") ? -1 : 1,
    );
    expect(names).toEqual([
      { ...name, shard: 2, name: "resize", sketch: null },
      { ...name, shard: 1 },
      { ...name, shard: 2, sketch: sketch(2) },
    ]);
  });
}
