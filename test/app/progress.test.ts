import { expect, test } from "vitest";
import { polledAgain, sceneOf, shows } from "./scene.ts";

const MINUTE = 60_000;
const ON = { stuck: { no_progress_after: "10m", learn: { enabled: false } } };
const HALF = { name: "resize", created_ago: "35m", runs_for: "forever", progress: 40 } as const;

test("a task past half of its limit is asked for progress, shown, and stuck when it makes none", async () => {
  const { clock, control, inbox, create, start } = await sceneOf(ON);
  const id = create(HALF);
  create({ name: "young", created_ago: "20m", runs_for: "forever", progress: 5 });
  const app = await start();
  await shows(app, "dms_task_progress_ratio", { task_name: "resize" }, 0.4);
  expect((await app.scrape()).series("dms_task_progress_ratio")).toHaveLength(1);
  expect(new Set(control.requests({ operation: "task_progress" }).map(({ task }) => task))).toEqual(
    new Set([id]),
  );
  clock.advance(5_000);
  await shows(app, "taskwatch_api_needed_requests_per_second", {}, 3);
  clock.advance(9 * MINUTE);
  control.updateTask({ instance: "orders" }, id, { progress: 55 });
  await shows(app, "dms_task_progress_ratio", { task_name: "resize" }, 0.55);
  clock.advance(11 * MINUTE);
  const stuck = await inbox.event("task.stuck", ({ data }) => data.task?.id === id);
  expect(stuck.data).toMatchObject({
    verdict: "no_progress",
    progress_ratio: 0.55,
    threshold: { seconds: 600, source: "no_progress_after", samples: 0 },
  });
  control.updateTask({ instance: "orders" }, id, { progress: 60 });
  const recovered = await inbox.event("task.recovered");
  expect(recovered.data).toMatchObject({ resolution: "moved_on", progress_ratio: 0.6 });
});

test("over its limit a task has that verdict, and says which one it had before", async () => {
  const { clock, inbox, create, start } = await sceneOf(ON);
  const id = create({ ...HALF, created_ago: "45m" });
  const app = await start();
  await shows(app, "dms_task_progress_ratio", { task_name: "resize" }, 0.4);
  clock.advance(11 * MINUTE);
  await inbox.event("task.stuck", ({ data }) => data.verdict === "no_progress");
  clock.advance(10 * MINUTE);
  const next = await inbox.event("task.stuck", ({ data }) => data.verdict === "running_too_long");
  expect(next.data).toMatchObject({ task: { id }, previous_verdict: "no_progress", was_stuck: true });
});

test("off means no such call, and neither where the engine has none", async () => {
  const off = await sceneOf();
  off.create(HALF);
  const app = await off.start();
  await polledAgain(app);
  await polledAgain(app);
  expect(off.calls("task_progress")).toBe(0);
  const on = await sceneOf(ON);
  on.create(HALF, "billing");
  const other = await on.start();
  await polledAgain(other);
  await polledAgain(other);
  expect(on.calls("task_progress")).toBe(0);
});

test("a call for progress that fails costs no task its events, and is no lack of progress", async () => {
  const { clock, control, inbox, create, start } = await sceneOf(ON);
  const id = create(HALF);
  const app = await start();
  await shows(app, "dms_task_progress_ratio", { task_name: "resize" }, 0.4);
  control.addFault({ kind: "error", operation: "task_progress", status: 500, code: "DMS.00500001" });
  clock.advance(11 * MINUTE);
  const failed = create({ name: "other", runs_for: "1s", ends: "FAILED" });
  await inbox.event("task.failed", ({ data }) => data.task?.id === failed);
  await polledAgain(app);
  expect(inbox.ofType("task.stuck", "instance.unreachable")).toEqual([]);
  expect((await app.scrape()).sum("dms_instance_up")).toBe(2);
  control.clearFaults();
  expect((await inbox.event("task.stuck")).data).toMatchObject({ task: { id }, verdict: "no_progress" });
});

test("a throttled call for progress makes its instance wait longer and longer, and no other", async () => {
  const { clock, control, calls, create, start } = await sceneOf(ON);
  create(HALF);
  const app = await start();
  await shows(app, "dms_task_progress_ratio", { task_name: "resize" }, 0.4);
  control.addFault({ kind: "throttled", operation: "task_progress" });
  const asked = calls("task_progress");
  await expect.poll(() => calls("task_progress"), { timeout: 20_000 }).toBeGreaterThan(asked);
  const waiting = calls("task_progress");
  const from = control.requests({ operation: "list_tasks" }).at(-1)?.seq ?? 0;
  await polledAgain(app, ["billing"]);
  await polledAgain(app, ["billing"]);
  await polledAgain(app, ["billing"]);
  expect(calls("task_progress")).toBe(waiting);
  const polled = control.requests({ operation: "list_tasks", after: from });
  expect(new Set(polled.map(({ instance }) => instance)).size).toBe(1);
  clock.advance(15 * MINUTE);
  await expect.poll(() => calls("task_progress"), { timeout: 20_000 }).toBeGreaterThan(waiting);
});

test("an open task that cannot be asked for by its id fails the poll, and costs no other its events", async () => {
  const { clock, control, inbox, create, start } = await sceneOf({
    window: { lookback: "1h", sweep: "off" },
  });
  create({ name: "old", created_ago: "2d", runs_for: "forever" });
  const app = await start();
  await inbox.event("task.stuck");
  control.addFault({ kind: "error", operation: "show_task", status: 500, code: "DMS.00500001" });
  const failed = create({ name: "other", runs_for: "1s", ends: "FAILED" });
  clock.advance(MINUTE);
  await inbox.event("task.failed", ({ data }) => data.task?.id === failed);
  await shows(app, "dms_instance_up", { instance_name: "orders" }, 0);
  clock.advance(2 * MINUTE);
  await inbox.event("instance.unreachable", ({ data }) => data.cause === "server_error");
  control.clearFaults();
  await inbox.event("instance.reachable");
});
