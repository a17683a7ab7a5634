import { afterEach, beforeEach, expect, test } from "vitest";
import { listTasks, readInventory, timeline } from "../../src/app/inventory.ts";
import type { Config } from "../../src/config/config.ts";
import type { TaskState } from "../../src/core/state.ts";
import { systemClock } from "../../src/platform/clock.ts";
import type { Store } from "../../src/ports/store.ts";
import { openStore } from "../../src/store/open.ts";
import type { TaskPlace, TaskQuery } from "../../src/views/api.ts";
import { batch, record, T0, task, verdict } from "../store/contract/back-end.ts";

const HOUR = 3_600_000;
/** Nothing of it bears on what is read, but which instances are named; here none is. */
const CONFIG = { projects: [] } as unknown as Config;

let store: Store;
beforeEach(async () => {
  const settings = { url: "sqlite::memory:", keyPrefix: "taskwatch", shards: 4 };
  store = await openStore(settings, { exclusive: true, clock: systemClock });
});
afterEach(() => store.close());

async function put(instanceId: string, tasks: readonly TaskState[], lastSuccessAt: number | null = null) {
  const ended =
    lastSuccessAt === null ? [] : [{ name: "restart", successAt: lastSuccessAt, failureAt: null }];
  const key = `p1/${instanceId}`;
  const own = record({ instanceId, name: instanceId, ended });
  await store.state.commit(null, batch({ shard: instanceId.length % 4, key, record: own, upserts: tasks }));
}

const whole = () => readInventory(store.reader, CONFIG, []);
const ran = (id: string, hoursAgo: number, part: Partial<TaskState> = {}): TaskState =>
  task(id, { createdAt: T0 - hoursAgo * HOUR, updatedAt: T0 - (hoursAgo - 0.5) * HOUR, ...part });

test("lanes: first where something failed or is stuck, then where something runs, then what ended last", async () => {
  await put("idle", [ran("long ago", 30)], T0 - 29.5 * HOUR);
  await put("ended", [ran("a", 9)], T0 - 8.5 * HOUR);
  await put("later", [ran("b", 3), ran("old", 40)], T0 - 2.5 * HOUR);
  await put("runs", [ran("c", 1, { status: "EXECUTING" })]);
  await put("fails", [ran("d", 2, { status: "FAILED", failedAt: T0 })]);
  await put("hangs", [ran("e", 50, { status: "EXECUTING", verdict })]);
  const since = T0 - 24 * HOUR;
  const { lanes, more, idle } = await timeline(store.reader, await whole(), since, 10);
  expect(lanes.map(({ instance }) => instance.name)).toEqual(["fails", "hangs", "runs", "later", "ended"]);
  expect({ more, idle }).toEqual({ more: 0, idle: 1 });
  const bars = lanes.map((lane) => lane.bars.map(({ id, kind, to }) => ({ id, kind, runs: to === null })));
  expect(bars).toEqual([
    [{ id: "d", kind: "failed", runs: false }],
    [{ id: "e", kind: "stuck", runs: true }],
    [{ id: "c", kind: "open", runs: true }],
    [{ id: "b", kind: "succeeded", runs: false }],
    [{ id: "a", kind: "succeeded", runs: false }],
  ]);
  const few = await timeline(store.reader, await whole(), since, 2);
  expect(few.lanes.map(({ instance }) => instance.name)).toEqual(["fails", "hangs"]);
  expect(few.more).toBe(3);
});

test("a lane has its newest bars, and what has no date has none", async () => {
  const many = Array.from({ length: 500 }, (_, index) => ran(`t${index}`, 20 - index / 100));
  await put("busy", [...many, task("undated"), ran("runs", 1, { status: "EXECUTING" })]);
  const { lanes } = await timeline(store.reader, await whole(), T0 - 24 * HOUR, 10);
  const ids = lanes[0]?.bars.map(({ id }) => id) ?? [];
  expect(ids).toHaveLength(200);
  expect(ids.at(-1)).toBe("runs");
  expect(ids.at(-2)).toBe("t499");
});

test.each([1, 7, 1000])("pages of %i have every task once, whatever its date", async (limit) => {
  for (let instance = 0; instance < 250; instance++) {
    await put(`i${instance}`, [ran("same", 2), ran("twin", 2), task("undated"), task(`own ${instance}`)]);
  }
  const query: TaskQuery = { state: "all", project: null, instance: "i?", after: null, limit };
  const all = await whole();
  const seen: string[] = [];
  for (let after: TaskPlace | null | undefined; after !== null; ) {
    const page = await listTasks(store.reader, all, { ...query, after: after ?? null });
    seen.push(...page.tasks.map(({ key, task: { id } }) => `${key} ${id}`));
    expect(page.tasks.length).toBeLessThanOrEqual(limit);
    after = page.next;
  }
  expect(seen).toHaveLength(40);
  expect(new Set(seen).size).toBe(40);
  expect(seen.slice(0, 4)).toEqual(["p1/i0 same", "p1/i0 twin", "p1/i0 own 0", "p1/i0 undated"]);
});
