import { expect, test, vi } from "vitest";
import type { FaultRule } from "../../src/simulator/fault-rules.ts";
import { DEMO_KEY, type Simulator, startSimulator } from "../../src/simulator/server.ts";
import { Folder } from "../support/daemon.ts";
import { freePort } from "../support/free-port.ts";
import { passUntil } from "../support/pass-until.ts";
import { RunningApp } from "../support/running-app.ts";
import type { Scrape } from "../support/scrape.ts";
import { ShiftedClock } from "../support/shifted-clock.ts";
import { instancesOf, projectOf, type RawInstance, watchConfig } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

vi.setConfig({ testTimeout: 120_000 });

const MINUTE = 60_000;

/** What a network or a server does to all calls of one project, and what it is called. */
const TROUBLES: readonly {
  readonly name: string;
  readonly fault: FaultRule;
  readonly cause: string;
}[] = [
  { name: "drip", fault: { kind: "drip", bytes: 1, every: "200ms" }, cause: "timeout" },
  { name: "silence", fault: { kind: "hang" }, cause: "timeout" },
  { name: "reset", fault: { kind: "reset" }, cause: "endpoint_unreachable" },
  {
    name: "html",
    fault: {
      kind: "body",
      body: "<html><body>Sign in</body></html>",
      headers: { "content-type": "text/html" },
    },
    cause: "bad_response",
  },
  { name: "truncated", fault: { kind: "truncated", keep: 0.5 }, cause: "bad_response" },
  { name: "too-long", fault: { kind: "wrong_length", by: -10 }, cause: "bad_response" },
  { name: "cut-off", fault: { kind: "wrong_length", by: 10 }, cause: "endpoint_unreachable" },
  { name: "bomb", fault: { kind: "huge", gzip: true }, cause: "bad_response" },
  { name: "redirect", fault: { kind: "redirect", location: "http://127.0.0.1:9/" }, cause: "bad_response" },
  { name: "server-error", fault: { kind: "error", status: 503 }, cause: "server_error" },
  { name: "html-error", fault: { kind: "error", status: 502, shape: "html" }, cause: "server_error" },
  { name: "throttled", fault: { kind: "throttled" }, cause: "throttled" },
  { name: "throttled-404", fault: { kind: "throttled_404" }, cause: "throttled" },
  {
    name: "forbidden",
    fault: { kind: "error", status: 403, code: "DMS.10240306" },
    cause: "permission_denied",
  },
  { name: "gone", fault: { kind: "error", status: 404, code: "DMS.00404022" }, cause: "not_found" },
];

const failedPolls = (scrape: Scrape, project: string, reason: string) =>
  scrape.value("taskwatch_poll_failures_total", { project, reason }) ?? 0;

async function cloudOf(
  projects: readonly string[],
  instances: number,
  clock: ShiftedClock,
): Promise<Simulator> {
  return startSimulator({
    clock: () => clock.now(),
    projects: projects.map((name) => ({
      name,
      keys: [DEMO_KEY],
      instances: Array.from({ length: instances }, (_, n) => ({ name: `${name}-${n}` })),
    })),
  });
}

test("every kind of trouble has its reason in the metrics, one event after three polls and two minutes, and an end", async () => {
  const clock = new ShiftedClock(4);
  const names = [...TROUBLES.map(({ name }) => name), "well", "refused-connection", "no-such-host"];
  await using simulator = await cloudOf(names, 1, clock);
  await using inbox = await Inbox.start();
  const nobody = `http://127.0.0.1:${await freePort()}`;
  // A label of 64 letters is no host name: the resolver says so without asking anybody.
  const nowhere = `http://${"x".repeat(64)}.invalid`;
  const impatient = (instance: RawInstance) =>
    /^(drip|silence)/.test(instance.name) ? { ...instance, poll: { timeout: "2s" } } : instance;
  const config = (broken: boolean) =>
    watchConfig(simulator, inbox, {
      projects: names.map((name, index) => ({
        ...projectOf(simulator, { name, instances: instancesOf(simulator, index).map(impatient) }, index),
        ...(broken && name === "refused-connection" ? { endpoint: nobody } : {}),
        ...(broken && name === "no-such-host" ? { endpoint: nowhere } : {}),
      })),
      // Longer than any step of the clock, so that no call in flight seems late; only what never answers is.
      poll: { schedule: "* * * * * *", active_schedule: "off", timeout: "10m" },
      store: { url: "sqlite::memory:", lease: "10m" },
    });
  for (const { name, fault } of TROUBLES) {
    simulator.control.addFault({
      ...fault,
      project: projectOf(simulator, {}, names.indexOf(name)).project_id,
    } as FaultRule);
  }
  const began = clock.now();
  await using app = await RunningApp.start(config(true), { clock });
  const causes = new Map([
    ...TROUBLES.map(({ name, cause }) => [name, cause] as const),
    ["refused-connection", "endpoint_unreachable"],
    ["no-such-host", "endpoint_unreachable"],
  ]);
  const down = () =>
    new Map(inbox.ofType("instance.unreachable").map(({ data }) => [data.project.name, data.cause]));
  await passUntil(clock, () => down().size === causes.size);
  expect(down()).toEqual(causes);

  const scrape = await app.scrape();
  for (const [project, reason] of causes) {
    expect(failedPolls(scrape, project, reason), project).toBeGreaterThanOrEqual(3);
    expect(scrape.value("dms_instance_up", { project }), project).toBe(0);
    expect(scrape.value("dms_instance_reachable", { project }), project).toBe(0);
  }
  expect(scrape.value("dms_instance_up", { project: "well" })).toBe(1);
  expect(scrape.sum("taskwatch_poll_failures_total", { project: "well" })).toBe(0);
  for (const project of ["throttled", "throttled-404"]) {
    expect(scrape.value("taskwatch_api_throttled_total", { project })).toBeGreaterThanOrEqual(3);
    expect(scrape.value("taskwatch_api_budget_requests_per_second", { project })).toBeLessThan(200);
  }
  for (const { time, data } of inbox.ofType("instance.unreachable")) {
    expect(Date.parse(time) - Date.parse(data.since ?? "")).toBeGreaterThanOrEqual(2 * MINUTE);
    expect(Date.parse(data.since ?? "")).toBeGreaterThanOrEqual(began);
  }
  // Said once in the log, however long it lasts.
  expect(app.log.of("instance unreachable")).toHaveLength(causes.size);
  expect(inbox.ofType("project.unreachable")).toEqual([]);

  simulator.control.clearFaults();
  expect(await app.reload(config(false))).toEqual({ ok: true });
  await passUntil(clock, () => inbox.ofType("instance.reachable").length === causes.size);
  await passUntil(clock, async () => (await app.scrape()).sum("dms_instance_reachable") === names.length);
  expect(inbox.events).toHaveLength(2 * causes.size);
  expect(inbox.bad).toEqual([]);
});

test("two failed polls, or two minutes of them alone, are no news", async () => {
  const clock = new ShiftedClock(4);
  await using simulator = await cloudOf(["prod"], 1, clock);
  await using inbox = await Inbox.start();
  await using app = await RunningApp.start(
    watchConfig(simulator, inbox, { store: { url: "sqlite::memory:", lease: "10m" } }),
    { clock },
  );
  await app.log.until("polled");
  const failures = () => app.log.of("poll failed").length;
  simulator.control.addFault({ kind: "error", status: 500, times: 2 });
  await app.log.until(() => failures() === 1);
  clock.advance(5 * MINUTE);
  await app.log.until("polled", app.log.lines.length);
  simulator.control.addFault({ kind: "error", status: 500 });
  await app.log.until(() => failures() >= 6);
  expect(inbox.letters).toEqual([]);
  clock.advance(2 * MINUTE);
  await inbox.event("instance.unreachable", ({ data }) => data.cause === "server_error");
});

test("a project whose endpoint is away is told once, not once for each instance, and told when it is back", async () => {
  const clock = new ShiftedClock(4);
  await using simulator = await cloudOf(["prod"], 12, clock);
  await using inbox = await Inbox.start();
  await using app = await RunningApp.start(
    watchConfig(simulator, inbox, { store: { url: "sqlite::memory:", lease: "10m" } }),
    { clock },
  );
  await expect.poll(async () => (await app.scrape()).sum("dms_instance_up"), { timeout: 30_000 }).toBe(12);
  simulator.control.addFault({ kind: "error", status: 502, shape: "html" });
  await expect
    .poll(async () => failedPolls(await app.scrape(), "prod", "server_error"), { timeout: 30_000 })
    .toBeGreaterThanOrEqual(12 * 3);
  clock.advance(2 * MINUTE);
  const { data } = await inbox.event("project.unreachable");
  expect(data).toMatchObject({
    cause: "server_error",
    project: { name: "prod" },
    instance: null,
    task: null,
  });
  clock.advance(5 * MINUTE);
  await app.log.until("poll failed", app.log.lines.length);
  // What happens meanwhile is told when the project is back.
  const { task } = simulator.control.createTask({ instance: "prod-3" }, { runs_for: 0, ends: "FAILED" });
  expect(inbox.events).toHaveLength(1);
  simulator.control.clearFaults();
  await inbox.event("project.reachable");
  await inbox.event("task.failed", (letter) => letter.data.task?.id === task);
  expect(inbox.events.map(({ type }) => type).sort()).toEqual([
    "project.reachable",
    "project.unreachable",
    "task.failed",
  ]);
  expect(app.log.of("instance unreachable")).toEqual([]);
  expect(app.log.of("project unreachable")).toHaveLength(1);
});

test("a restart while a project is away invents no recovery of it", async () => {
  const clock = new ShiftedClock(4);
  await using folder = await Folder.create();
  await using simulator = await cloudOf(["prod"], 4, clock);
  await using inbox = await Inbox.start();
  const config = watchConfig(simulator, inbox, {
    store: { url: `sqlite:${folder.file("t.db")}`, lease: "10m" },
  });
  const failed = async (app: RunningApp, polls: number) =>
    expect
      .poll(async () => failedPolls(await app.scrape(), "prod", "server_error"), { timeout: 30_000 })
      .toBeGreaterThanOrEqual(polls);
  {
    await using app = await RunningApp.start(config, { clock });
    await expect.poll(async () => (await app.scrape()).sum("dms_instance_up"), { timeout: 30_000 }).toBe(4);
    simulator.control.addFault({ kind: "error", status: 503 });
    await failed(app, 4 * 3);
    clock.advance(2 * MINUTE);
    await inbox.event("project.unreachable");
  }
  await using app = await RunningApp.start(config, { clock });
  await failed(app, 4 * 4);
  clock.advance(3 * MINUTE);
  await failed(app, 4 * 6);
  expect(inbox.events.map(({ type }) => type)).toEqual(["project.unreachable"]);
  simulator.control.clearFaults();
  await inbox.event("project.reachable");
  expect(inbox.events.map(({ type }) => type)).toEqual(["project.unreachable", "project.reachable"]);
});
