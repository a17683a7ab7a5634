import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { Inbox } from "../support/inbox.ts";
import { RunningApp } from "../support/running-app.ts";
import { instancesOf, projectOf, type RawConfig, watchConfig } from "../support/watch-config.ts";

/** A simulated project with so many instances, and a daemon that discovers them. */
async function scene(instances: number, discover: RawConfig, project: RawConfig = {}) {
  const simulator = await startSimulator({ projects: [{ keys: [DEMO_KEY] }] });
  onTestFinished(() => simulator.close());
  const inbox = await Inbox.start();
  onTestFinished(() => inbox[Symbol.asyncDispose]());
  if (instances > 0) simulator.control.addLoad({ instances, tasks: 1, rate: 0 });
  const folder = mkdtempSync(join(tmpdir(), "taskwatch-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const config = watchConfig(simulator, inbox, {
    projects: [projectOf(simulator, { instances: [], discover, ...project })],
    store: { url: `sqlite:${join(folder, "t.db")}` },
  });
  const start = async () => {
    const app = await RunningApp.start(config);
    onTestFinished(() => app.stop());
    return app;
  };
  return { simulator, control: simulator.control, inbox, start, app: await start() };
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
  const { app } = await scene(120, {});
  await watches(app, 120);
  expect((await app.scrape()).value("taskwatch_discovered_instances", { project: "prod" })).toBe(120);
});

test("a new instance is watched within one discovery interval, has no baseline, and an event says so", async () => {
  const { app, control, inbox } = await scene(1, { every: "1s" });
  await watches(app, 1);
  control.addInstance({ name: "fresh", engine: "kafka", created_at: control.now() });
  control.createTask({ instance: "fresh" }, { name: "restartInstance", status: "FAILED" });
  const discovered = await inbox.event("instance.discovered");
  expect(discovered.data.instance).toMatchObject({ name: "fresh" });
  const failed = await inbox.event("task.failed");
  expect(failed.data.task).toMatchObject({ name: "restartInstance", status: "FAILED" });
  // The one that was there from the start is a baseline, not news.
  expect(inbox.ofType("instance.discovered")).toHaveLength(1);
});

test("missing from the list changes nothing but one warning", async () => {
  const { app, control, simulator } = await scene(3, { every: "1s" });
  await watches(app, 3);
  const [first] = instancesOf(simulator);
  control.updateInstance({ instance: first!.id }, { listed: false });
  const warning = "instances are not listed any more; they are still watched";
  await app.log.until(warning);
  await polls(app, 9);
  expect(app.log.of(warning)).toHaveLength(1);
  await watches(app, 3);
});

test("its own 404, read on two polls an interval apart, ends the watch; the throttling 404 never does", async () => {
  const { app, control, inbox, simulator } = await scene(3, { every: "1s" });
  await watches(app, 3);
  await polled(app, 3);
  const [first, second] = instancesOf(simulator);
  control.addFault({ kind: "throttled_404", instance: first!.id, times: 2 });
  control.removeInstance({ instance: second!.id });
  const removed = await inbox.event("instance.removed");
  expect(removed.data.instance).toMatchObject({ id: second!.id });
  await watches(app, 2);
  expect(inbox.ofType("instance.removed")).toHaveLength(1);
});

test("what leaves is told under the project's name, also where its id was looked up", async () => {
  const { app, control, inbox, simulator } = await scene(2, { every: "1s" }, { project_id: undefined });
  await polled(app, 2);
  const [, leaver] = instancesOf(simulator);
  control.removeInstance({ instance: leaver!.id });
  const { data } = await inbox.event("instance.removed");
  expect(data.project).toMatchObject({ name: "prod", region: "eu-west-101" });
  await watches(app, 1);
  const labels = { project: "prod", instance_id: leaver!.id };
  expect((await app.scrape()).value("dms_instance_info", labels)).toBeDefined();
});

test("a failing, throttled or empty discovery keeps the known set, also through a restart", async () => {
  const { app, control, simulator, start } = await scene(5, { every: "1s" });
  await watches(app, 5);
  control.addFault({ id: "broken", kind: "error", status: 500, operation: "list_instances" });
  await app.log.until("discovery failed: the known instances are kept");
  control.addFault({ id: "broken", kind: "throttled_404", operation: "list_instances" });
  await polls(app, 10);
  control.clearFaults();
  for (const { id } of instancesOf(simulator)) control.updateInstance({ instance: id }, { listed: false });
  await app.log.until("instances are not listed any more; they are still watched");
  await watches(app, 5);
  await app.stop();
  await watches(await start(), 5);
});

test("globs on the name choose, and named instances merge with discovered ones", async () => {
  const { app, control } = await scene(
    0,
    { include: ["orders-*", "extra"], exclude: ["*-test"] },
    {
      instances: [{ id: "named-one", name: "mine" }],
    },
  );
  for (const name of ["orders-eu", "orders-test", "billing"]) control.addInstance({ name, engine: "kafka" });
  control.addInstance({ id: "named-one", name: "extra", engine: "kafka" });
  await watches(app, 2);
  const names = (await app.scrape()).series("dms_instance_info").map(({ labels }) => labels.instance_name);
  expect(names.sort()).toEqual(["mine", "orders-eu"]);
});
