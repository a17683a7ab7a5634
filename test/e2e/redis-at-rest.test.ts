import { expect, onTestFinished, test, vi } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { RedisServer } from "../support/redis.ts";
import { RunningApp } from "../support/running-app.ts";
import { projectOf, watchConfig } from "../support/watch-config.ts";

vi.setConfig({ testTimeout: 60_000 });

const INSTANCES = 200;
const POLLS = 1_000;

test("idle polls ask Redis for next to nothing: tokens and the state of the key come for many of them at once", async () => {
  const simulator = await startSimulator({ projects: [{ keys: [DEMO_KEY] }], log_size: 100_000 });
  onTestFinished(() => simulator.close());
  simulator.control.addLoad({ instances: INSTANCES, tasks: 1, rate: 0, open: 0 });
  const redis = await RedisServer.start();
  onTestFinished(() => redis[Symbol.asyncDispose]());
  const app = await RunningApp.start(
    watchConfig(simulator, null, {
      projects: [projectOf(simulator, { requests_per_second: 2 * INSTANCES })],
      store: { url: `redis://127.0.0.1:${redis.port}` },
    }),
    { level: "info" },
  );
  onTestFinished(() => app.stop());
  const client = redis.client();
  onTestFinished(() => client.disconnect());
  const commands = async () => {
    const stats = await client.info("commandstats");
    const of = (name: string) => Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
    return { takes: of("evalsha"), notes: of("hget") };
  };
  const polls = async () => (await app.scrape()).value("taskwatch_polls_total", { project: "prod" }) ?? 0;
  const reaches = (count: number) =>
    expect.poll(polls, { timeout: 30_000, interval: 200 }).toBeGreaterThanOrEqual(count);
  // Baselines are written, and the demand is known.
  await reaches(3 * INSTANCES);
  const [from, before] = [await polls(), await commands()];
  await reaches(from + POLLS);
  const [to, after] = [await polls(), await commands()];
  const perPoll = (name: "takes" | "notes") => (after[name] - before[name]) / (to - from);
  console.info(
    `per idle poll: ${perPoll("takes").toFixed(2)} scripts, ${perPoll("notes").toFixed(2)} reads of notes`,
  );
  expect(perPoll("takes")).toBeLessThan(0.5);
  expect(perPoll("notes")).toBeLessThan(0.5);
});
