import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { EVENT_TYPES } from "../../src/core/event.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { DEMO_KEY, type Simulator, startSimulator } from "../../src/simulator/server.ts";
import { runInProcess } from "../support/cli.ts";
import { RunningApp } from "../support/running-app.ts";
import { ShiftedClock } from "../support/shifted-clock.ts";
import { projectOf, type RawConfig, watchConfig } from "../support/watch-config.ts";
import { Letters } from "./letters.ts";

const MINUTE = 60_000;
const OTHER_KEY = { access_key: "AKOTHER0000000000001", secret_key: "other-secret-of-the-same-project-1" };

/** A simulated project whose id is looked up, with one discovered instance, and a daemon that may be started on it. */
async function scene(project: RawConfig = {}) {
  const clock = new ShiftedClock();
  const simulator = await startSimulator({
    clock: () => clock.now(),
    projects: [{ keys: [DEMO_KEY, OTHER_KEY], instances: [{ name: "orders" }] }],
  });
  onTestFinished(() => simulator.close());
  const inbox = await Letters.start();
  onTestFinished(() => inbox[Symbol.asyncDispose]());
  const folder = mkdtempSync(join(tmpdir(), "taskwatch-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const lookedUp = (changes: RawConfig = {}) =>
    projectOf(simulator, {
      ...{ project_id: undefined, instances: [], discover: { every: "1m" }, ...project },
      ...changes,
    });
  const config = (...projects: readonly RawConfig[]) =>
    watchConfig(simulator, null, {
      webhooks: [{ name: "ops", url: inbox.url, events: EVENT_TYPES.filter((type) => type !== "test") }],
      projects: projects.length > 0 ? projects : [lookedUp()],
      poll: { schedule: "* * * * * *", active_schedule: "off", timeout: "10m" },
      // A step of the clock that is longer is a takeover.
      store: { url: `sqlite:${join(folder, "t.db")}`, lease: "10m" },
    });
  /** Time flies until it resolves. */
  const soon = async <T>(promise: PromiseLike<T>): Promise<T> => {
    const wait = new AbortController();
    const end = () => wait.abort();
    promise.then(end, end);
    while (!wait.signal.aborted) {
      clock.advance(3_000);
      await systemClock.sleep(60, wait.signal).catch(() => {});
    }
    return promise;
  };
  return {
    ...{ clock, simulator, control: simulator.control, inbox, lookedUp, config, soon },
    async start(raw: RawConfig = config()): Promise<RunningApp> {
      const app = await RunningApp.start(raw, { clock });
      onTestFinished(() => app.stop());
      return app;
    },
    command(raw: RawConfig, ...args: readonly string[]) {
      const path = join(folder, "taskwatch.yaml");
      writeFileSync(path, JSON.stringify(raw));
      return runInProcess(...args, "--config", path);
    },
  };
}

const gauge = async (app: RunningApp, project = "prod") =>
  (await app.scrape()).value("taskwatch_project_watched", { project });

const shows = (app: RunningApp, value: number, project = "prod") =>
  expect.poll(() => gauge(app, project), { timeout: 20_000 }).toBe(value);

const failures = async (app: RunningApp) => (await app.scrape()).sum("dms_task_failures_open");

/** Resolves once an instance was polled anew, and completely. */
const polledAgain = (app: RunningApp) => app.log.until("polled", app.log.lines.length);

async function statusOf(app: RunningApp, name = "prod") {
  const { projects } = (await (await fetch(`${app.url}/api/v1/status`)).json()) as {
    projects: { name: string; id: string | null; not_watched: Record<string, unknown> | null }[];
  };
  return projects.find((each) => each.name === name)!;
}

const iamIsAway = ({ control }: Simulator, status = 503) =>
  control.addFault({ id: "iam", kind: "error", status, operation: "list_projects" });

/** Watches, with one open failure in the store. */
async function withOpenFailure(app: RunningApp, { control, inbox, soon }: Awaited<ReturnType<typeof scene>>) {
  await soon(polledAgain(app));
  control.createTask({ instance: "orders" }, { name: "resize", status: "FAILED" });
  await soon(inbox.event("task.failed"));
}

test.each([503, 403])("a restart while IAM answers %d goes on with the remembered id", async (status) => {
  const all = await scene();
  const { simulator, config, start, soon, inbox, command, control } = all;
  const before = await start();
  await withOpenFailure(before, all);
  const { id } = await statusOf(before);
  await before.stop();
  iamIsAway(simulator, status);
  const app = await start();
  await soon(polledAgain(app));
  expect(await gauge(app)).toBe(1);
  expect(await failures(app)).toBe(1);
  expect(await statusOf(app)).toMatchObject({ id, not_watched: null });
  const lookup = await soon(app.log.until("project id lookup failed, remembered id used"));
  expect(lookup).toMatchObject({
    level: "warn",
    project: "prod",
    reason: expect.stringContaining(String(status)),
  });
  const { code, stdout, stderr } = await command(config(), "tasks");
  expect({ code, stderr }).toEqual({ code: 3, stderr: "" });
  expect(stdout).toContain("prod");
  control.clearFaults();
  await soon(app.log.until("project watched"));
  expect(inbox.ofType("project.unreachable", "instance.removed")).toEqual([]);
});

test("a label that is renamed finds the project by its credentials, changed credentials find it by the label", async () => {
  const all = await scene();
  const { simulator, lookedUp, config, start, soon, inbox } = all;
  const first = await start();
  await withOpenFailure(first, all);
  await first.stop();
  iamIsAway(simulator);
  const renamed = await start(config(lookedUp({ name: "production" })));
  await soon(polledAgain(renamed));
  expect(await gauge(renamed, "production")).toBe(1);
  await renamed.stop();
  const changed = await start(config(lookedUp({ credentials: OTHER_KEY })));
  await soon(polledAgain(changed));
  expect(await failures(changed)).toBe(1);
  expect(inbox.ofType("instance.removed")).toEqual([]);
});

test("a reload that renames the label while IAM is away stops no poll and removes nothing", async () => {
  const all = await scene();
  const { simulator, lookedUp, config, start, soon, inbox } = all;
  const app = await start();
  await withOpenFailure(app, all);
  iamIsAway(simulator);
  expect(await app.reload(config(lookedUp({ name: "production" })))).toEqual({ ok: true });
  await soon(polledAgain(app));
  expect(await gauge(app, "production")).toBe(1);
  expect((await app.scrape()).sum("dms_task_failures_open", { project: "production" })).toBe(1);
  expect(inbox.ofType("instance.removed", "project.unreachable")).toEqual([]);
});

test("a reload with a filter whose list is refused keeps what was watched, through a restart, and says so", async () => {
  const all = await scene();
  const { lookedUp, config, start, soon, inbox, control } = all;
  const app = await start();
  await withOpenFailure(app, all);
  control.addFault({ id: "list", kind: "error", status: 403, operation: "list_instances" });
  const filtered = config(lookedUp({ discover: { every: "1m", enterprise_project_id: "mine" } }));
  expect(await app.reload(filtered)).toEqual({ ok: true });
  await soon(polledAgain(app));
  expect(await failures(app)).toBe(1);
  const { data } = await soon(inbox.event("project.unreachable"));
  expect(data).toMatchObject({
    cause: "permission_denied",
    project: { name: "prod", id: (await statusOf(app)).id },
    reason: expect.stringMatching(/never listed; those found before with another filter are still watched: /),
  });
  await shows(app, 0);
  await app.stop();
  const again = await start(filtered);
  await soon(polledAgain(again));
  expect(await failures(again)).toBe(1);
  expect(await gauge(again)).toBe(0);
  expect(inbox.ofType("instance.removed")).toEqual([]);
  control.clearFaults();
  await soon(inbox.event("project.reachable"));
  await shows(again, 1);
  // The new filter finds nothing of what was watched: now it is known to be left out.
  await soon(again.log.until("instances left out of the configuration"));
});

test("where no id is known, all is told within five minutes: event, gauge, log, status, page and commands", async () => {
  const { simulator, lookedUp, config, start, soon, inbox, clock, command, control } = await scene();
  // The key was accepted before: a first call has so little time that the clock of this test may take it.
  const { project_id } = projectOf(simulator);
  const earlier = await start(config(lookedUp({ project_id })));
  await earlier.log.until("polled");
  await earlier.stop();
  iamIsAway(simulator);
  const begun = clock.now();
  const app = await start();
  const { data } = await soon(inbox.event("project.unreachable"));
  expect(clock.now() - begun).toBeLessThan(5 * MINUTE);
  expect(data).toMatchObject({
    cause: "server_error",
    project: { name: "prod", id: "unknown:prod", region: "eu-west-101" },
    instance: null,
    reason: expect.stringMatching(/^not watched: its project id is not known: .*503/),
  });
  expect(await gauge(app)).toBe(0);
  expect(await statusOf(app)).toMatchObject({
    not_watched: { cause: "server_error", since: data.since, reason: expect.stringContaining("503") },
  });
  const page = await (await fetch(app.url)).text();
  expect(page).toMatch(
    /Project <[^>]+>prod<[^>]+> is not watched: its project id is not known: .*503.* \(server error\), since /,
  );
  const tasks = await command(config(), "tasks");
  expect(tasks).toMatchObject({
    code: 1,
    stdout: "no tasks\n",
    stderr: expect.stringMatching(
      /^not watched: project prod: its project id is not known \(since .+, server_error\)\n$/,
    ),
  });
  const check = await command(config(), "check", "--online");
  expect(check.stderr).toContain("not watched: project prod: its project id is not known (since ");
  control.clearFaults();
  const reachable = await soon(inbox.event("project.reachable"));
  expect(reachable.data.project).toMatchObject({ id: "unknown:prod" });
  await shows(app, 1);
  await app.log.until("project watched");
  expect(app.log.of("project not watched")).toHaveLength(1);
  expect((await command(config(), "tasks")).code).toBe(0);
});

test("a project that never listed its instances is told, and is reachable again once it lists none", async () => {
  const { start, soon, inbox, control, simulator } = await scene();
  control.removeInstance({ instance: "orders" });
  control.addFault({ id: "list", kind: "error", status: 500, operation: "list_instances" });
  const app = await start();
  const { data } = await soon(inbox.event("project.unreachable"));
  const [{ id }] = simulator.control.projects() as { id: string }[] as [{ id: string }];
  expect(data).toMatchObject({
    cause: "server_error",
    project: { id },
    reason: expect.stringContaining("never listed"),
  });
  expect(await gauge(app)).toBe(0);
  control.clearFaults();
  await soon(inbox.event("project.reachable"));
  await shows(app, 1);
});

test("of two projects with one id, found at run time, the first is watched and the second is an error", async () => {
  const { lookedUp, config, start, soon, inbox, command, simulator, control } = await scene();
  const [{ id }] = simulator.control.projects() as [{ id: string }];
  const twins = config(lookedUp(), lookedUp({ name: "second", credentials: OTHER_KEY }));
  const app = await start(twins);
  const { data } = await soon(inbox.event("project.unreachable"));
  expect(data).toMatchObject({
    project: { name: "second", id: "unknown:second" },
    reason: `not watched: it is configured twice: project prod, which stands before it in the configuration, has the same project id ${id}`,
  });
  await shows(app, 1);
  expect(await gauge(app, "second")).toBe(0);
  const errors = app.log.of("project not watched").filter(({ level }) => level === "error");
  expect(errors).toMatchObject([{ project: "second", cause: "not_found" }]);
  expect((await command(twins, "tasks")).stderr).toMatch(
    /^not watched: project second: project prod has the same project id .+ \(since .+, not_found\)\n$/,
  );
  // The key of the second is refused: the first is as it was, and nothing flaps.
  control.addFault({ kind: "error", status: 401, key: OTHER_KEY.access_key });
  await soon(polledAgain(app));
  await soon(polledAgain(app));
  expect(inbox.ofType("project.unreachable", "project.reachable")).toHaveLength(1);
  await app.reload(config(lookedUp()));
  await soon(polledAgain(app));
  expect(inbox.ofType("instance.removed")).toEqual([]);
});

test("commands name a project whose id was looked up, also when its events are gone", async () => {
  const all = await scene();
  const { config, start, command, control } = all;
  const app = await start();
  const { task } = control.createTask({ instance: "orders" }, { name: "resize", status: "SUCCESS" });
  await all.soon(polledAgain(app));
  await all.soon(polledAgain(app));
  // It was final at the first poll: no event names it.
  const listed = await command(config(), "tasks", "--state", "all", "--json");
  expect((JSON.parse(listed.stdout) as { tasks: unknown[] }).tasks).toMatchObject([
    { project: { name: "prod" } },
  ]);
  expect((await command(config(), "explain", task)).stdout).toContain("project prod");
});

test("taskwatch_discovered_instances counts what the filters let through, also after a reload", async () => {
  const { lookedUp, config, start, soon, control } = await scene();
  for (const name of ["orders-eu", "orders-test"]) control.addInstance({ name, engine: "kafka" });
  const discovered = async (app: RunningApp) =>
    (await app.scrape()).value("taskwatch_discovered_instances", { project: "prod" });
  const app = await start(config(lookedUp({ discover: { exclude: ["*-test"] } })));
  await soon(polledAgain(app));
  expect(await discovered(app)).toBe(2);
  await app.reload(config(lookedUp({ discover: { include: ["*-eu"] } })));
  expect(await discovered(app)).toBe(1);
});
