import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { RunningApp } from "../support/running-app.ts";
import { ShiftedClock } from "../support/shifted-clock.ts";
import { projectOf } from "../support/watch-config.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const PER_PROJECT = 600;
const RATE = 15;
const EVERY = 2 * MINUTE;
const ENGINES = ["kafka", "rabbitmq", "rocketmq"] as const;

test("1,200 instances of three engines in two projects are found and polled every minute within the budget", async () => {
  const clock = new ShiftedClock();
  const simulator = await startSimulator({
    clock: () => clock.now(),
    log_size: 100_000,
    projects: ["first", "second"].map((name) => ({ name, keys: [DEMO_KEY] })),
  });
  onTestFinished(() => simulator.close());
  const { control } = simulator;
  for (const project of ["first", "second"]) {
    control.addLoad({ instances: PER_PROJECT, tasks: 2, rate: 0, open: 0, engines: [...ENGINES] }, project);
  }
  const discovering = (n: number) =>
    projectOf(
      simulator,
      { requests_per_second: RATE, instances: [], discover: { every: `${EVERY / SECOND}s` } },
      n,
    );
  const app = await RunningApp.start(
    {
      projects: [discovering(0), discovering(1)],
      // What is in flight while the test moves the clock is not late.
      poll: { timeout: "10m" },
      store: { url: "sqlite::memory:", lease: "10m" },
      server: { listen: "127.0.0.1:0" },
    },
    { clock, level: "info" },
  );
  onTestFinished(() => app.stop());
  const ids = control.projects().map(({ id }) => String(id));
  const calls = (operation: string, project?: string) => control.requests({ operation, project });
  /** Time flies: a fifth of a second in each hundredth. */
  const until = async (holds: () => boolean) => {
    while (!holds()) {
      for (let step = 0; step < 5; step += 1) {
        clock.advance(200);
        await systemClock.sleep(10);
      }
    }
  };
  const later = async (ms: number) => {
    const end = clock.now() + ms;
    await until(() => clock.now() >= end);
  };

  await until(() => new Set(calls("list_tasks").map(({ instance }) => instance)).size === 2 * PER_PROJECT);
  const scrape = await app.scrape();
  expect(scrape.sum("taskwatch_discovered_instances")).toBe(2 * PER_PROJECT);
  // Pages of 50, each with one of the page before, and the one that shows the end.
  const pages = ENGINES.length * (Math.ceil(PER_PROJECT / ENGINES.length / 49) + 1);
  for (const project of ids) expect(calls("list_instances", project).length).toBeLessThanOrEqual(pages);

  // The first polls go as fast as they may; then each instance has its own moment of each minute.
  await later(MINUTE);
  const fresh = control.addInstance({ name: "fresh", engine: "rocketmq" }, "second");
  const added = clock.now();
  const polls = () => calls("list_tasks").length;
  const [before, from] = [polls(), clock.now()];
  await later(EVERY);
  const perHour = (((polls() - before) / (clock.now() - from)) * HOUR) / (2 * PER_PROJECT);
  // Whatever comes is known within one interval, and polled as soon as its turn comes.
  await until(() => control.requests({ instance: fresh }).length > 0 || clock.now() > added + EVERY + MINUTE);
  const [first] = control.requests({ instance: fresh });
  expect((first?.time ?? Number.POSITIVE_INFINITY) - added).toBeLessThan(EVERY + MINUTE);

  // On this fast clock a call may be on its way for seconds; what holds in a second is seen on a real one elsewhere.
  const late = 3 * RATE;
  for (const project of ids) {
    for (const span of [60, 120]) {
      const { count } = control.worstWindow({ project }, span * SECOND);
      expect(count, `in ${span} s`).toBeLessThanOrEqual((span + 1) * RATE + late);
    }
  }
  expect(control.requests().filter(({ status }) => status !== 200)).toEqual([]);
  expect(calls("list_instances").length).toBeLessThanOrEqual(3 * 2 * pages);
  expect((await app.scrape()).sum("taskwatch_poll_failures_total")).toBe(0);
  expect(perHour).toBeGreaterThan(57);
  expect(perHour).toBeLessThan(61);
  const listings = Math.round(calls("list_instances").length / (2 * ENGINES.length * 5));
  const listing = (calls("list_instances").length / listings / (2 * PER_PROJECT)) * (HOUR / (5 * MINUTE));
  console.info(
    `calls per instance and hour: ${perHour.toFixed(1)}, and ${listing.toFixed(2)} of discovery every 5m`,
  );
}, 120_000);
