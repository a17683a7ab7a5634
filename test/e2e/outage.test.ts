import { expect, test, vi } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { Folder } from "../support/daemon.ts";
import { RunningApp } from "../support/running-app.ts";
import { ShiftedClock } from "../support/shifted-clock.ts";
import { watchConfig } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

vi.setConfig({ testTimeout: 90_000 });

const HOUR = 3_600_000;

const ENDS = {
  SUCCESS: "task.succeeded",
  FAILED: "task.failed",
  CANCELLED: "task.cancelled",
  DELETED: "task.deleted",
};

async function scene() {
  const clock = new ShiftedClock(4);
  const folder = await Folder.create();
  const inbox = await Inbox.start();
  const simulator = await startSimulator({
    clock: () => clock.now(),
    projects: [
      { keys: [DEMO_KEY], instances: [{ name: "orders" }, { name: "billing", engine: "rabbitmq" }] },
    ],
  });
  const config = watchConfig(simulator, inbox, { store: { url: `sqlite:${folder.file("taskwatch.db")}` } });
  return {
    clock,
    inbox,
    simulator,
    config,
    async [Symbol.asyncDispose]() {
      await simulator.close();
      await inbox[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

test("what began and ended in three hours without the daemon is all told after its start, once", async () => {
  await using all = await scene();
  const { clock, inbox, simulator, config } = all;
  const create = (instance: string, task: Parameters<typeof simulator.control.createTask>[1]) =>
    simulator.control.createTask({ instance }, task).task;
  const expected = new Map<string, readonly string[]>();
  {
    await using app = await RunningApp.start(config, { clock });
    await Promise.all([polled(app, "orders", 0), polled(app, "billing", 0)]);
    // Open while the daemon stops, and ended while it is away.
    expected.set(create("orders", { name: "resize", runs_for: "30m" }), ["task.started", "task.succeeded"]);
    expected.set(create("billing", { name: "restart", runs_for: "2h", ends: "FAILED" }), [
      "task.started",
      "task.failed",
    ]);
    expected.set(create("billing", { name: "hang", runs_for: "forever" }), ["task.started", "task.stuck"]);
    // Failed before, and made good by a later one while nobody looks.
    expected.set(create("orders", { name: "upgrade", status: "FAILED" }), ["task.failed", "task.recovered"]);
    await inbox.until(
      () => inbox.ofType("task.started").length === 3 && inbox.ofType("task.failed").length === 1,
    );
  }
  // Through three hours, something every three minutes, every sixth of it still open at the end.
  for (let n = 0; n < 60; n++) {
    const [status, type] = Object.entries(ENDS)[n % 4] as [string, string];
    const instance = n % 2 === 0 ? "orders" : "billing";
    if (n % 6 === 5) {
      expected.set(
        create(instance, { name: `open-${n}`, queued_for: "4h" }),
        n < 40 ? ["task.started", "task.stuck"] : ["task.started"],
      );
    } else
      expected.set(create(instance, { name: `done-${n}`, queued_for: "10s", runs_for: "1m", ends: status }), [
        type,
      ]);
    clock.advance(3 * 60_000);
  }
  expected.set(create("orders", { name: "upgrade", status: "SUCCESS" }), ["task.succeeded"]);
  await using app = await RunningApp.start(config, { clock });
  const told = () => [...expected].every(([task, types]) => inbox.ofTask(task).length >= types.length);
  await inbox.until(told);
  await polled(app, "orders");
  await polled(app, "billing");
  for (const [task, types] of expected)
    expect(
      inbox.ofTask(task).map(({ type }) => type),
      task,
    ).toEqual(types);
  expect(inbox.letters).toHaveLength([...expected.values()].flat().length);
  expect(new Set(inbox.letters.map(({ id }) => id)).size).toBe(inbox.letters.length);
  expect(inbox.bad).toEqual([]);
});

test("a task created 40 hours ago is followed by its id with a lookback of 24 hours, until it ends", async () => {
  await using all = await scene();
  const { clock, inbox, simulator, config } = all;
  const { task } = simulator.control.createTask(
    { instance: "orders" },
    { name: "reassign", created_ago: "40h", runs_for: "forever" },
  );
  await using app = await RunningApp.start(config, { clock });
  await inbox.event("task.stuck", (letter) => letter.data.task?.id === task);
  const [first] = simulator.control.requests({ operation: "list_tasks" });
  await polled(app, "orders");
  // The list is asked for a day and does not show the task any more; the task is asked for by its id.
  const list = simulator.control.requests({ operation: "list_tasks" }).at(-1);
  expect(beginOf(list?.query)).toBeGreaterThan(clock.now() - 24 * HOUR - 60_000);
  expect(beginOf(first?.query)).toBeLessThan(clock.now() - 29 * 24 * HOUR);
  expect(simulator.control.requests({ operation: "show_task" }).at(-1)).toMatchObject({ task, status: 200 });
  clock.advance(2 * HOUR);
  simulator.control.updateTask({ instance: "orders" }, task, { status: "FAILED" });
  const failed = await inbox.event("task.failed");
  expect(failed.data).toMatchObject({ task: { id: task }, previous_status: "EXECUTING", was_stuck: true });
  expect(failed.data.duration_seconds).toBeGreaterThan(42 * 3_600 - 60);
  expect(inbox.ofTask(task).map(({ type }) => type)).toEqual(["task.started", "task.stuck", "task.failed"]);
});

async function polled(app: RunningApp, instance: string, from = app.log.lines.length): Promise<void> {
  await app.log.until((line) => line.msg === "polled" && line.instance_name === instance, from);
}

function beginOf(query = ""): number {
  const text = new URLSearchParams(query).get("begin_time") ?? "";
  return Date.parse(text.replace(/(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/, "$1-$2-$3T$4:$5:$6Z"));
}
