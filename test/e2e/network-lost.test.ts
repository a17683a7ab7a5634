import { expect, test, vi } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { passUntil } from "../support/pass-until.ts";
import { TcpProxy } from "../support/proxy.ts";
import { RunningApp } from "../support/running-app.ts";
import { ShiftedClock } from "../support/shifted-clock.ts";
import { projectOf, watchConfig } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

vi.setConfig({ testTimeout: 120_000 });

const MINUTE = 60_000;

test("a network that resets, swallows and cuts everything costs two events, and nothing that is open vanishes", async () => {
  const clock = new ShiftedClock(4);
  const count = 6;
  await using simulator = await startSimulator({
    clock: () => clock.now(),
    projects: [
      {
        keys: [DEMO_KEY],
        // Pages, so that a reset also falls between two of them.
        dialect: { max_limit: 5 },
        instances: Array.from({ length: count }, (_, n) => ({ name: `prod-${n}` })),
      },
    ],
  });
  await using network = await TcpProxy.start(Number(new URL(simulator.url).port));
  await using inbox = await Inbox.start();
  const open = Array.from(
    { length: count * 7 },
    (_, n) =>
      simulator.control.createTask({ instance: `prod-${n % count}` }, { name: "resize", runs_for: "forever" })
        .task,
  );
  const endpoint = `http://127.0.0.1:${network.port}`;
  await using app = await RunningApp.start(
    watchConfig(simulator, inbox, {
      projects: [projectOf(simulator, { endpoint })],
      poll: { schedule: "* * * * * *", active_schedule: "off", timeout: "2m" },
      stuck: { running_after: "30d" },
      store: { url: "sqlite::memory:", lease: "10m" },
    }),
    { clock },
  );
  await inbox.until(() => inbox.ofType("task.started").length === open.length);
  // Cut off in the middle of what they do, but not for long: that is no news.
  for (let reset = 0; reset < 5; reset++) {
    await app.log.until(({ msg }) => msg === "polled" || msg === "poll failed", app.log.lines.length);
    network.reset();
  }
  const loud = () => app.log.lines.filter(({ level }) => level !== "debug");
  for (const [trouble, cause] of [
    [() => network.cut(), "endpoint_unreachable"],
    [() => network.blackHole(), "timeout"],
  ] as const) {
    const before = loud().length;
    const events = inbox.events.length;
    trouble();
    await passUntil(clock, () =>
      inbox.ofType("project.unreachable").some(({ data }) => data.cause === cause),
    );
    // It lasts, and is not told again.
    const until = clock.now() + 15 * MINUTE;
    while (clock.now() < until) {
      const failed = app.log.of("poll failed").length;
      await passUntil(clock, () => app.log.of("poll failed").length > failed, 3 * MINUTE);
    }
    expect(
      loud()
        .slice(before)
        .map(({ msg }) => msg),
    ).toEqual(["project unreachable"]);
    network.restore();
    await passUntil(
      clock,
      () => inbox.ofType("project.reachable").length === inbox.ofType("project.unreachable").length,
    );
    await passUntil(clock, async () => (await app.scrape()).sum("dms_instance_up") === count);
    expect(inbox.events.slice(events).map(({ type }) => type)).toEqual([
      "project.unreachable",
      "project.reachable",
    ]);
  }
  expect((await app.scrape()).sum("dms_tasks_open")).toBe(open.length);
  expect(inbox.events).toHaveLength(open.length + 4);
});
