import { expect, test, vi } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { RunningApp } from "../support/running-app.ts";
import { projectOf, watchConfig } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

vi.setConfig({ testTimeout: 90_000 });

const INSTANCES = 60;
const BUDGET = 20;
/** Every instance is due each second, with one call. */
const NEEDED = INSTANCES;
const WATCHED_MS = 15_000;
/** A tick, and what a busy machine adds. */
const SLACK_MS = 2_000;

test("three times as much due as the budget allows: all wait alike, nobody for long, and it shows", async () => {
  await using inbox = await Inbox.start();
  // In one project few have open tasks, in the other most.
  const busy = [10, 50];
  await using simulator = await startSimulator({
    log_size: 100_000,
    projects: busy.map((_, project) => ({
      name: `p${project}`,
      keys: [DEMO_KEY],
      instances: Array.from({ length: INSTANCES }, (_, n) => ({ name: `p${project}-${n}` })),
    })),
  });
  const { control } = simulator;
  const isBusy = (name: string) => Number(name.split("-")[1]) < (busy[Number(name[1])] ?? 0);
  const projects = busy.map((_, index) =>
    projectOf(simulator, { name: `p${index}`, requests_per_second: BUDGET }, index),
  ) as { name: string; project_id: string; instances: { id: string; name: string }[] }[];
  for (const { name } of projects.flatMap(({ instances }) => instances))
    if (isBusy(name)) control.createTask({ instance: name }, { name: "restart", runs_for: "forever" });
  await using app = await RunningApp.start(
    watchConfig(simulator, inbox, {
      projects,
      poll: { schedule: "* * * * * *", active_schedule: "* * * * * *" },
    }),
    { level: "info" },
  );
  await expect
    .poll(async () => (await app.scrape()).sum("dms_instance_up"), { timeout: 30_000, interval: 500 })
    .toBe(2 * INSTANCES);

  // What begins and ends meanwhile is told all the same, once.
  const began = control.now();
  const fails = projects.flatMap(({ instances }) =>
    instances
      .slice(-5)
      .map(
        ({ name }) =>
          control.createTask({ instance: name }, { name: "short", runs_for: 0, ends: "FAILED" }).task,
      ),
  );
  await systemClock.sleep(WATCHED_MS);
  const ended = control.now();
  const scrape = await app.scrape();

  for (const { name: project, project_id, instances } of projects) {
    const calls = control
      .requests({ project: project_id, operation: "list_tasks" })
      .filter(({ time }) => time >= began);
    const seconds = (ended - began) / 1_000;
    // The budget holds, and is used.
    expect(calls.length).toBeLessThanOrEqual(BUDGET * (seconds + 1));
    expect(calls.length).toBeGreaterThan(BUDGET * seconds * 0.8);
    expect(control.worstWindow({ project: project_id }, 1_000).count).toBeLessThanOrEqual(2 * BUDGET);

    const times = Map.groupBy(calls, ({ instance }) => instance);
    const waits = instances.map(({ id }) => {
      const own = [began, ...(times.get(id) ?? []).map(({ time }) => time), ended];
      return Math.max(...own.slice(1).map((time, index) => time - (own[index] ?? 0)));
    });
    expect(Math.max(...waits), project).toBeLessThanOrEqual(2 * (NEEDED / BUDGET) * 1_000 + SLACK_MS);
    // Those in the same position fare alike.
    for (const open of [true, false]) {
      const polls = instances
        .filter(({ name }) => isBusy(name) === open)
        .map(({ id }) => times.get(id)?.length ?? 0);
      expect(Math.max(...polls) - Math.min(...polls), `${project}, open tasks: ${open}`).toBeLessThanOrEqual(
        2,
      );
    }
    // Open tasks get no more than half while others wait.
    const forBusy = instances.filter(({ name }) => isBusy(name)).flatMap(({ id }) => times.get(id) ?? []);
    expect(forBusy.length).toBeLessThanOrEqual(calls.length / 2 + 2);

    expect(scrape.value("taskwatch_api_needed_requests_per_second", { project })).toBeGreaterThanOrEqual(
      NEEDED,
    );
    expect(scrape.value("taskwatch_api_budget_requests_per_second", { project })).toBe(BUDGET);
    const lag = scrape.sum("taskwatch_poll_lag_seconds_sum", { project });
    expect(lag / scrape.sum("taskwatch_poll_lag_seconds_count", { project })).toBeGreaterThan(1);
    expect(scrape.value("taskwatch_polls_merged_total", { project })).toBeGreaterThan(0);
    expect(scrape.sum("taskwatch_poll_failures_total", { project })).toBe(0);
  }
  await inbox.until(() => inbox.ofType("task.failed").length === fails.length);
  expect(new Set(inbox.ofType("task.failed").map(({ subject }) => subject))).toEqual(new Set(fails));
  expect(inbox.ofType("instance.unreachable", "project.unreachable")).toEqual([]);
  // Nothing is wrong, it is only slow: the log is not filled with it.
  expect(app.log.lines.filter(({ level, msg }) => level !== "info" && msg !== "task failed")).toEqual([]);
});
