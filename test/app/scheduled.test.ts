import { expect, test } from "vitest";
import { polledAgain, sceneOf, shows } from "./scene.ts";

const MINUTE = 60_000;
const LABELS = { task_name: "restartInstance" };

/** One task planned in ten minutes; the cloud will not start it. */
async function planned() {
  const scene = await sceneOf({}, { scheduled_tasks: true });
  const id = scene.create({ name: "restartInstance", scheduled_in: "10m" });
  scene.control.updateTask({ instance: "orders" }, id, { status: "CREATED" });
  return { ...scene, id, startsAt: scene.clock.now() + 10 * MINUTE };
}

test("a scheduled task that does not start is counted, told, remembered through a restart, and its end is told", async () => {
  const { id, startsAt, clock, inbox, start, control, create } = await planned();
  {
    const app = await start();
    await shows(app, "dms_scheduled_tasks", LABELS, 1);
    const next = (await app.scrape()).value("dms_scheduled_task_next_start_timestamp_seconds", LABELS);
    expect(Math.abs((next ?? 0) - startsAt / 1_000)).toBeLessThan(5);
    clock.advance(20 * MINUTE);
    await polledAgain(app);
    expect(inbox.events).toEqual([]);
    clock.advance(6 * MINUTE);
    const stuck = await inbox.event("task.stuck");
    expect(stuck.data).toMatchObject({
      task: { id, name: "restartInstance", status: "CREATED" },
      verdict: "not_started",
      threshold: { seconds: 900, source: "not_started", samples: 0 },
      sequence: 1,
    });
    await shows(app, "dms_tasks_stuck", { ...LABELS, verdict: "not_started" }, 1);
    expect((await app.scrape()).sum("dms_tasks_open", LABELS)).toBe(0);
    await app.stop();
  }
  const app = await start();
  await shows(app, "dms_tasks_stuck", { ...LABELS, verdict: "not_started" }, 1);
  await shows(app, "dms_scheduled_tasks", LABELS, 1);
  await polledAgain(app);
  expect(inbox.ofTask(id)).toHaveLength(1);
  const other = create({ name: "restartInstance", runs_for: "forever" });
  clock.advance(5 * MINUTE);
  const recovered = await inbox.event("task.recovered");
  expect(recovered.data).toMatchObject({ task: { id }, resolution: "moved_on", sequence: 2 });
  expect(recovered.data.reason).toMatch(/a task of its name began/);
  control.updateTask({ instance: "orders" }, id, { status: "SUCCESS" });
  control.deleteTask({ instance: "orders" }, other);
});

test("the commands know it: it is among the stuck, is explained, and can be acknowledged", async () => {
  const { id, clock, inbox, start, command } = await planned();
  const app = await start();
  await shows(app, "dms_scheduled_tasks", LABELS, 1);
  clock.advance(26 * MINUTE);
  await inbox.event("task.stuck");
  await shows(app, "dms_tasks_stuck", { ...LABELS, verdict: "not_started" }, 1);
  const listed = await command("tasks");
  expect(listed.code).toBe(3);
  expect(listed.stdout).toMatch(new RegExp(`restartInstance +${id} +CREATED .*not_started`));
  const explained = (await command("explain", id)).stdout;
  expect(explained).toMatch(
    /^stuck since \S+: not_started: planned for \S+, still CREATED .* later, over the limit of 15m \(queued_after, from the planned start\)$/m,
  );
  expect(explained).not.toMatch(/EXECUTING|learned/);
  expect(await command("ack", id, "--by", "alice", "--reason", "moved to May")).toMatchObject({ code: 0 });
  const recovered = await inbox.event("task.recovered");
  expect(recovered.data).toMatchObject({ task: { id }, resolution: "acknowledged" });
  await shows(app, "dms_tasks_stuck", { ...LABELS, verdict: "not_started" }, 0);
  clock.advance(5 * MINUTE);
  await polledAgain(app);
  expect(inbox.ofTask(id)).toHaveLength(2);
});

test("the list is read once in five minutes, its cost is in the load, and it is not read where it is not watched", async () => {
  const { clock, calls, start, config } = await planned();
  const app = await start();
  await polledAgain(app);
  await polledAgain(app);
  expect(calls("list_scheduled_tasks")).toBe(2);
  clock.advance(5 * MINUTE);
  await expect.poll(() => calls("list_scheduled_tasks"), { timeout: 20_000 }).toBe(4);
  // Two instances every second, and two lists of scheduled tasks in five minutes.
  clock.advance(5_000);
  await shows(app, "taskwatch_api_needed_requests_per_second", {}, 2 + 2 / 300);
  const [project] = config.projects as Record<string, unknown>[];
  await app.reload({ ...config, projects: [{ ...project, scheduled_tasks: false }] });
  clock.advance(30 * MINUTE);
  await polledAgain(app);
  await polledAgain(app);
  expect(calls("list_scheduled_tasks")).toBe(4);
});

test("a list that cannot be read costs no task its events, and says nothing of what it would have shown", async () => {
  const { clock, inbox, control, create, start } = await planned();
  control.addFault({ kind: "error", operation: "list_scheduled_tasks", status: 500, code: "DMS.00500001" });
  const app = await start();
  await app.log.until("what a listing does not tell could not be asked");
  // One instance said so; the other may not have its baseline yet.
  await polledAgain(app);
  const failed = create({ name: "other", runs_for: "1s", ends: "FAILED" });
  clock.advance(26 * MINUTE);
  await inbox.event("task.failed", ({ data }) => data.task?.id === failed);
  await polledAgain(app);
  expect(inbox.ofType("task.stuck", "task.vanished", "instance.unreachable")).toEqual([]);
  expect((await app.scrape()).sum("dms_instance_up")).toBe(2);
  control.clearFaults();
  clock.advance(5 * MINUTE);
  expect((await inbox.event("task.stuck")).data.verdict).toBe("not_started");
  const again = app.log.lines.length;
  control.addFault({ kind: "error", operation: "list_scheduled_tasks", status: 500, code: "DMS.00500001" });
  clock.advance(5 * MINUTE);
  await polledAgain(app);
  await polledAgain(app);
  const warned = app.log.lines.slice(again).filter(({ level }) => level === "warn");
  expect(warned.map(({ operation }) => operation)).toEqual(["list_scheduled_tasks", "list_scheduled_tasks"]);
  expect(inbox.ofType("task.recovered", "task.vanished")).toEqual([]);
});
