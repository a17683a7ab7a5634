import { expect, test, vi } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { Daemon, Folder } from "../support/daemon.ts";
import { RedisServer } from "../support/redis.ts";
import { watchConfig } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

vi.setConfig({ testTimeout: 90_000 });

test("a store that hangs does not hold a stop up for long, and nothing is lost by it", async () => {
  await using folder = await Folder.create();
  await using redis = await RedisServer.start();
  await using inbox = await Inbox.start();
  await using simulator = await startSimulator({
    projects: [{ keys: [DEMO_KEY], instances: [{ name: "orders" }] }],
  });
  const path = await folder.write(
    "taskwatch.yaml",
    watchConfig(simulator, inbox, {
      store: { url: redis.url },
      server: { listen: "127.0.0.1:0", stop_timeout: "2s" },
    }),
  );
  const fails = () =>
    simulator.control.createTask({ instance: "orders" }, { name: "resize", runs_for: 0, ends: "FAILED" })
      .task;
  const first = await (async () => {
    await using daemon = await Daemon.start(path);
    await expect
      .poll(async () => (await daemon.scrape()).value("dms_instance_up", { instance_name: "orders" }), {
        timeout: 20_000,
      })
      .toBe(1);
    const task = fails();
    // The event is on its way, and its end cannot be written any more.
    inbox.answer = () => {
      redis.signal("SIGSTOP");
      return 204;
    };
    await inbox.event("task.failed", ({ subject }) => subject === task);
    await daemon.log.until("store does not answer");
    expect((await fetch(`${daemon.url}/readyz`)).status).toBe(503);
    const began = performance.now();
    daemon.kill("SIGTERM");
    expect(await daemon.exited).toEqual({ code: 0, signal: null });
    // Compose and Kubernetes, as they are shipped, wait 7 seconds and more beyond stop_timeout.
    expect(performance.now() - began).toBeLessThan(2_000 + 12_000);
    return task;
  })();
  inbox.answer = () => 204;
  redis.signal("SIGCONT");
  const second = fails();
  await using again = await Daemon.start(path);
  await inbox.event("task.failed", ({ subject }) => subject === second);
  await expect
    .poll(async () => (await again.scrape()).value("dms_task_failures_open"), { timeout: 20_000 })
    .toBe(2);
  // Perhaps told once more: what was sent to the store may have reached it or not.
  expect(inbox.letters.filter(({ subject }) => subject === first).length).toBeLessThanOrEqual(2);
  expect(inbox.events.map(({ subject }) => subject)).toEqual([first, second]);
  expect(inbox.bad).toEqual([]);
});
