import { mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { expect, test, vi } from "vitest";
import { DEMO_KEY, type Simulator, startSimulator } from "../../src/simulator/server.ts";
import { Daemon, Folder } from "../support/daemon.ts";
import { instancesOf, projectOf, type RawConfig, watchConfig, webhookOf } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

vi.setConfig({ testTimeout: 90_000 });

const RELOADED = "configuration reloaded";
const REFUSED = "reload refused: the configuration in force stays";

async function scene() {
  const stack = new AsyncDisposableStack();
  const simulator = stack.use(
    await startSimulator({
      projects: [{ keys: [DEMO_KEY], instances: ["orders", "billing", "audit"].map((name) => ({ name })) }],
    }),
  );
  return {
    simulator,
    folder: stack.use(await Folder.create()),
    inbox: stack.use(await Inbox.start()),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Only these of the simulator's instances are watched. */
const watching = (simulator: Simulator, names: readonly string[], overrides: RawConfig = {}): RawConfig => ({
  ...watchConfig(simulator, null),
  projects: [
    projectOf(simulator, { instances: instancesOf(simulator).filter(({ name }) => names.includes(name)) }),
  ],
  ...overrides,
});

const polled = ({ log }: Daemon, instance: string, from = 0) =>
  log.until(({ msg, instance_name: of }) => msg === "polled" && of === instance, from);

const fails = (simulator: Simulator, instance: string) =>
  simulator.control.createTask({ instance }, { name: "resize", runs_for: 0, ends: "FAILED" }).task;

async function post(daemon: Daemon): Promise<{ status: number; body: { problems?: string[] } }> {
  const answer = await fetch(`${daemon.url}/-/reload`, { method: "POST" });
  return { status: answer.status, body: (await answer.json()) as { problems?: string[] } };
}

const gauge = async (daemon: Daemon) =>
  (await daemon.scrape()).value("taskwatch_config_last_reload_successful");

/** How many instances have had their first poll, which is a baseline. */
const watched = async (daemon: Daemon) => (await daemon.scrape()).sum("dms_instance_up");

test("SIGHUP takes over instances that came and went, a webhook that moved, and the log level", async () => {
  await using all = await scene();
  const { simulator, folder, inbox } = all;
  await using second = await Inbox.start();
  const log = { level: "debug" };
  const path = await folder.write(
    "taskwatch.yaml",
    watching(simulator, ["orders", "billing"], { log, webhooks: [webhookOf(inbox)] }),
  );
  await using daemon = await Daemon.start(path);
  await Promise.all([polled(daemon, "orders"), polled(daemon, "billing")]);
  const first = fails(simulator, "orders");
  await inbox.event("task.failed", ({ subject }) => subject === first);
  const open = { instance_name: "orders", task_name: "resize" };
  expect((await daemon.scrape()).value("dms_task_failures_open", open)).toBe(1);

  await folder.write(
    "taskwatch.yaml",
    watching(simulator, ["billing", "audit"], { log, webhooks: [webhookOf(second)] }),
  );
  const from = daemon.log.lines.length;
  daemon.kill("SIGHUP");
  const line = await daemon.log.until(RELOADED, from);
  expect(line.changed).toEqual(["projects", "webhooks"]);
  await polled(daemon, "audit", from);
  const later = fails(simulator, "audit");
  await second.event("task.failed", ({ subject }) => subject === later);
  const left = instancesOf(simulator)[0]?.id ?? "";
  const calls = simulator.control.requests({ instance: left }).length;
  fails(simulator, "orders");
  // The one that was left out is not polled, and for ten minutes its open failure stays: it may be a slip.
  await daemon.log.until("instances left out of the configuration", from);
  await polled(daemon, "billing", daemon.log.lines.length);
  const scrape = await daemon.scrape();
  expect(scrape.value("taskwatch_instances", { project: "prod" })).toBe(2);
  expect(scrape.value("dms_task_failures_open", open)).toBe(1);
  expect(daemon.log.of("instance removed")).toEqual([]);
  expect(scrape.value("dms_task_failures_open", { ...open, instance_name: "audit" })).toBe(1);
  expect(simulator.control.requests({ instance: left })).toHaveLength(calls);
  expect(inbox.letters).toHaveLength(1);

  // A reload of what did not change is a success too, and changes nothing.
  const again = daemon.log.lines.length;
  daemon.kill("SIGHUP");
  expect((await daemon.log.until(RELOADED, again)).changed).toEqual([]);
  await folder.write(
    "taskwatch.yaml",
    watching(simulator, ["billing", "audit"], { log: { level: "warn" }, webhooks: [webhookOf(second)] }),
  );
  daemon.kill("SIGHUP");
  await expect
    .poll(
      async () => (await daemon.scrape()).value("taskwatch_config_last_reload_success_timestamp_seconds"),
      {
        timeout: 20_000,
      },
    )
    .toBeGreaterThan(Date.parse(String(line.time)) / 1_000);
  const quiet = daemon.log.lines.length;
  const last = fails(simulator, "billing");
  await second.event("task.failed", ({ subject }) => subject === last);
  await daemon.log.until("task failed", quiet);
  expect(daemon.log.lines.slice(quiet).map(({ level }) => level)).toEqual(["warn"]);
  expect(second.bad).toEqual([]);
});

test("a file that is edited and a mounted ConfigMap that swaps its links are noticed by themselves", async () => {
  await using all = await scene();
  const { simulator, folder } = all;
  // As kubelet mounts it: the file is a link into `..data`, which is a link to a folder with a date.
  const mount = async (version: string, config: RawConfig) => {
    await mkdir(folder.file(version));
    await writeFile(folder.file(`${version}/taskwatch.yaml`), JSON.stringify(config));
    await symlink(version, folder.file("..data_tmp"));
    await rename(folder.file("..data_tmp"), folder.file("..data"));
  };
  await mount("..2026_11_24_10", watching(simulator, ["orders"], { log: { level: "debug" } }));
  const path = folder.file("taskwatch.yaml");
  await symlink("..data/taskwatch.yaml", path);
  await using daemon = await Daemon.start(path);
  await polled(daemon, "orders");

  await mount("..2026_11_24_11", watching(simulator, ["orders", "billing"], { log: { level: "debug" } }));
  await polled(daemon, "billing");
  expect(daemon.log.of(RELOADED)).toHaveLength(1);

  // Edited in place, as an editor on the host does it.
  const config = watching(simulator, ["orders", "billing", "audit"], { log: { level: "debug" } });
  await writeFile(path, JSON.stringify(config));
  await polled(daemon, "audit");
  expect(daemon.log.of(RELOADED)).toHaveLength(2);

  // A file that is gone for a moment costs nothing: the daemon goes on, says so once, and comes back to it.
  await rename(path, `${path}.away`);
  await daemon.log.until(REFUSED);
  await polled(daemon, "orders", daemon.log.lines.length);
  expect(await gauge(daemon)).toBe(0);
  await rename(`${path}.away`, path);
  await expect.poll(() => gauge(daemon), { timeout: 20_000 }).toBe(1);
  expect(daemon.log.of(REFUSED)).toHaveLength(1);
});

test("a wrong file changes nothing and is told with its places; what cannot change is refused in a sentence", async () => {
  await using all = await scene();
  const { simulator, folder, inbox } = all;
  const server = { listen: "127.0.0.1:0", reload: true };
  const store = { url: `sqlite:${folder.file("taskwatch.db")}` };
  const good = watching(simulator, ["orders"], { server, store, webhooks: [webhookOf(inbox)] });
  const path = await folder.write("taskwatch.yaml", good);
  await using daemon = await Daemon.start(path);
  await expect.poll(() => watched(daemon), { timeout: 20_000 }).toBe(1);
  expect(await gauge(daemon)).toBe(1);
  const started = (await daemon.scrape()).value("taskwatch_config_last_reload_success_timestamp_seconds");
  const hash = (await daemon.scrape()).value("taskwatch_config_hash");

  await folder.write("taskwatch.yaml", { ...good, stuck: { running_after: "soon" }, stucc: {} });
  const wrong = await post(daemon);
  expect(wrong.status).toBe(500);
  expect(wrong.body.problems).toEqual([
    expect.stringMatching(/taskwatch\.yaml:\d+:\d+: stuck\.running_after: .*"soon"/),
    expect.stringMatching(/taskwatch\.yaml:\d+:\d+: stucc: .*stuck/),
  ]);
  expect(await gauge(daemon)).toBe(0);

  const refused: readonly (readonly [RawConfig, RegExp])[] = [
    [{ store: { url: `sqlite:${folder.file("other.db")}` } }, /^store\.url cannot change while .*restart/],
    [{ store: { ...store, shards: 4 } }, /^store\.shards cannot change while .*restart/],
    [{ store: { ...store, lease: "20s" } }, /^store\.lease cannot change while .*restart/],
    [{ server: { ...server, listen: "127.0.0.1:1" } }, /^server\.listen cannot change while .*restart/],
  ];
  for (const [change, sentence] of refused) {
    // With a change beside it that could be taken over, which must not be taken over either.
    await folder.write("taskwatch.yaml", {
      ...good,
      ...watching(simulator, ["orders", "billing"], { server, store }),
      ...change,
    });
    const answer = await post(daemon);
    expect(answer, JSON.stringify(change)).toMatchObject({
      status: 500,
      body: { problems: [expect.stringMatching(sentence)] },
    });
  }
  const scrape = await daemon.scrape();
  expect(scrape.value("taskwatch_config_last_reload_successful")).toBe(0);
  expect(scrape.value("taskwatch_config_last_reload_success_timestamp_seconds")).toBe(started);
  expect(scrape.value("taskwatch_config_hash")).toBe(hash);
  expect(await watched(daemon)).toBe(1);
  const task = fails(simulator, "orders");
  await inbox.event("task.failed", ({ subject }) => subject === task);
  expect((await fetch(`${daemon.url}/readyz`)).status).toBe(200);

  await folder.write("taskwatch.yaml", { ...good, stuck: { running_after: "2h" } });
  expect(await post(daemon)).toEqual({ status: 200, body: { status: "reloaded" } });
  expect(await gauge(daemon)).toBe(1);
  expect((await daemon.scrape()).value("taskwatch_config_hash")).not.toBe(hash);

  // Switched off by a reload, it is off.
  await folder.write("taskwatch.yaml", { ...good, server: { ...server, reload: false } });
  expect((await post(daemon)).status).toBe(200);
  expect((await post(daemon)).status).toBe(403);
  expect((await fetch(`${daemon.url}/-/reload`)).status).toBe(405);
});

test("keys that are rotated by a reload leave no gap: every instance is watched and shown all along", async () => {
  await using all = await scene();
  const { simulator, folder, inbox } = all;
  const rotated = { access_key: "ROTATEDACCESSKEY0000", secret_key: "a rotated secret key" };
  simulator.control.addKey(rotated);
  const server = { listen: "127.0.0.1:0", reload: true };
  const store = { url: "sqlite::memory:" };
  const config = (credentials: RawConfig) =>
    watching(simulator, [], {
      server,
      store,
      // The id is looked up, and all instances are discovered.
      projects: [projectOf(simulator, { project_id: undefined, instances: [], discover: {}, credentials })],
      webhooks: [webhookOf(inbox)],
      log: { level: "debug" },
    });
  const path = await folder.write("taskwatch.yaml", config(DEMO_KEY));
  await using daemon = await Daemon.start(path);
  const up = async () => (await daemon.scrape()).series("dms_instance_up").map(({ value }) => value);
  await expect.poll(up, { timeout: 20_000 }).toEqual([1, 1, 1]);

  await folder.write("taskwatch.yaml", config(rotated));
  // IAM is away just now, which is no reason to stop watching.
  simulator.control.addFault({ kind: "error", status: 503, operation: "list_projects" });
  const from = daemon.log.lines.length;
  expect((await post(daemon)).status).toBe(200);
  expect(await up()).toEqual([1, 1, 1]);
  expect((await daemon.scrape()).value("taskwatch_instances", { project: "prod" })).toBe(3);
  for (const name of ["orders", "billing", "audit"]) await polled(daemon, name, from);
  simulator.control.revokeKey(DEMO_KEY.access_key);
  const task = fails(simulator, "billing");
  await inbox.event("task.failed", ({ subject }) => subject === task);
  const after = simulator.control.requests({ operation: "list_tasks", key: rotated.access_key });
  expect(after.length).toBeGreaterThan(3);
  expect(after.filter(({ status }) => status !== 200)).toEqual([]);
  expect(daemon.log.of("instance removed")).toEqual([]);
  expect(await up()).toEqual([1, 1, 1]);
});
