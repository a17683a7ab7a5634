import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { expect, test, vi } from "vitest";
import { DEMO_KEY, type Simulator, startSimulator } from "../../src/simulator/server.ts";
import { shippedPrometheus } from "../alerts/shipped.ts";
import { alertsOnSeries } from "../support/captured-series.ts";
import { runInProcess } from "../support/cli.ts";
import { Folder } from "../support/daemon.ts";
import { freePort } from "../support/free-port.ts";
import { Prometheus } from "../support/prometheus.ts";
import { RedisServer } from "../support/redis.ts";
import { RunningApp } from "../support/running-app.ts";
import { type RawConfig, watchConfig } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

vi.setConfig({ testTimeout: 60_000 });

const INSTANCES = ["orders", "billing", "telemetry"] as const;

const cloud = () =>
  startSimulator({ projects: [{ keys: [DEMO_KEY], instances: INSTANCES.map((name) => ({ name })) }] });

/** Polls of each instance that the log tells of. */
const polls = (app: RunningApp, name: string) =>
  app.log.lines.filter(({ component, instance_name: of }) => component === "poll" && of === name).length;

const allPolled = (app: RunningApp) =>
  app.log.until(() => INSTANCES.every((name) => polls(app, name) > 0)).then(() => undefined);

/** A first run that leaves state behind, with a failure that is open. */
async function firstRun(config: RawConfig, simulator: Simulator): Promise<void> {
  await using app = await RunningApp.start(config);
  await allPolled(app);
  simulator.control.createTask({ instance: "orders" }, { id: "broken", name: "resize", status: "FAILED" });
  const open = async () => (await app.scrape()).sum("dms_task_failures_open");
  await expect.poll(open, { timeout: 20_000 }).toBe(1);
}

/** Overwrites the first page of a table: the file still opens. */
function damageTable(file: string, table: string): void {
  using db = new DatabaseSync(file);
  db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  const { page } = db
    .prepare("SELECT rootpage AS page FROM sqlite_schema WHERE type = 'table' AND name = ?")
    .get(table) as { page: number };
  const { page_size: size } = db.prepare("PRAGMA page_size").get() as { page_size: number };
  const handle = openSync(file, "r+");
  writeSync(handle, Buffer.alloc(size, 0xa5), 0, size, (page - 1) * size);
  closeSync(handle);
}

test("one record that cannot be read costs itself alone: the rest is polled, and an alert names it", async () => {
  await using folder = await Folder.create();
  await using simulator = await cloud();
  const file = folder.file("taskwatch.db");
  const [port, prometheusPort] = [await freePort(), await freePort()];
  const config = watchConfig(simulator, null, {
    store: { url: `sqlite:${file}` },
    server: { listen: `127.0.0.1:${port}` },
  });
  const path = await folder.write("taskwatch.json", config);
  await firstRun(config, simulator);
  {
    using db = new DatabaseSync(file);
    db.exec(`UPDATE instance SET record = '{"v":2,"na' WHERE record LIKE '%"orders"%'`);
    db.exec(`UPDATE instance SET record = '{"v":2}' WHERE record LIKE '%"billing"%'`);
  }
  const beside = await runInProcess("tasks", "--config", path);
  expect(beside.stderr).toMatch(/^cannot be read: instance .+: it is damaged: it is not JSON$/m);
  expect(beside.stderr).toMatch(/^cannot be read: instance .+: it has format 2, and this version knows/m);

  await using app = await RunningApp.start(config);
  await allPolled(app);
  const unreadable = async () => (await app.scrape()).value("taskwatch_unreadable_records");
  await expect.poll(unreadable, { timeout: 20_000 }).toBe(2);
  const scrape = await app.scrape();
  expect(scrape.value("taskwatch_shards_owned")).toBe(16);
  // The task of the lost record is known all along.
  expect(scrape.sum("dms_task_failures_open")).toBe(1);
  // Nothing is told that was told before.
  expect(scrape.sum("taskwatch_events_total")).toBe(0);
  expect((await fetch(`${app.url}/readyz`)).status).toBe(200);
  const status = (await (await fetch(`${app.url}/api/v1/status`)).json()) as { store: unknown };
  expect(status.store).toEqual({ kind: "sqlite", up: true, unreadable_records: 2 });
  expect(await (await fetch(app.url)).text()).toContain("2 records of the store cannot be read");
  const told = () => app.log.of("record cannot be read, set aside");
  expect(told()).toHaveLength(2);
  expect(told()[0]).toMatchObject({ level: "error", kind: "instance", why: expect.any(String) });

  const outcome = await alertsOnSeries(
    scrape,
    [{ alertname: "TaskwatchStateUnreadable", labels: { job: "taskwatch", severity: "critical" } }],
    ["TaskwatchShardsUnowned", "TaskwatchStoreDown"],
  );
  expect(outcome.code, outcome.output).toBe(0);
  const rules = await shippedPrometheus(folder.path, {
    taskwatch: [`127.0.0.1:${port}`],
    prometheus: `127.0.0.1:${prometheusPort}`,
    alertmanager: "127.0.0.1:9",
  });
  await using prometheus = await Prometheus.start(rules, { port: prometheusPort });
  const firing = async () =>
    (await prometheus.query('ALERTS{alertstate="firing"}')).map(({ metric }) => metric.alertname).sort();
  await expect.poll(firing, { timeout: 20_000 }).toEqual(["DmsTaskFailed", "TaskwatchStateUnreadable"]);

  // In all this time it was told once.
  expect(told()).toHaveLength(2);
  expect(await runInProcess("unreadable", "list", "--config", path)).toMatchObject({ code: 0 });
  expect((await runInProcess("unreadable", "drop", "--all", "--config", path)).stdout).toContain("2 records");
  await expect.poll(unreadable, { timeout: 20_000 }).toBe(0);
});

test("shards that cannot be loaded are not owned, and the alert on it fires", async () => {
  await using redis = await RedisServer.start();
  await using simulator = await cloud();
  await using folder = await Folder.create();
  const client = redis.client();
  // Something else under the names of the hashes.
  for (let shard = 0; shard < 16; shard++) await client.set(`{taskwatch:${shard}}:rec`, "not ours");
  client.disconnect();
  const [port, prometheusPort] = [await freePort(), await freePort()];
  const config = watchConfig(simulator, null, {
    store: { url: redis.url },
    server: { listen: `127.0.0.1:${port}` },
  });
  await using app = await RunningApp.start(config);
  const failed = () => app.log.of("shard cannot be loaded");
  await app.log.until(() => failed().length === 16);
  const scrape = await app.scrape();
  expect(scrape.value("taskwatch_shards_owned")).toBe(0);
  expect(scrape.value("taskwatch_shards")).toBe(16);
  const outcome = await alertsOnSeries(scrape, [
    { alertname: "TaskwatchShardsUnowned", labels: { job: "taskwatch", severity: "critical" } },
  ]);
  expect(outcome.code, outcome.output).toBe(0);
  const rules = await shippedPrometheus(folder.path, {
    taskwatch: [`127.0.0.1:${port}`],
    prometheus: `127.0.0.1:${prometheusPort}`,
    alertmanager: "127.0.0.1:9",
    soon: ["TaskwatchShardsUnowned"],
  });
  await using prometheus = await Prometheus.start(rules, { port: prometheusPort });
  const firing = async () =>
    (await prometheus.query('ALERTS{alertstate="firing"}')).map(({ metric }) => metric.alertname);
  await expect.poll(firing, { timeout: 20_000 }).toEqual(["TaskwatchShardsUnowned"]);
  // Tried again meanwhile, and told once.
  expect(failed()).toHaveLength(16);
  expect(app.log.of("store does not answer")).toEqual([]);
});

test("a file that is found damaged makes the store down until a restart, which ends with a sentence", async () => {
  await using folder = await Folder.create();
  await using simulator = await cloud();
  await using inbox = await Inbox.start();
  const file = folder.file("taskwatch.db");
  const config = watchConfig(simulator, inbox, { store: { url: `sqlite:${file}` } });
  const path = await folder.write("taskwatch.json", config);
  await firstRun(config, simulator);
  damageTable(file, "instance");
  {
    await using app = await RunningApp.start(config);
    await app.log.until("store is damaged");
    await expect.poll(async () => (await app.scrape()).value("taskwatch_store_up")).toBe(0);
    expect((await app.scrape()).value("taskwatch_shards")).toBe(16);
    const ready = await fetch(`${app.url}/readyz`);
    expect([ready.status, await ready.text()]).toEqual([
      503,
      expect.stringContaining("the store is damaged"),
    ]);
    const outcome = await alertsOnSeries(await app.scrape(), [
      { alertname: "TaskwatchStoreDown", labels: { job: "taskwatch", severity: "critical" } },
      { alertname: "TaskwatchShardsUnowned", labels: { job: "taskwatch", severity: "critical" } },
    ]);
    expect(outcome.code, outcome.output).toBe(0);
    expect(app.log.of("store is damaged")).toHaveLength(1);
    expect(app.log.of("store answers again")).toEqual([]);
  }
  writeFileSync(file, "no database at all".repeat(1_000));
  const start = await runInProcess("run", "--config", path);
  expect(start.code).toBe(1);
  expect(start.stderr.trim()).toMatch(
    /^the store .+ is damaged .+: restore it from a backup, or move it away/,
  );
  expect(start.stderr.trim().split("\n")).toHaveLength(1);
});
