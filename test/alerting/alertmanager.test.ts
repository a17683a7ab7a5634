import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Alerting } from "../../src/alerting/alerting.ts";
import type { InstanceSnapshot } from "../../src/alerting/alerts.ts";
import type { Config } from "../../src/config/config.ts";
import { systemClock } from "../../src/platform/clock.ts";
import type { DeliveryFact } from "../../src/ports/telemetry.ts";
import { DEMO_KEY } from "../../src/simulator/server.ts";
import { Alertmanager, type ListedAlert } from "../alerts/alertmanager.ts";
import { readRules } from "../alerts/config-files.ts";
import { shippedAlertmanager } from "../alerts/shipped.ts";
import { polledAgain, type Scene, sceneOf } from "../app/scene.ts";
import { record, task } from "../observe/views.ts";
import { webhookConfig } from "../outbox/harness.ts";
import { runCli } from "../support/cli.ts";
import { Folder } from "../support/daemon.ts";
import { freePort } from "../support/free-port.ts";
import { Notices } from "../support/notices.ts";
import { RedisServer } from "../support/redis.ts";
import { House } from "../support/replicas.ts";
import type { RawConfig } from "../support/watch-config.ts";

/* The daemon and Debian's Alertmanager with the shipped configuration, and the people whom it tells. */

vi.setConfig({ testTimeout: 90_000 });

const MINUTE = 60_000;
const closing = <T extends AsyncDisposable>(resource: T): T => {
  onTestFinished(() => resource[Symbol.asyncDispose]());
  return resource;
};

/** An Alertmanager that can end and come back, on the same address, without any memory. */
async function alertmanagerOn(folder: Folder, notices: Notices) {
  const port = await freePort();
  const config = await shippedAlertmanager(folder.path, notices.url);
  let running: Alertmanager | null = null;
  const stop = async () => {
    await running?.stop();
    running = null;
  };
  onTestFinished(stop);
  return {
    url: `http://127.0.0.1:${port}`,
    start: async () => {
      running = await Alertmanager.start(config, { port });
    },
    stop,
    of: async (labels: Record<string, string>): Promise<ListedAlert | undefined> =>
      (await running?.list())?.find((alert) =>
        Object.entries(labels).every(([name, value]) => alert.labels[name] === value),
      ),
  };
}

async function scene(webhook: RawConfig = {}, overrides: RawConfig = {}) {
  const folder = closing(await Folder.create());
  const notices = closing(await Notices.start());
  const alertmanager = await alertmanagerOn(folder, notices);
  const webhooks = [{ name: "am", format: "alertmanager", urls: [alertmanager.url], ...webhook }];
  const world = await sceneOf(
    {
      webhooks,
      server: { listen: "127.0.0.1:0", external_url: "https://tw.example.org" },
      ...overrides,
    },
    {},
    1,
  );
  return { ...world, notices, alertmanager };
}

const failing = ({ create }: Pick<Scene, "create">, name: string, id?: string) =>
  create({ name, ends: "FAILED", runs_for: 0, ...(id === undefined ? {} : { id }) });
/** Until it is there, with what `fits` asks of it. */
const listed = (
  { alertmanager }: Awaited<ReturnType<typeof scene>>,
  labels: Record<string, string>,
  fits: (alert: ListedAlert) => boolean = () => true,
): Promise<ListedAlert> =>
  vi.waitFor(
    async () => {
      const alert = await alertmanager.of(labels);
      if (alert === undefined || !fits(alert)) throw new Error(`no ${JSON.stringify(labels)}`);
      return alert;
    },
    { timeout: 30_000, interval: 50 },
  );

const ruleOf = (name: string) => readRules().find(({ alert }) => alert === name);

describe("what lasts is an alert", () => {
  test("of a failed task, a stuck one and an instance that cannot be reached, with the labels and annotations of the rules", async () => {
    const all = await scene();
    const { alertmanager, notices, clock, control } = all;
    await alertmanager.start();
    const app = await all.start();
    await polledAgain(app);
    const failed = failing(all, "modifyAutoTopic");
    const hanging = all.create(
      { name: "restartInstance", created_ago: "3h", runs_for: "forever" },
      "billing",
    );
    const told = await notices.firing({ alertname: "DmsTaskFailed" });
    const instance_id = told.labels.instance_id ?? "";
    expect(told).toMatchObject({
      receiver: "chat",
      labels: {
        alertname: "DmsTaskFailed",
        severity: "warning",
        project: "prod",
        instance_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        instance_name: "orders",
        engine: "kafka",
        task_name: "modifyAutoTopic",
        task_id: failed,
      },
      annotations: {
        summary: ruleOf("DmsTaskFailed")?.annotations.summary,
        description: `Task modifyAutoTopic (${failed}) on instance orders (${instance_id}) of project prod failed: no later task of that name succeeded and nobody acknowledged it.`,
        runbook_url: ruleOf("DmsTaskFailed")?.annotations.runbook_url,
      },
    });
    const stuck = await notices.firing({ alertname: "DmsTaskStuck" });
    expect(stuck).toMatchObject({
      receiver: "page",
      labels: { severity: "critical", instance_name: "billing", engine: "rabbitmq", task_id: hanging },
      annotations: {
        description: expect.stringMatching(/ is stuck: running_too_long, over 1h\.$/),
        summary: ruleOf("DmsTaskStuck")?.annotations.summary,
        runbook_url: ruleOf("DmsTaskStuck")?.annotations.runbook_url,
      },
    });
    const alert = await listed(all, { alertname: "DmsTaskFailed" });
    expect(alert.generatorURL).toBe(`https://tw.example.org/#/tasks/${failed}`);
    expect(Date.parse(alert.endsAt) - Date.now()).toBeGreaterThan(18 * MINUTE);
    expect(Date.parse(alert.endsAt) - Date.now()).toBeLessThan(22 * MINUTE);

    control.addFault({ kind: "error", operation: "list_tasks", instance: "orders", status: 500 });
    await app.log.until(({ msg, instance_name }) => msg === "poll failed" && instance_name === "orders");
    for (let polls = 0; polls < 4; polls++) {
      clock.advance(MINUTE);
      await app.log.until(
        ({ msg, instance_name }) => msg === "polled" && instance_name === "billing",
        app.log.lines.length,
      );
    }
    const down = await notices.firing({ alertname: "DmsInstanceUnreachable" });
    expect(down.labels).toEqual({
      alertname: "DmsInstanceUnreachable",
      severity: "warning",
      project: "prod",
      instance_id,
      instance_name: "orders",
      engine: "kafka",
    });
    expect(down.annotations.summary).toBe(ruleOf("DmsInstanceUnreachable")?.annotations.summary);
  });

  test("that goes on under another start of the daemon, and ends when the task is made good", async () => {
    const all = await scene();
    const { alertmanager, notices } = all;
    await alertmanager.start();
    const before = await all.start();
    await polledAgain(before);
    failing(all, "modifyAutoTopic", "t1");
    failing(all, "resizeInstance", "t2");
    const one = await listed(all, { task_id: "t1" });
    await listed(all, { task_id: "t2" });
    await before.stop();
    // Ended while nobody watched: found by the first poll after the start.
    all.create({ name: "resizeInstance", status: "SUCCESS" });
    const after = await all.start();
    await notices.resolved({ task_id: "t2" });
    await polledAgain(after);
    expect((await alertmanager.of({ task_id: "t1" }))?.startsAt).toBe(one.startsAt);
    all.create({ name: "modifyAutoTopic", status: "SUCCESS" });
    const resolved = await notices.resolved({ task_id: "t1" });
    expect(notices.of({ task_id: "t1" }).every(({ startsAt }) => startsAt === resolved.startsAt)).toBe(true);
  });

  test("whose end was written, and not told before the daemon died", async () => {
    const all = await scene();
    const { alertmanager, notices, config } = all;
    await alertmanager.start();
    const before = await all.start();
    await polledAgain(before);
    failing(all, "modifyAutoTopic", "t1");
    failing(all, "resizeInstance", "t2");
    await notices.firing({ task_id: "t1" });
    await notices.firing({ task_id: "t2" });
    // From here on it writes, and tells nobody.
    await before.reload({ ...config, webhooks: [] });
    all.create({ name: "modifyAutoTopic", status: "SUCCESS" });
    await before.log.until(({ msg, task_id }) => msg === "task recovered" && task_id === "t1");
    await before.stop();
    expect(notices.of({ task_id: "t1" }).map(({ status }) => status)).not.toContain("resolved");
    await all.start();
    await notices.resolved({ task_id: "t1" });
    expect(await alertmanager.of({ task_id: "t2" })).toBeDefined();
  });

  test("until somebody acknowledges it beside the daemon, or the instance leaves the configuration", async () => {
    const all = await scene();
    const { alertmanager, notices, config, clock } = all;
    await alertmanager.start();
    const app = await all.start();
    await polledAgain(app);
    failing(all, "modifyAutoTopic", "t1");
    failing(all, "resizeInstance", "t2");
    await notices.firing({ task_id: "t1" });
    await notices.firing({ task_id: "t2" });
    const folder = closing(await Folder.create());
    const path = await folder.write("taskwatch.yaml", config);
    expect(await runCli(["webhook", "test", "am", "--config", path])).toMatchObject({ code: 0, stderr: "" });
    const test = await listed(all, { alertname: "TaskwatchTest", webhook: "am" });
    expect(Date.parse(test.endsAt) - Date.parse(test.startsAt)).toBe(5 * MINUTE);
    expect(await runCli(["ack", "t1", "--by", "ana", "--config", path])).toMatchObject({ code: 0 });
    await notices.resolved({ task_id: "t1" });
    const [project] = config.projects as [RawConfig & { readonly instances: RawConfig[] }];
    const instances = project.instances.filter(({ name }) => name !== "orders");
    expect(await app.reload({ ...config, projects: [{ ...project, instances }] })).toEqual({ ok: true });
    await app.log.until("instances left out of the configuration");
    // Ten minutes of grace, in steps that keep the shards, by a wall clock that goes with Alertmanager's.
    for (let minute = 0; minute <= 10; minute++) {
      clock.advance(MINUTE);
      clock.jump(-MINUTE);
      await polledAgain(app, ["billing"]);
    }
    await notices.resolved({ task_id: "t2" });
  });

  test("that a maintenance window holds back until it ends", async () => {
    const all = await scene();
    const { alertmanager, clock } = all;
    const start = Math.floor(clock.now() / 1_000) * 1_000;
    const [from, to] = [start, start + 5 * MINUTE].map((at) => new Date(at).toISOString());
    await alertmanager.start();
    const app = await all.start({ maintenance: [{ start: from, end: to, match: { instance: "orders" } }] });
    await polledAgain(app);
    failing(all, "modifyAutoTopic", "t1");
    all.create({ name: "restartInstance", status: "FAILED", id: "t2" }, "billing");
    await listed(all, { task_id: "t2" });
    await app.log.until(({ status, task_id }) => status === "FAILED" && task_id === "t1");
    expect(await alertmanager.of({ task_id: "t1" })).toBeUndefined();
    clock.advance(5 * MINUTE);
    await listed(all, { task_id: "t1" });
  });
});

test("500 instances fail within a second: all of it is there after a few posts", async () => {
  const folder = closing(await Folder.create());
  const alertmanager = await Alertmanager.start(await shippedAlertmanager(folder.path, "http://127.0.0.1:1"));
  onTestFinished(() => alertmanager.stop());
  const facts: DeliveryFact[] = [];
  const snapshots: InstanceSnapshot[] = [];
  const alerting = new Alerting({
    snapshots: () => snapshots,
    isGone: () => false,
    mine: () => true,
    clock: systemClock,
    random: Math.random,
    emit: (fact) => facts.push(fact),
    onUnforeseen: (error) => {
      throw error;
    },
    version: "1.2.3",
    lastEvents: async () => [],
    shardOf: () => 0,
  });
  onTestFinished(() => alerting.stop(0));
  const webhooks = [webhookConfig(alertmanager.url, { name: "am", format: "alertmanager" })];
  alerting.apply({ webhooks, server: { external_url: "" } as Config["server"] });
  const began = systemClock.monotonic();
  for (let n = 0; n < 500; n++) {
    const failed = task({ id: `t${n}`, status: "FAILED", failedAt: systemClock.now() });
    const snapshot: InstanceSnapshot = {
      key: `p/i${n}`,
      shard: n % 16,
      project: { name: "prod", region: "eu-west-101" },
      instance: { id: `i${n}`, name: `orders-${n}`, engine: "kafka" },
      state: { record: record({ instanceId: `i${n}` }), tasks: new Map([[failed.id, failed]]) },
    };
    snapshots.push(snapshot);
    alerting.changed(snapshot);
    if (n % 50 === 0) await systemClock.sleep(50);
  }
  await expect.poll(async () => (await alertmanager.list()).length, { timeout: 20_000 }).toBe(500);
  const posts = facts.filter(({ kind }) => kind === "attempt");
  console.log(
    `alertmanager: 500 alerts in ${posts.length} posts, ${Math.round(systemClock.monotonic() - began)} ms`,
  );
  expect(posts.length).toBeLessThan(100);
  expect(facts.filter(({ kind }) => kind === "posted")).toHaveLength(posts.length);
});

describe("it is kept up to date", () => {
  test("once a minute, and an Alertmanager that was restarted and knows nothing is told all again", async () => {
    const all = await scene();
    const { alertmanager, clock, notices } = all;
    await alertmanager.start();
    const app = await all.start();
    await polledAgain(app);
    failing(all, "modifyAutoTopic", "t1");
    const first = await listed(all, { task_id: "t1" });
    clock.advance(MINUTE + 1_000);
    await listed(all, { task_id: "t1" }, ({ updatedAt }) => updatedAt !== first.updatedAt);

    await alertmanager.stop();
    // What ends while it is away is told when it is back: it may remember that it told somebody.
    failing(all, "resizeInstance", "t2");
    await app.log.until(({ status, task_id }) => status === "FAILED" && task_id === "t2");
    await alertmanager.start();
    clock.advance(MINUTE + 1_000);
    const again = await listed(all, { task_id: "t1" });
    expect(again.startsAt).toBe(first.startsAt);
    await listed(all, { task_id: "t2" });
    all.create({ name: "modifyAutoTopic", status: "SUCCESS" });
    await notices.resolved({ task_id: "t1" });
  });

  test("where the daemon's clock is ahead of Alertmanager's: the end takes effect all the same", async () => {
    const all = await scene();
    const { alertmanager, clock, notices } = all;
    clock.jump(10 * MINUTE);
    await alertmanager.start();
    const app = await all.start();
    await polledAgain(app);
    failing(all, "modifyAutoTopic", "t1");
    await notices.firing({ task_id: "t1" });
    all.create({ name: "modifyAutoTopic", status: "SUCCESS" });
    await notices.resolved({ task_id: "t1" });
    expect(await alertmanager.of({ task_id: "t1" })).toBeUndefined();
  });

  test("by whoever owns the shard: after a takeover the other replica goes on", async () => {
    await using redis = await RedisServer.start();
    const all = await scene({}, { store: { url: `redis://127.0.0.1:${redis.port}`, lease: "3s" } });
    const { alertmanager, notices } = all;
    await alertmanager.start();
    const first = await all.start();
    await polledAgain(first);
    failing(all, "modifyAutoTopic", "t1");
    failing(all, "resizeInstance", "t2");
    const told = await listed(all, { task_id: "t1" });
    await listed(all, { task_id: "t2" });
    const second = await all.start();
    await first.stop();
    await second.log.until(({ msg, owned }) => msg === "shards held" && owned === 16);
    const again = await listed(all, { task_id: "t1" }, ({ updatedAt }) => updatedAt !== told.updatedAt);
    expect(again.startsAt).toBe(told.startsAt);
    await listed(all, { task_id: "t2" });
    all.create({ name: "modifyAutoTopic", status: "SUCCESS" });
    await notices.resolved({ task_id: "t1" });
    expect(notices.of({ task_id: "t2" }).map(({ status }) => status)).not.toContain("resolved");
  });

  test("after a replica was killed, by the one that takes its shards", async () => {
    const folder = closing(await Folder.create());
    const notices = closing(await Notices.start());
    const alertmanager = await alertmanagerOn(folder, notices);
    await alertmanager.start();
    const webhooks = [{ name: "am", format: "alertmanager", urls: [alertmanager.url] }];
    const names = Array.from({ length: 8 }, (_, n) => `orders-${n}`);
    const house = closing(
      await House.open({
        simulator: { projects: [{ keys: [DEMO_KEY], instances: names.map((name) => ({ name })) }] },
        config: { webhooks },
      }),
    );
    const [killed] = await house.start(2);
    const { control } = house.simulator;
    await vi.waitFor(() => expect(control.requests({ operation: "list_tasks" }).length).toBeGreaterThan(30), {
      timeout: 30_000,
    });
    for (const name of names)
      control.createTask(
        { instance: name },
        { id: `of-${name}`, name: "restart", ends: "FAILED", runs_for: 0 },
      );
    for (const name of names) await notices.firing({ task_id: `of-${name}` });
    killed?.daemon.kill("SIGKILL");
    await killed?.daemon.exited;
    for (const name of names) control.createTask({ instance: name }, { name: "restart", status: "SUCCESS" });
    for (const name of names) {
      const { startsAt } = await notices.resolved({ task_id: `of-${name}` });
      expect(new Set(notices.of({ task_id: `of-${name}` }).map((notice) => notice.startsAt))).toEqual(
        new Set([startsAt]),
      );
    }
  });

  test("at each of its addresses: one that is down costs the other nothing, and is told all when it is back", async () => {
    const all = await scene();
    const { alertmanager: one, notices, clock, config } = all;
    const folder = closing(await Folder.create());
    const two = await alertmanagerOn(folder, notices);
    await one.start();
    const [webhook] = config.webhooks as [RawConfig];
    const app = await all.start({ webhooks: [{ ...webhook, urls: [two.url, one.url] }] });
    await polledAgain(app);
    failing(all, "modifyAutoTopic", "t1");
    await listed(all, { task_id: "t1" });
    all.create({ name: "modifyAutoTopic", status: "SUCCESS" });
    await notices.resolved({ task_id: "t1" });
    failing(all, "modifyAutoTopic", "t2");
    await listed(all, { task_id: "t2" });
    const scrape = await app.scrape();
    expect(
      scrape.value("taskwatch_webhook_failures_total", { webhook: "am", reason: "network" }),
    ).toBeGreaterThan(0);
    expect(scrape.value("taskwatch_webhook_delivered_total", { webhook: "am" })).toBeGreaterThan(2);
    expect(app.log.of("webhook is down: it is only probed")).toEqual([]);

    await two.start();
    clock.advance(MINUTE + 1_000);
    await listed({ ...all, alertmanager: two }, { task_id: "t2" });
    // Both are away.
    await one.stop();
    await two.stop();
    await vi.waitFor(
      () => {
        clock.advance(MINUTE + 1_000);
        expect(app.log.of("webhook is down: it is only probed")).toHaveLength(1);
      },
      { timeout: 30_000, interval: 300 },
    );
    await one.start();
    clock.advance(MINUTE + 1_000);
    await listed(all, { task_id: "t2" });
    await app.log.until("webhook works again");
  });
});
