import { expect, test, vi } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { Daemon, Folder } from "../support/daemon.ts";
import { fakeTime } from "../support/fake-time.ts";
import { watchConfig } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

vi.setConfig({ testTimeout: 90_000 });

test("a process whose wall clock is set by hours and days under it goes on polling and telling within seconds", async () => {
  await using folder = await Folder.create();
  await using inbox = await Inbox.start();
  await using simulator = await startSimulator({
    projects: [{ keys: [DEMO_KEY], instances: [{ name: "orders" }] }],
  });
  const path = await folder.write(
    "taskwatch.yaml",
    watchConfig(simulator, inbox, {
      store: { url: `sqlite:${folder.file("t.db")}` },
      log: { level: "debug" },
    }),
  );
  // How its list is paged is learned by a few calls, once.
  for (let n = 0; n < 3; n++)
    simulator.control.createTask(
      { instance: "orders" },
      { name: "old", created_ago: `${n + 1}h`, runs_for: "1m", ends: "SUCCESS" },
    );
  const { shift, env } = await fakeTime(folder, "+0");
  await using daemon = await Daemon.start(path, env);
  await daemon.log.until("polled");
  for (const [by, hours] of [
    ["-3h", -3],
    ["+5d", 120],
    ["+0", 0],
  ] as const) {
    await shift(by);
    const from = daemon.log.lines.length;
    // It is another time in there.
    await daemon.log.until(
      ({ msg, time }) =>
        msg === "polled" && Math.abs(Date.parse(String(time)) - Date.now() - hours * 3_600_000) < 60_000,
      from,
    );
    const { task } = simulator.control.createTask(
      { instance: "orders" },
      { name: "resize", created_ago: "10s", runs_for: "9s", ends: "FAILED" },
    );
    const calls = simulator.control.requestCount();
    const began = performance.now();
    await inbox.event("task.failed", ({ subject }) => subject === task);
    await daemon.log.until("polled", daemon.log.lines.length);
    const seconds = (performance.now() - began) / 1_000;
    expect(seconds).toBeLessThan(15);
    expect(simulator.control.requestCount() - calls).toBeLessThanOrEqual(Math.ceil(seconds) + 3);
  }
  expect(inbox.ofType("task.stuck", "instance.unreachable", "project.unreachable")).toEqual([]);
  expect(
    daemon.log.lines.filter(({ level, msg }) => !["debug", "info"].includes(level) && msg !== "task failed"),
  ).toEqual([]);
  daemon.kill("SIGTERM");
  expect(await daemon.exited).toEqual({ code: 0, signal: null });
});
