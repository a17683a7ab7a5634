import { describe, expect, test } from "vitest";
import type { Lease, Store } from "../../../src/ports/store.ts";
import { batch, claimIds, event, leaseOf, record, sketch, T0, task } from "./back-end.ts";
import type { UseStore } from "./use-store.ts";

const DAMAGED = [
  ["was cut off", '{"v":1,"projectId":"p1","na', "it is damaged: it is not JSON"],
  ["is of a newer version", '{"v":2,"removals":4}', "it has format 2, and this version knows up to 1"],
  ["is empty", "", "it is damaged: it is not JSON"],
  ["is something else", "null", "it is damaged: the whole is not an object"],
] as const;

const SKETCH = sketch(2);

/** Two instances, one of them with tasks, a name and a delivery. */
async function filled(store: Store): Promise<Lease> {
  const lease = await leaseOf(store);
  const times = { baselineAt: T0, lastCompleteAt: T0 + 3_600_000, lastSweepAt: T0 };
  await store.state.commit(
    lease,
    batch({
      record: record({ ...times, removals: 1 }),
      upserts: [task("open", { status: "EXECUTING" }), task("failed", { failedAt: T0 }), task("over")],
      names: [{ projectId: "p1", name: "restart", executed: true, sketch: SKETCH }],
      events: [event("evt_1")],
    }),
  );
  await store.state.commit(
    lease,
    batch({ key: "p1/i2", record: record({ ...times, instanceId: "i2" }), upserts: [task("other")] }),
  );
  return lease;
}

const found = async (store: Store) =>
  (await store.reader.unreadable()).map(({ shard, kind, key, why }) => ({ shard, kind, key, why }));

export function unreadableContract(use: UseStore): void {
  describe.each(DAMAGED)("a record that %s", (_, text, why) => {
    test("costs itself alone: its tasks and deliveries stay, it begins anew, and a copy is kept", async () => {
      const opened = await use();
      const lease = await filled(opened.store);
      await opened.damage({ shard: 1, kind: "instance", key: "p1/i1" }, text);

      const { instances } = await opened.store.state.load(1, lease);
      expect(instances.map(({ record: { instanceId } }) => instanceId).sort()).toEqual(["i1", "i2"]);
      const anew = instances.find(({ record: { instanceId } }) => instanceId === "i1");
      expect([...(anew?.tasks.keys() ?? [])].sort()).toEqual(["failed", "open"]);
      expect(anew?.record).toMatchObject({
        baselineAt: T0 + 3_600_000,
        lastCompleteAt: T0 + 3_600_000,
        lastSweepAt: null,
        counts: {},
      });
      expect(anew?.record.removals).toBeGreaterThan(why.includes("format 2") ? 4 : 0);
      expect(await claimIds(opened.store, lease)).toEqual(["evt_1"]);

      const aside = await opened.store.setAside.list([1]);
      expect(aside).toEqual([{ shard: 1, kind: "instance", key: "p1/i1", why, at: expect.any(Number) }]);
      expect(await opened.aside("instance", "p1/i1")).toBe(text);
      // What is written in its place touches the copy no more.
      const revision = anew?.revision ?? 0;
      const written = await opened.store.state.commit(lease, batch({ expectRevision: revision }));
      expect(written).toMatchObject({ kind: "ok" });
      expect(await opened.aside("instance", "p1/i1")).toBe(text);
      expect(await found(opened.store)).toHaveLength(1);
    });

    test.each(["open", "over"])("is task %s: its instance is asked for all tasks again", async (id) => {
      const opened = await use();
      const lease = await filled(opened.store);
      await opened.damage({ shard: 1, kind: "task", key: "p1/i1", id }, text);

      await opened.store.state.load(1, lease);
      const state = await opened.store.state.loadInstance(1, "p1/i1", lease);
      expect([...(state?.tasks.keys() ?? [])].sort()).toEqual(
        ["failed", "open", "over"].filter((each) => each !== id),
      );
      expect(state?.record).toMatchObject({ lastSweepAt: null, baselineAt: T0, removals: 1 });
      // What had ended before the last complete poll was told then; what was open may have ended since.
      expect(state?.record.prunedBefore === null).toBe(id === "open");
      expect(await found(opened.store)).toEqual([{ shard: 1, kind: "task", key: `p1/i1/${id}`, why }]);
      expect(await opened.aside("task", `p1/i1/${id}`)).toBe(text);
      const revision = state?.revision ?? 0;
      expect(
        await opened.store.state.commit(lease, batch({ expectRevision: revision, upserts: [task(id)] })),
      ).toMatchObject({ kind: "ok" });
      expect((await opened.store.state.loadInstance(1, "p1/i1"))?.tasks.size).toBe(3);
    });

    test("is passed over and counted by who reads beside the owner, and stays in its place", async () => {
      const opened = await use();
      await filled(opened.store);
      await opened.damage({ shard: 1, kind: "instance", key: "p1/i1" }, text);
      await opened.damage({ shard: 1, kind: "task", key: "p1/i2", id: "other" }, text);
      const beside = await opened.second();

      expect((await beside.reader.instances()).map(({ key }) => key)).toEqual(["p1/i2"]);
      const tasks = await beside.reader.tasks({ state: "all" });
      expect(tasks.map((each) => each.task.id).sort()).toEqual(["failed", "open", "over"]);
      expect(await beside.reader.task("other")).toEqual([]);
      expect(await found(beside)).toEqual([
        { shard: 1, kind: "instance", key: "p1/i1", why },
        { shard: 1, kind: "task", key: "p1/i2/other", why },
      ]);
      expect((await beside.state.load(1)).instances).toHaveLength(1);
      await expect(beside.state.loadInstance(1, "p1/i1")).rejects.toMatchObject({ code: "unreadable" });
      expect(await opened.store.setAside.list([0, 1, 2, 3])).toEqual([]);
    });
  });

  test("what is known of a name that cannot be read is learned anew, and the other names stay", async () => {
    const opened = await use();
    const lease = await filled(opened.store);
    const other = { projectId: "p1", name: "resize", executed: false, sketch: null };
    await opened.store.state.commit(lease, batch({ expectRevision: 1, names: [other] }));
    const newer = SKETCH.replace(/^s\d+/, "s99");
    await opened.damage({ shard: 1, kind: "name", key: "p1", id: "restart" }, newer);
    expect(await opened.store.reader.names()).toEqual([{ ...other, shard: 1 }]);
    expect((await opened.store.state.load(1, lease)).names).toEqual([other]);
    expect(await found(opened.store)).toMatchObject([{ kind: "name", key: "p1/restart" }]);
    expect(await opened.aside("name", "p1/restart")).toContain(newer);
  });

  test("nothing is set aside under a lease that is not the valid one", async () => {
    const opened = await use();
    const lease = await filled(opened.store);
    await opened.damage({ shard: 1, kind: "instance", key: "p1/i1" }, "");
    await opened.store.leases.release(lease);
    await leaseOf(opened.store, 1, "replica-b");
    expect((await opened.store.state.load(1, lease)).instances).toHaveLength(1);
    expect(await opened.store.setAside.list([1])).toEqual([]);
  });

  test("a note that its reader cannot make sense of is removed, and a copy is kept with those of shard 0", async () => {
    const { store, aside } = await use();
    await store.notes.write("discovered/p1", '{"v":2}', 0);
    expect(await store.notes.setAside("discovered/p1", 7, "no")).toBe(false);
    expect(await store.notes.setAside("discovered/p1", 1, "it has format 2")).toBe(true);
    expect(await store.notes.read("discovered/p1")).toBeNull();
    expect(await store.notes.setAside("discovered/p1", 1, "no")).toBe(false);
    expect(await store.notes.write("discovered/p1", "anew", 0)).toBe(true);
    expect(await store.setAside.list([1])).toEqual([]);
    expect(await store.setAside.list([0])).toMatchObject([
      { shard: 0, kind: "note", key: "discovered/p1", why: "it has format 2" },
    ]);
    expect(await aside("note", "discovered/p1")).toBe('{"v":2}');
  });
}
