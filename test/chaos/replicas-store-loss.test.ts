import { expect, test, vi } from "vitest";
import { DEMO_KEY } from "../../src/simulator/server.ts";
import { House, type Replica } from "../support/replicas.ts";

vi.setConfig({ testTimeout: 120_000 });

const INSTANCES = 20;
const LOUDLY = "the store has lost what it had acknowledged; what it does not know is watched anew";

const up = async (replicas: readonly Replica[]): Promise<number> => {
  const scrapes = await Promise.all(replicas.map(({ daemon }) => daemon.scrape()));
  return scrapes.reduce((sum, scrape) => sum + scrape.sum("dms_instance_up"), 0);
};

test("a Redis that comes back empty is said loudly; all is watched on, and what is open is told again under its id", async () => {
  await using house = await House.open({
    simulator: {
      projects: [
        {
          keys: [DEMO_KEY],
          instances: Array.from({ length: INSTANCES }, (_, n) => ({ name: `queue-${n}` })),
        },
      ],
    },
    project: { discover: { every: "2s" } },
    named: 5,
    lease: "2s",
  });
  const { inbox, redis, simulator } = house;
  const replicas = await house.start(2);
  await vi.waitFor(async () => expect(await up(replicas)).toBe(INSTANCES), {
    timeout: 30_000,
    interval: 200,
  });
  const create = (name: string, ends: "FAILED" | "SUCCESS", runs_for: string) =>
    simulator.control.createTask({ instance: "queue-7" }, { name, ends, runs_for }).task;
  const failed = create("resize", "FAILED", "1s");
  const open = create("restart", "SUCCESS", "1h");
  await inbox.event("task.failed", ({ data }) => data.task?.id === failed);
  const before = await inbox.event("task.started", ({ data }) => data.task?.id === open);
  const letters = inbox.letters.length;

  await redis.kill();
  await redis.start();
  await Promise.any(replicas.map(({ daemon }) => daemon.log.until(LOUDLY)));
  await inbox.until(() => inbox.letters.slice(letters).some(({ id }) => id === before.id));
  const later = simulator.control.createTask(
    { instance: "queue-7" },
    { name: "later", ends: "FAILED", runs_for: "1s" },
  ).task;
  await inbox.event("task.failed", ({ data }) => data.task?.id === later);
  await vi.waitFor(async () => expect(await up(replicas)).toBe(INSTANCES), {
    timeout: 30_000,
    interval: 200,
  });
  // What had ended is the baseline of the new beginning.
  expect(
    inbox.letters.filter(({ data }) => data.task?.id === failed && data.task.status === "FAILED"),
  ).toHaveLength(1);
  for (const { daemon } of replicas) {
    expect((await fetch(`${daemon.url}/readyz`)).status).toBe(200);
    expect(daemon.log.of(LOUDLY).length).toBeLessThanOrEqual(3);
  }
});
