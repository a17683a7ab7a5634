import { expect, test, vi } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import type { NewTask } from "../../src/simulator/tasks.ts";
import { Folder } from "../support/daemon.ts";
import { RunningApp } from "../support/running-app.ts";
import { projectOf, watchConfig } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

vi.setConfig({ testTimeout: 90_000 });

const INSTANCES = 200;
const FAILURES = 50;
/** A page: the history of an instance takes three. */
const PAGE = 20;

test("the first run on 200 instances with 50 old failures each tells the open tasks once, and nothing that was over", async () => {
  await using folder = await Folder.create();
  await using inbox = await Inbox.start();
  await using simulator = await startSimulator({
    log_size: 100_000,
    projects: [
      {
        keys: [DEMO_KEY],
        dialect: { max_limit: PAGE },
        instances: Array.from({ length: INSTANCES }, (_, n) => ({ name: `queue-${n}` })),
      },
    ],
  });
  const { control } = simulator;
  const create = (n: number, task: NewTask) => control.createTask({ instance: `queue-${n}` }, task).task;
  const open: string[] = [];
  for (let n = 0; n < INSTANCES; n++) {
    for (let old = 1; old <= FAILURES; old++)
      create(n, { name: "resize", created_ago: `${old * 10}h`, runs_for: "1m", ends: "FAILED" });
    if (n % 10 === 0) open.push(create(n, { name: "restart", created_ago: "2m", runs_for: "forever" }));
  }
  // Hanging since before anybody watched: judged at once.
  const hanging = create(5, { name: "reassign", created_ago: "400h", runs_for: "forever" });
  // The first polls of some break off after the first page, or before it; each is a first poll once more.
  for (const n of [1, 2, 3]) {
    control.addFault({
      kind: "error",
      status: 503,
      instance: `queue-${n}`,
      operation: "list_tasks",
      skip: 1,
      times: 2,
    });
    control.addFault({ kind: "reset", instance: `queue-${n + 10}`, operation: "list_tasks", times: 1 });
  }
  const start = () =>
    RunningApp.start(
      watchConfig(simulator, inbox, {
        projects: [projectOf(simulator, { requests_per_second: 500 })],
        store: { url: `sqlite:${folder.file("t.db")}` },
      }),
      { level: "info" },
    );
  const baselines = async (app: RunningApp) =>
    (await app.scrape()).value("taskwatch_baselines_total", { project: "prod" });
  {
    await using app = await start();
    await expect.poll(() => baselines(app), { timeout: 40_000, interval: 300 }).toBe(INSTANCES);
    await inbox.until(() => inbox.events.length >= open.length + 2);
    await nextPolls(app);
    expect(inbox.events.map(({ type }) => type).sort()).toEqual([
      ...[...open, hanging].map(() => "task.started"),
      "task.stuck",
    ]);
    expect(new Set(inbox.ofType("task.started").map(({ subject }) => subject))).toEqual(
      new Set([...open, hanging]),
    );
    expect(inbox.ofType("task.stuck")).toMatchObject([{ subject: hanging }]);
    const scrape = await app.scrape();
    expect(scrape.sum("dms_task_failures_open")).toBe(0);
    expect(scrape.sum("dms_task_failures_total")).toBe(0);
    expect(scrape.value("dms_task_transitions_total", { status: "FAILED" }) ?? 0).toBe(0);
    expect(scrape.sum("dms_tasks_open", { status: "EXECUTING" })).toBe(open.length + 1);
    // One line for what is open, none for what was over.
    expect(app.log.of("task transition")).toHaveLength(open.length + 1);

    // From here on everything is news.
    const news = create(1, { name: "resize", runs_for: 0, ends: "FAILED" });
    await inbox.event("task.failed", ({ subject }) => subject === news);
  }
  // And the next start is no first run.
  const told = inbox.letters.length;
  await using app = await start();
  await nextPolls(app);
  expect(await baselines(app)).toBe(0);
  expect(inbox.letters).toHaveLength(told);
  expect(inbox.bad).toEqual([]);

  async function nextPolls(running: RunningApp): Promise<void> {
    const polls = async () =>
      (await running.scrape()).value("taskwatch_polls_total", { project: "prod" }) ?? 0;
    const before = await polls();
    await expect
      .poll(polls, { timeout: 30_000, interval: 300 })
      .toBeGreaterThanOrEqual(before + 2 * INSTANCES);
  }
});
