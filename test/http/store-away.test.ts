import { expect, test, vi } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { ask } from "../support/api-client.ts";
import { EventSource } from "../support/event-source.ts";
import { RedisServer } from "../support/redis.ts";
import { RunningApp } from "../support/running-app.ts";
import { watchConfig } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

test("on Redis every replica shows the whole; while Redis is away they say so, and go on when it is back", {
  timeout: 90_000,
}, async () => {
  await using simulator = await startSimulator({
    projects: [{ keys: [DEMO_KEY], instances: [{ name: "orders" }, { name: "billing" }] }],
    steps: ["orders", "billing"].map((instance) => ({
      instance,
      task: { id: `zombie of ${instance}`, name: "resize", created_ago: "3h", runs_for: "forever" },
    })),
  });
  await using inbox = await Inbox.start();
  await using redis = await RedisServer.start();
  const config = watchConfig(simulator, inbox, { store: { url: redis.url, lease: "3s" } });
  await using first = await RunningApp.start(config);
  await using second = await RunningApp.start(config);
  const replicas = [first, second];
  await inbox.until(() => inbox.ofType("task.stuck").length === 2);

  const pageOf = async ({ url }: RunningApp) => {
    const answer = await fetch(`${url}/`);
    return { status: answer.status, text: (await answer.text()).replace(/<[^>]*>/g, " ") };
  };
  for (const replica of replicas) {
    const { status, text } = await pageOf(replica);
    expect(status).toBe(200);
    expect(text).toMatch(/Stuck \(2\)/);
    expect(text).toMatch(/resize .*orders[\s\S]*resize .*billing|resize .*billing[\s\S]*resize .*orders/);
    // The first one hears of the second when it renews its leases.
    await vi.waitFor(async () => expect((await pageOf(replica)).text).toMatch(/Replicas\s+2:/), {
      timeout: 30_000,
      interval: 200,
    });
  }

  const source = await EventSource.open(`${first.url}/api/v1/events/stream`);
  await redis.kill();
  for (const replica of replicas) {
    await vi.waitFor(
      async () => {
        const tasks = await ask(replica.url, "/api/v1/tasks");
        expect([tasks.status, tasks.headers.get("retry-after")]).toEqual([503, "5"]);
        const { status, body } = await ask(replica.url, "/api/v1/status");
        expect([status, body.ready, body.store.up, body.tasks]).toEqual([200, false, false, null]);
        const page = await pageOf(replica);
        expect(page.status).toBe(503);
        expect(page.text).toMatch(/This replica is not ready:\s+the store does not answer/);
      },
      { timeout: 30_000, interval: 200 },
    );
  }

  await redis.start();
  for (const replica of replicas) {
    await vi.waitFor(async () => expect((await pageOf(replica)).text).toMatch(/Stuck \(2\)/), {
      timeout: 30_000,
      interval: 200,
    });
  }
  // It came back empty: what hangs is found anew, and the stream that was open tells it.
  await source.until(() => source.events.filter(({ data }) => data.type === "task.stuck").length === 2);
  expect(source.ended).toBe(false);
  await source[Symbol.asyncDispose]();
});
