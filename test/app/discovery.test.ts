import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { RunningApp } from "../support/running-app.ts";
import { ShiftedClock } from "../support/shifted-clock.ts";
import { instancesOf, projectOf, type RawConfig, watchConfig } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

const MINUTE = 60_000;
/** How long an instance stays that no configuration names any more. */
const GRACE = 10 * MINUTE;
const LEFT_OUT = "instances left out of the configuration";

/** A simulated project with so many instances, and a daemon that discovers them. */
async function scene(instances: number, discover: RawConfig, project: RawConfig = {}) {
  const clock = new ShiftedClock();
  const simulator = await startSimulator({ clock: () => clock.now(), projects: [{ keys: [DEMO_KEY] }] });
  onTestFinished(() => simulator.close());
  const inbox = await Inbox.start();
  onTestFinished(() => inbox[Symbol.asyncDispose]());
  if (instances > 0) simulator.control.addLoad({ instances, tasks: 1, rate: 0 });
  const folder = mkdtempSync(join(tmpdir(), "taskwatch-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const config = (changed: RawConfig = discover) =>
    watchConfig(simulator, inbox, {
      projects: [projectOf(simulator, { instances: [], discover: changed, ...project })],
      poll: { schedule: "* * * * * *", active_schedule: "off", timeout: "10m" },
      // A step of the clock that is longer is a takeover.
      store: { url: `sqlite:${join(folder, "t.db")}`, lease: "10m" },
    });
  const start = async () => {
    const app = await RunningApp.start(config(), { clock });
    onTestFinished(() => app.stop());
    return app;
  };
  /** Time flies until it resolves. */
  const soon = async <T>(promise: PromiseLike<T>): Promise<T> => {
    const wait = new AbortController();
    const end = () => wait.abort();
    promise.then(end, end);
    while (!wait.signal.aborted) {
      // Past the daemon's patience for its own tick, so that it is done at once.
      clock.advance(3_000);
      await systemClock.sleep(60, wait.signal).catch(() => {});
    }
    return promise;
  };
  return { clock, simulator, control: simulator.control, inbox, config, start, soon, app: await start() };
}

const watches = (app: RunningApp, count: number) =>
  expect
    .poll(async () => (await app.scrape()).value("taskwatch_instances", { project: "prod" }), {
      timeout: 20_000,
    })
    .toBe(count);

/** So many instances have been listed. */
const polled = (app: RunningApp, count: number) =>
  expect.poll(async () => (await app.scrape()).sum("dms_instance_up"), { timeout: 20_000 }).toBe(count);

/** So many polls of the project after now. */
async function polls(app: RunningApp, count: number): Promise<void> {
  const now = async () => (await app.scrape()).value("taskwatch_polls_total", { project: "prod" }) ?? 0;
  const before = await now();
  await expect.poll(now, { timeout: 20_000 }).toBeGreaterThanOrEqual(before + count);
}

test("a region and a key pair are enough: all instances of all engines are found and watched", async () => {
  const { soon, app } = await scene(120, {});
  await soon(watches(app, 120));
  expect((await app.scrape()).value("taskwatch_discovered_instances", { project: "prod" })).toBe(120);
});

test("a new instance is watched within one discovery interval, has no baseline, and an event says so", async () => {
  const { soon, app, control, inbox } = await scene(1, { every: "1s" });
  await soon(watches(app, 1));
  control.addInstance({ name: "fresh", engine: "kafka", created_at: control.now() });
  control.createTask({ instance: "fresh" }, { name: "restartInstance", status: "FAILED" });
  const discovered = await soon(inbox.event("instance.discovered"));
  expect(discovered.data.instance).toMatchObject({ name: "fresh" });
  const failed = await soon(inbox.event("task.failed"));
  expect(failed.data.task).toMatchObject({ name: "restartInstance", status: "FAILED" });
  // The one that was there from the start is a baseline, not news.
  expect(inbox.ofType("instance.discovered")).toHaveLength(1);
});

test("missing from the list changes nothing but one warning", async () => {
  const { soon, app, control, simulator } = await scene(3, { every: "1s" });
  await soon(watches(app, 3));
  const [first] = instancesOf(simulator);
  control.updateInstance({ instance: first!.id }, { listed: false });
  const warning = "instances are not listed any more; they are still watched";
  await soon(app.log.until(warning));
  await soon(polls(app, 9));
  expect(app.log.of(warning)).toHaveLength(1);
  await soon(watches(app, 3));
});

test("its own 404, read on two polls an interval apart, ends the watch once the list shows it no more; the throttling 404 never does", async () => {
  const { soon, app, control, inbox, simulator } = await scene(3, { every: "1s" });
  await soon(watches(app, 3));
  await soon(polled(app, 3));
  const [first, second] = instancesOf(simulator);
  control.addFault({ kind: "throttled_404", instance: first!.id, times: 2 });
  control.removeInstance({ instance: second!.id });
  const removed = await soon(inbox.event("instance.removed"));
  expect(removed.data.instance).toMatchObject({ id: second!.id });
  await soon(watches(app, 2));
  expect(inbox.ofType("instance.removed")).toHaveLength(1);
});

const NOT_FOUND = { kind: "error", status: 404, code: "DMS.00404022", operation: "list_tasks" } as const;

test("an instance that is still listed is unreachable while its own call says 404, and its open failure stays", async () => {
  const { soon, app, control, inbox, simulator } = await scene(2, { every: "1s" });
  await soon(polled(app, 2));
  const [first] = instancesOf(simulator);
  const instance = first!.id;
  control.createTask({ instance }, { name: "restartInstance", status: "FAILED" });
  const failed = await soon(inbox.event("task.failed"));
  control.addFault({ id: "gone", ...NOT_FOUND, instance });
  const { data } = await soon(inbox.event("instance.unreachable"));
  expect(data).toMatchObject({ instance: { id: instance }, cause: "not_found" });
  await soon(polls(app, 6));
  expect(inbox.ofType("instance.removed", "task.recovered")).toEqual([]);
  control.clearFaults();
  await soon(inbox.event("instance.reachable"));
  const of = { instance_id: instance, task_name: failed.data.task?.name ?? "" };
  expect((await app.scrape()).value("dms_task_failures_open", of)).toBe(1);
});

test("an instance that is gone stays while the instance list fails, and leaves after the next complete list", async () => {
  const { soon, app, control, inbox, simulator } = await scene(2, { every: "1s" });
  await soon(polled(app, 2));
  const [first] = instancesOf(simulator);
  control.addFault({ id: "list", kind: "error", status: 500, operation: "list_instances" });
  control.removeInstance({ instance: first!.id });
  await soon(inbox.event("instance.unreachable"));
  await soon(polls(app, 6));
  expect(inbox.ofType("instance.removed")).toEqual([]);
  control.clearFaults();
  expect((await soon(inbox.event("instance.removed"))).data.instance).toMatchObject({ id: first!.id });
  await soon(watches(app, 1));
});

test("what leaves is told under the project's name, also where its id was looked up", async () => {
  const { soon, app, control, inbox, simulator } = await scene(2, { every: "1s" }, { project_id: undefined });
  await soon(polled(app, 2));
  const [, leaver] = instancesOf(simulator);
  control.removeInstance({ instance: leaver!.id });
  const { data } = await soon(inbox.event("instance.removed"));
  expect(data.project).toMatchObject({ name: "prod", region: "eu-west-101" });
  await soon(watches(app, 1));
  const labels = { project: "prod", instance_id: leaver!.id };
  expect((await app.scrape()).value("dms_instance_info", labels)).toBeDefined();
});

test("an instance that left keeps its series at 0 for 15 minutes, then all of them are gone", async () => {
  const { soon, app, clock, control, inbox, simulator } = await scene(2, { every: "1s" });
  const [gone] = instancesOf(simulator);
  const of = { instance_id: gone!.id };
  control.createTask({ instance: gone!.id }, { name: "restartInstance", runs_for: "1h", ends: "FAILED" });
  await soon(inbox.event("task.started"));
  expect((await app.scrape()).sum("dms_tasks_open", { instance_id: gone!.id })).toBe(1);
  const series = async () => (await app.scrape()).text.split("\n").filter((line) => line.includes(gone!.id));
  control.removeInstance({ instance: gone!.id });
  await soon(inbox.event("instance.removed"));
  await soon(watches(app, 1));
  const open = { ...of, task_name: "restartInstance" };
  expect((await app.scrape()).value("dms_instance_info", of)).toBe(1);
  expect((await app.scrape()).sum("dms_tasks_open", open)).toBe(0);
  clock.advance(8 * MINUTE);
  await soon(polls(app, 1));
  clock.advance(6 * MINUTE);
  await soon(polls(app, 1));
  const kept = (await series()).map((line) => line.slice(0, line.indexOf("{")));
  expect(kept).toContain("dms_instance_info");
  expect(kept).toContain("dms_tasks_open");
  clock.advance(1 * MINUTE);
  await soon(polls(app, 1));
  expect(await series()).toEqual([]);
});

test("an enterprise project chooses what is listed; another one, by a reload, ends the watch over the rest", async () => {
  const { soon, app, clock, control, inbox, config } = await scene(0, {
    every: "1s",
    enterprise_project_id: "mine",
  });
  for (const owner of ["mine", "theirs"]) {
    control.addInstance({ name: owner, engine: "kafka", enterprise_project_id: owner });
  }
  await soon(polled(app, 1));
  expect((await app.scrape()).series("dms_instance_info").map(({ labels }) => labels.instance_name)).toEqual([
    "mine",
  ]);
  await app.reload(config({ every: "1s", enterprise_project_id: "theirs" }));
  await app.log.until(LEFT_OUT);
  expect(inbox.ofType("instance.removed")).toEqual([]);
  for (let passed = 0; passed < GRACE; passed += MINUTE) clock.advance(MINUTE);
  const removed = await soon(inbox.event("instance.removed"));
  expect(removed.data.instance).toMatchObject({ name: "mine" });
  await soon(polled(app, 1));
  expect((await app.scrape()).value("dms_instance_up", { instance_name: "theirs" })).toBe(1);
});

test("a glob that a reload changes is about what is known already: no call, and who is out of it leaves", async () => {
  const { soon, app, clock, control, inbox, config } = await scene(0, { every: "1s" });
  for (const name of ["orders-eu", "orders-test"]) control.addInstance({ name, engine: "kafka" });
  await soon(polled(app, 2));
  control.addFault({ kind: "error", status: 500, operation: "list_instances" });
  await app.reload(config({ every: "1s", exclude: ["*-test"] }));
  await app.log.until(LEFT_OUT);
  for (let passed = 0; passed < GRACE; passed += MINUTE) clock.advance(MINUTE);
  expect((await soon(inbox.event("instance.removed"))).data.instance).toMatchObject({ name: "orders-test" });
  await app.reload(config({ every: "1s" }));
  await soon(watches(app, 2));
});

test("a failing, throttled or empty discovery keeps the known set, also through a restart", async () => {
  const { soon, app, control, simulator, start } = await scene(5, { every: "1s" });
  await soon(watches(app, 5));
  control.addFault({ id: "broken", kind: "error", status: 500, operation: "list_instances" });
  await soon(app.log.until("discovery failed: the known instances are kept"));
  control.addFault({ id: "broken", kind: "throttled_404", operation: "list_instances" });
  await soon(polls(app, 10));
  control.clearFaults();
  for (const { id } of instancesOf(simulator)) control.updateInstance({ instance: id }, { listed: false });
  await soon(app.log.until("instances are not listed any more; they are still watched"));
  await soon(watches(app, 5));
  await app.stop();
  await soon(watches(await start(), 5));
});

test("globs on the name choose, and named instances merge with discovered ones", async () => {
  const { soon, app, control } = await scene(
    0,
    { include: ["orders-*", "extra"], exclude: ["*-test"] },
    {
      instances: [{ id: "named-one", name: "mine" }],
    },
  );
  for (const name of ["orders-eu", "orders-test", "billing"]) control.addInstance({ name, engine: "kafka" });
  control.addInstance({ id: "named-one", name: "extra", engine: "kafka" });
  await soon(watches(app, 2));
  const names = (await app.scrape()).series("dms_instance_info").map(({ labels }) => labels.instance_name);
  expect(names.sort()).toEqual(["mine", "orders-eu"]);
});
