import { expect, onTestFinished, test } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { RedisServer } from "../support/redis.ts";
import { RunningApp } from "../support/running-app.ts";
import type { ShiftedClock } from "../support/shifted-clock.ts";
import { instancesOf, projectOf, type RawConfig, watchConfig } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";
import { polledAgain, sceneOf } from "./scene.ts";

test("a reload that fails, or that changes what cannot change, leaves everything as it was and says so", async () => {
  const simulator = await startSimulator({ projects: [{ keys: [DEMO_KEY] }] });
  onTestFinished(() => simulator.close());
  simulator.control.addLoad({ instances: 2, tasks: 1, rate: 0 });
  const config = watchConfig(simulator, null, { projects: [projectOf(simulator)] });
  const app = await RunningApp.start(config);
  onTestFinished(() => app.stop());
  const instances = async () => (await app.scrape()).value("taskwatch_instances", { project: "prod" });
  const successful = async () => (await app.scrape()).value("taskwatch_config_last_reload_successful");
  await expect.poll(instances, { timeout: 20_000 }).toBe(2);

  const broken = await app.reload({ ...config, stuck: { running_after: "soon" } });
  expect(broken).toMatchObject({ ok: false });
  const elsewhere = await app.reload({ ...config, store: { url: "sqlite:/tmp/elsewhere.db" } });
  expect(elsewhere).toMatchObject({
    ok: false,
    problems: [expect.stringMatching(/store\.url cannot change/)],
  });
  expect(await instances()).toBe(2);
  expect(await successful()).toBe(0);

  expect(await app.reload(config)).toEqual({ ok: true });
  expect(await successful()).toBe(1);
});

test("a password of Redis that is rotated holds up no other change, and is used for the next connection", async () => {
  await using simulator = await startSimulator({
    projects: [{ keys: [DEMO_KEY], instances: [{ name: "orders" }, { name: "billing" }] }],
  });
  await using redis = await RedisServer.start(["--requirepass", "old"]);
  await using inbox = await Inbox.start();
  const [orders, billing] = instancesOf(simulator);
  const configOf = (password: string, instances: ReturnType<typeof instancesOf>) =>
    watchConfig(simulator, inbox, {
      store: { url: `redis://:${password}@127.0.0.1:${redis.port}`, password },
      projects: [projectOf(simulator, { instances })],
    });
  await using app = await RunningApp.start(configOf("old", [orders!]));
  await polledAgain(app, ["orders"]);
  const admin = redis.client("old");
  onTestFinished(() => admin.disconnect());
  await admin.config("SET", "requirepass", "new");

  expect(await app.reload(configOf("new", [orders!, billing!]))).toEqual({ ok: true });
  await polledAgain(app, ["billing"]);
  const lines = app.log.lines.length;
  await admin.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  await polledAgain(app, ["orders", "billing"]);
  const { task } = simulator.control.createTask(
    { instance: "billing" },
    { name: "resize", runs_for: 0, ends: "FAILED" },
  );
  await inbox.event("task.failed", ({ subject }) => subject === task);
  expect(app.log.lines.slice(lines).filter(({ msg }) => String(msg).includes("password"))).toEqual([]);

  const elsewhere = await app.reload({
    ...configOf("new", [orders!]),
    store: { url: "redis://127.0.0.1:1" },
  });
  expect(elsewhere).toMatchObject({
    ok: false,
    problems: [expect.stringMatching(/^store\.url cannot change/)],
  });
});

const MINUTE = 60_000;
const LEFT_OUT = "instances left out of the configuration";

/** The grace of an instance that was left out ends, in steps that keep the shards. */
async function graceEnds(clock: ShiftedClock, app: RunningApp): Promise<void> {
  for (let minute = 0; minute < 10; minute++) {
    clock.advance(MINUTE);
    await polledAgain(app, ["billing"]);
  }
}

test("an instance that was renamed leaves under the name that it had last", async () => {
  const { clock, inbox, config, start } = await sceneOf();
  const [project] = config.projects as { readonly instances: readonly RawConfig[] }[];
  const [orders, billing] = project!.instances;
  const app = await start();
  await polledAgain(app);
  await app.reload({
    ...config,
    projects: [{ ...project, instances: [{ ...orders, name: "sales" }, billing] }],
  });
  await polledAgain(app, ["sales", "billing"]);
  await app.reload({ ...config, projects: [{ ...project, instances: [billing] }] });
  await app.log.until(LEFT_OUT);
  await graceEnds(clock, app);
  expect((await inbox.event("instance.removed")).data.instance).toMatchObject({ name: "sales" });
});

test("an instance that was taken out and is put back after ten minutes tells of its tasks and of itself as news", async () => {
  const { clock, inbox, config, create, start } = await sceneOf({ window: { first_poll: "emit" } });
  const [project] = config.projects as { readonly instances: readonly RawConfig[] }[];
  const [, billing] = project!.instances;
  const hangs = create({ name: "resize", created_ago: "3h", runs_for: "forever" });
  const failed = create({ name: "restart", created_ago: "1h", runs_for: "1m", ends: "FAILED" });
  const app = await start();
  const told = (type: string, taskId?: string) =>
    inbox.ofType(type).filter(({ data }) => taskId === undefined || data.task?.id === taskId).length;
  for (let time = 1; time <= 3; time++) {
    await expect.poll(() => told("task.stuck", hangs), { timeout: 20_000 }).toBe(time);
    await expect.poll(() => told("task.failed", failed), { timeout: 20_000 }).toBe(time);
    const from = app.log.lines.length;
    await app.reload({ ...config, projects: [{ ...project, instances: [billing] }] });
    await app.log.until(LEFT_OUT, from);
    await graceEnds(clock, app);
    await expect.poll(() => told("instance.removed"), { timeout: 20_000 }).toBe(time);
    await app.reload(config);
  }
});

test("one that turns out wrong while it is applied changes nothing", async () => {
  await using simulator = await startSimulator({
    projects: [{ keys: [DEMO_KEY], instances: [{ name: "orders" }] }],
  });
  const env: Record<string, string> = {};
  const hook = (name: string) => ({ name, url: "http://127.0.0.1:9/hidden" });
  const config = watchConfig(simulator, null, { webhooks: [hook("old")] });
  await using app = await RunningApp.start(config, { env });
  const webhooks = async () => {
    const { webhooks } = (await (await fetch(`${app.url}/api/v1/webhooks`)).json()) as {
      webhooks: { name: string }[];
    };
    return webhooks.map(({ name }) => name);
  };
  // It is read when connections are made: for a project of another name.
  env.HTTPS_PROXY = "http://ann:50%off@127.0.0.1:9";
  const project = projectOf(simulator, { name: "another" });
  const answer = await app.reload({ ...config, webhooks: [hook("new")], projects: [project] });
  expect(answer).toEqual({
    ok: false,
    problems: [
      "HTTPS_PROXY, HTTP_PROXY: found a value that is not shown; allowed: the URL of a proxy, its user and password percent-encoded (% is %25)",
    ],
  });
  expect(await webhooks()).toEqual(["old"]);
  const scrape = await app.scrape();
  expect(scrape.value("taskwatch_config_last_reload_successful")).toBe(0);
  const polled = app.log.lines.length;
  await app.log.until(({ component, project: of }) => component === "poll" && of === "prod", polled);
});
