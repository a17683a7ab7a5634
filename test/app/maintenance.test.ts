import { expect, test } from "vitest";
import { polledAgain, type Scene, sceneOf, shows } from "./scene.ts";

const MINUTE = 60_000;

/** A window over the next half hour; whole seconds, as an operator writes them. */
async function scene(match: Record<string, string> = {}) {
  const all = await sceneOf();
  const start = Math.floor(all.clock.now() / 1_000) * 1_000;
  const end = start + 30 * MINUTE;
  const maintenance = [{ start: new Date(start).toISOString(), end: new Date(end).toISOString(), match }];
  return { ...all, maintenance, end, begin: () => all.start({ maintenance }) };
}

/** Time goes on to just after the window, in steps that keep the shards. */
async function toTheEnd({ clock }: Scene, end: number, settled: () => Promise<unknown>): Promise<void> {
  while (clock.now() < end) {
    clock.advance(Math.min(5 * MINUTE, end - clock.now()));
    await settled();
  }
}

const OPENED = "maintenance window opened";
const CLOSED = "maintenance window closed";

test("what still holds when a window ends is sent then, and what ended inside never is", async () => {
  const all = await scene();
  const { command, create, control, inbox, begin, end } = all;
  const app = await begin();
  await app.log.until(OPENED);
  await polledAgain(app);
  const lasting = create({ name: "lasting", runs_for: "1s", ends: "FAILED" });
  const passing = create({ name: "passing", runs_for: "1s", ends: "FAILED" });
  const hanging = create({ name: "hanging", created_ago: "2h", runs_for: "forever" });
  all.clock.advance(2_000);
  await app.log.until(
    ({ reason, task_id }) => task_id === hanging && /running_too_long/.test(String(reason)),
  );
  await polledAgain(app);
  create({ name: "passing", runs_for: "1s" });
  all.clock.advance(2_000);
  await app.log.until(({ task_id, msg }) => task_id === passing && /recovered/.test(msg));
  for (const { instance_id } of (await app.scrape())
    .series("dms_instance_info")
    .map(({ labels }) => labels)) {
    await shows(app, "dms_instance_maintenance", { instance_id: String(instance_id) }, 1);
  }
  await shows(app, "dms_tasks_muted", { task_name: "lasting", condition: "failed" }, 1);
  await shows(app, "dms_tasks_muted", { task_name: "hanging", condition: "stuck" }, 1);
  const during = await app.scrape();
  expect(during.sum("dms_task_failures_open") + during.sum("dms_tasks_stuck")).toBe(0);
  expect(inbox.ofType("task.failed", "task.stuck", "task.recovered")).toEqual([]);
  const muted_until = new Date(end).toISOString();
  const api = (await (await fetch(`${app.url}/api/v1/tasks?state=stuck`)).json()) as { tasks: unknown[] };
  expect(api.tasks).toMatchObject([{ task: { id: hanging }, muted_until }]);
  const page = await (await fetch(app.url)).text();
  expect(page.match(/muted by maintenance until/g)).toHaveLength(2);
  expect(await (await fetch(`${app.url}/tasks/${lasting}`)).text()).toContain("by maintenance until");
  expect((await command("tasks")).stdout).toMatch(/running_too_long \(muted\)/);

  await toTheEnd(all, end, () => polledAgain(app));
  const failed = await inbox.event("task.failed");
  const stuck = await inbox.event("task.stuck");
  expect(failed.data).toMatchObject({ task: { id: lasting }, muted: false, muted_until });
  expect(stuck.data).toMatchObject({ task: { id: hanging }, muted: false, muted_until });
  await polledAgain(app);
  expect((await app.scrape()).sum("dms_instance_maintenance")).toBe(0);
  await shows(app, "dms_task_failures_open", { task_name: "lasting" }, 1);
  await shows(app, "dms_tasks_stuck", { task_name: "hanging" }, 1);
  expect((await app.scrape()).sum("dms_tasks_muted")).toBe(0);
  expect(inbox.ofType("task.failed", "task.stuck", "task.recovered")).toHaveLength(2);
  expect(app.log.of(OPENED)).toMatchObject([{ window: "maintenance[0]", until: muted_until }]);
  expect(app.log.of(CLOSED)).toMatchObject([{ window: "maintenance[0]" }]);
  control.updateTask({ instance: "orders" }, hanging, { status: "SUCCESS" });
  await inbox.event("task.recovered", ({ data }) => data.task?.id === hanging);
});

test("what an instance that does not answer, and one that matches no window, have to tell", async () => {
  const all = await scene({ instance: "orders" });
  const { create, control, inbox, begin, end, clock } = all;
  const app = await begin();
  await polledAgain(app);
  const muted = create({ name: "muted", runs_for: "1s", ends: "FAILED" });
  const told = create({ name: "told", runs_for: "1s", ends: "FAILED" }, "billing");
  clock.advance(2_000);
  await inbox.event("task.failed", ({ data }) => data.task?.id === told);
  await shows(app, "dms_tasks_muted", { task_name: "muted", condition: "failed" }, 1);
  control.addFault({
    kind: "error",
    operation: "list_tasks",
    instance: "orders",
    status: 500,
    code: "DMS.1",
  });
  await shows(app, "dms_instance_up", { instance_name: "orders" }, 0);
  clock.advance(3 * MINUTE);
  await shows(app, "dms_instance_reachable", { instance_name: "orders" }, 0);
  expect(inbox.ofType("instance.unreachable")).toEqual([]);
  await toTheEnd(all, end, () => polledAgain(app, ["billing"]));
  const muted_until = new Date(end).toISOString();
  const failed = await inbox.event("task.failed", ({ data }) => data.task?.id === muted);
  expect(failed.data).toMatchObject({ muted_until });
  const down = await inbox.event("instance.unreachable");
  expect(down.data).toMatchObject({ instance: { name: "orders" }, cause: "server_error", muted_until });
  expect(inbox.ofType("instance.unreachable")).toHaveLength(1);
});

test("a window that names a task mutes this task alone, for the gauges as for the webhooks", async () => {
  const all = await scene({ task: "muted" });
  const { create, inbox, begin, end, clock } = all;
  const app = await begin();
  await polledAgain(app);
  const muted = create({ name: "muted", runs_for: "1s", ends: "FAILED" });
  create({ name: "told", runs_for: "1s", ends: "FAILED" });
  clock.advance(2_000);
  await inbox.event("task.failed", ({ data }) => data.task?.name === "told");
  await shows(app, "dms_tasks_muted", { task_name: "muted", condition: "failed" }, 1);
  await shows(app, "dms_task_failures_open", { task_name: "told" }, 1);
  const during = await app.scrape();
  expect(during.sum("dms_instance_maintenance")).toBe(0);
  expect(during.series("dms_task_failures_open", { task_name: "muted" })).toHaveLength(0);
  await toTheEnd(all, end, () => polledAgain(app));
  await inbox.event("task.failed", ({ data }) => data.task?.id === muted);
  await shows(app, "dms_task_failures_open", { task_name: "muted" }, 1);
  await shows(app, "dms_tasks_muted", { task_name: "muted", condition: "failed" }, 0);
});

test("a project whose calls are stopped tells itself, and what its instances held back, after the window", async () => {
  const all = await scene();
  const { create, control, inbox, begin, end, clock } = all;
  const app = await begin();
  await polledAgain(app);
  const muted = create({ name: "muted", runs_for: "1s", ends: "FAILED" });
  clock.advance(2_000);
  await shows(app, "dms_tasks_muted", { task_name: "muted", condition: "failed" }, 1);
  const [key] = control.keys();
  control.revokeKey(key?.access_key ?? "");
  await shows(app, "taskwatch_credentials_valid", {}, 0);
  expect(inbox.ofType("project.unreachable", "task.failed")).toEqual([]);
  await toTheEnd(all, end, async () => shows(app, "taskwatch_credentials_valid", {}, 0));
  const muted_until = new Date(end).toISOString();
  const down = await inbox.event("project.unreachable");
  expect(down.data).toMatchObject({ cause: "credentials_rejected", muted_until });
  const failed = await inbox.event("task.failed");
  expect(failed.data).toMatchObject({ task: { id: muted }, muted_until });
});

test("a failure expires, and a window that was taken out of the configuration closes, without a poll", async () => {
  const all = await scene();
  const { create, control, inbox, begin, config, maintenance, clock } = all;
  const app = await begin();
  await polledAgain(app);
  create({ name: "muted", runs_for: "1s", ends: "FAILED" });
  clock.advance(2_000);
  await shows(app, "dms_tasks_muted", { task_name: "muted", condition: "failed" }, 1);
  const [key] = control.keys();
  control.revokeKey(key?.access_key ?? "");
  await shows(app, "taskwatch_credentials_valid", {}, 0);
  const [other] = maintenance;
  const moved = [{ start: "2020-01-01T00:00:00Z", end: "2020-01-02T00:00:00Z" }, other];
  await app.reload({ ...config, maintenance: moved });
  await app.reload({ ...config, maintenance: [] });
  await app.log.until(CLOSED);
  expect(app.log.of(OPENED)).toHaveLength(1);
  await inbox.event("task.failed");
  await app.reload({ ...config, failures: { keep_open: "1h" } });
  for (let step = 0; step < 14; step += 1) {
    clock.advance(5 * MINUTE);
    await shows(app, "taskwatch_credentials_valid", {}, 0);
  }
  const recovered = await inbox.event("task.recovered");
  expect(recovered.data).toMatchObject({ resolution: "expired" });
});
