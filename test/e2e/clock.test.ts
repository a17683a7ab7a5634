import { expect, test, vi } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { Folder } from "../support/daemon.ts";
import { RunningApp } from "../support/running-app.ts";
import { ShiftedClock } from "../support/shifted-clock.ts";
import { projectOf, watchConfig, webhookOf } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

vi.setConfig({ testTimeout: 90_000 });

const HOUR = 3_600_000;
const INSTANCES = 20;
const INTERVAL_S = 1;

test.each([
  ["forward", 5 * HOUR],
  ["back", -5 * HOUR],
])(
  "a clock that is set %s by hours: no storm of calls, no stall, no false verdict, nothing told twice",
  async (_, jump) => {
    const clock = new ShiftedClock();
    // The cloud's own clock, which nobody sets.
    const cloud = new ShiftedClock();
    await using folder = await Folder.create();
    await using inbox = await Inbox.start();
    await using simulator = await startSimulator({
      clock: () => cloud.now(),
      log_size: 100_000,
      projects: [
        {
          keys: [DEMO_KEY],
          instances: Array.from({ length: INSTANCES }, (_, n) => ({ name: `queue-${n}` })),
        },
      ],
    });
    const create = (instance: string, task: Parameters<typeof simulator.control.createTask>[1]) =>
      simulator.control.createTask({ instance }, task).task;
    const running = create("queue-0", { name: "restart", created_ago: "10m", runs_for: "forever" });
    await using app = await RunningApp.start(
      watchConfig(simulator, null, {
        projects: [projectOf(simulator, { requests_per_second: 100 })],
        poll: { schedule: "* * * * * *", active_schedule: "off" },
        store: { url: `sqlite:${folder.file("t.db")}` },
        webhooks: [webhookOf(inbox, { retry: { min: "3s", max: "4s" } })],
      }),
      { clock },
    );
    const settled = async () => {
      const from = app.log.lines.length;
      for (let n = 0; n < INSTANCES; n++)
        await app.log.until(({ msg, instance_name: of }) => msg === "polled" && of === `queue-${n}`, from);
    };
    await settled();
    await inbox.event("task.started");

    // An event waits for its second attempt when the clock is set.
    inbox.answer = () => 503;
    const failed = create("queue-1", { name: "resize", runs_for: 0, ends: "FAILED" });
    await app.log.until(({ msg, status }) => msg === "attempt" && status === 503);
    inbox.answer = () => 204;
    const before = simulator.control.requestCount();
    const from = app.log.lines.length;
    const began = performance.now();
    clock.jump(jump);
    await settled();
    await settled();
    await settled();
    const rounds = (performance.now() - began) / 1_000 / INTERVAL_S;
    const calls = simulator.control.requestCount() - before;
    // Those of the time that passed, and one round because all begin anew.
    expect(calls).toBeLessThanOrEqual(INSTANCES * (Math.ceil(rounds) + 2));
    await inbox.event("task.failed", ({ subject }) => subject === failed);

    // What happens now is seen now, and no age is that of the wrong clock.
    const later = create("queue-2", { name: "resize", runs_for: 0, ends: "FAILED" });
    await inbox.event("task.failed", ({ subject }) => subject === later);
    expect(inbox.ofType("task.stuck")).toEqual([]);
    expect(inbox.ofType("instance.unreachable", "project.unreachable")).toEqual([]);
    const refused = simulator.control.requests().filter(({ status }) => status === 401);
    expect(refused.length, "calls that the cloud refused for their date").toBeLessThanOrEqual(2);

    // Set right again.
    clock.jump(-jump);
    await settled();
    await settled();
    const warned = app.log.lines
      .slice(from)
      .filter(({ level, msg }) => !["debug", "info"].includes(level) && msg !== "task failed");
    expect(warned).toEqual([]);
    const scrape = await app.scrape();
    expect(scrape.value("taskwatch_lease_lost_total")).toBe(0);
    // No poll was late by the jump.
    expect(scrape.sum("taskwatch_poll_lag_seconds_sum")).toBeLessThan(HOUR / 1_000);
    cloud.advance(2 * HOUR);
    clock.advance(2 * HOUR);
    const stuck = await inbox.event("task.stuck");
    expect(stuck.subject).toBe(running);
    expect(stuck.data.duration_seconds).toBeGreaterThan(2 * 3_600);
    expect(stuck.data.duration_seconds).toBeLessThan(3 * 3_600);
    expect(inbox.events.map(({ type }) => type).sort()).toEqual([
      "task.failed",
      "task.failed",
      "task.started",
      "task.stuck",
    ]);
  },
);
