import { expect, onTestFinished, test, vi } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { RedisServer } from "../support/redis.ts";
import { RunningApp } from "../support/running-app.ts";
import { ShiftedClock } from "../support/shifted-clock.ts";
import { projectOf, watchConfig } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

vi.setConfig({ testTimeout: 90_000 });

const MINUTE = 60_000;
const INSTANCES = 8;
/** Of one replica; over both they stay below the five failures after which the cloud locks a key. */
const IN_FLIGHT = 2;
const SHARING = ["prod", "prod-1"];

/** Two replicas on one Redis that poll two projects with one key. */
async function scene() {
  const clock = new ShiftedClock();
  const redis = await RedisServer.start();
  onTestFinished(() => redis[Symbol.asyncDispose]());
  const inbox = await Inbox.start();
  onTestFinished(() => inbox[Symbol.asyncDispose]());
  const named = (prefix: string) => Array.from({ length: INSTANCES }, (_, n) => ({ name: `${prefix}-${n}` }));
  const simulator = await startSimulator({
    clock: () => clock.now(),
    projects: [
      { name: "first", keys: [DEMO_KEY], instances: named("first") },
      { name: "second", keys: [DEMO_KEY], instances: named("second") },
    ],
  });
  onTestFinished(() => simulator.close());
  const config = watchConfig(simulator, inbox, {
    projects: [projectOf(simulator), projectOf(simulator, {}, 1)],
    poll: { schedule: "* * * * * *", active_schedule: "off", concurrency: IN_FLIGHT },
    // The steps of the clock are shorter.
    store: { url: `redis://127.0.0.1:${redis.port}`, lease: "10m" },
  });
  const start = async () => {
    const app = await RunningApp.start(config, { clock });
    onTestFinished(() => app.stop());
    return app;
  };
  const { control } = simulator;
  const refusals = () => control.requests({ status: 401 }).map(({ time }) => time);
  return { clock, control, inbox, start, refusals };
}

const up = (apps: readonly RunningApp[], value: number) =>
  expect
    .poll(
      async () => {
        const scrapes = await Promise.all(apps.map((app) => app.scrape()));
        return scrapes.map((scrape) => scrape.sum("dms_instance_up")).reduce((sum, each) => sum + each, 0);
      },
      { timeout: 40_000 },
    )
    .toBe(value);

const valid = async (apps: readonly RunningApp[]) => {
  const scrapes = await Promise.all(apps.map((app) => app.scrape()));
  return scrapes.map((scrape) => scrape.sum("taskwatch_credentials_valid"));
};

test("over two replicas a refused key is tried by one call in five minutes, also by one that starts", async () => {
  const { clock, control, inbox, start, refusals } = await scene();
  const [one, other] = [await start(), await start()];
  await up([one, other], 2 * INSTANCES);
  // Both have their share of the instances.
  await expect.poll(async () => (await one.scrape()).sum("taskwatch_shards_owned")).toBe(8);
  await up([one, other], 2 * INSTANCES);

  control.revokeKey(DEMO_KEY.access_key);
  await expect.poll(() => valid([one, other]), { timeout: 20_000 }).toEqual([0, 0]);
  await inbox.until(() => inbox.ofType("project.unreachable").length === SHARING.length);
  const inFlight = refusals().length;
  expect(inFlight).toBeLessThanOrEqual(2 * IN_FLIGHT);
  expect(control.keys()).toMatchObject([{ locked_until: null }]);

  // One that starts knows it from the store.
  const third = await start();
  await expect.poll(() => valid([third]), { timeout: 20_000 }).toEqual([0]);
  clock.advance(4 * MINUTE);
  await third.log.until(({ msg }) => msg === "credentials refused: all calls that use them are stopped");
  expect(refusals()).toHaveLength(inFlight);

  /** Time flies, a minute at a time, which leaves every call the time to be answered. */
  const fly = (holds: () => unknown) =>
    expect
      .poll(() => (holds() ? true : clock.advance(MINUTE)), { timeout: 40_000, interval: 250 })
      .toBe(true);
  await fly(() => refusals().length >= inFlight + 3);
  const gaps = refusals()
    .slice(inFlight - 1)
    .map((time, index, times) => time - (times[index - 1] ?? Number.NEGATIVE_INFINITY));
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(5 * MINUTE);

  const tried = refusals().length;
  control.addKey(DEMO_KEY, ["first", "second"]);
  await fly(() => inbox.ofType("project.reachable").length === SHARING.length);
  await up([one, other, third], 2 * INSTANCES);
  await expect.poll(() => valid([one, other, third]), { timeout: 20_000 }).toEqual([2, 2, 2]);
  expect(refusals()).toHaveLength(tried);
});
