import { existsSync } from "node:fs";
import { expect, test, vi } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { Daemon, Folder } from "../support/daemon.ts";
import { Inbox } from "../support/inbox.ts";
import { watchConfig } from "../support/watch-config.ts";

vi.setConfig({ testTimeout: 90_000 });

/** Of Debian's package faketime: gives a process another wall clock, and leaves its monotonic one alone. */
const LIBRARY = ["x86_64", "aarch64"]
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`)
  .find((path) => existsSync(path));

test("a process whose wall clock is set by hours and days under it goes on polling and telling within seconds", async () => {
  if (LIBRARY === undefined)
    throw new Error("faketime is not here. On Debian, as root: apt-get install -y faketime");
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
  const shift = (by: string) => folder.write("clock", `${by}\n`);
  await shift("+0");
  await using daemon = await Daemon.start(path, {
    LD_PRELOAD: LIBRARY,
    FAKETIME_TIMESTAMP_FILE: folder.file("clock"),
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
  });
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
  expect(daemon.log.lines.filter(({ level }) => !["debug", "info"].includes(level))).toEqual([]);
  daemon.kill("SIGTERM");
  expect(await daemon.exited).toEqual({ code: 0, signal: null });
});
