import { expect, test } from "vitest";
import { RELATIVE_ERROR } from "../../src/core/sketch.ts";
import { polledAgain, sceneOf, shows } from "./scene.ts";

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 86_400 * SECOND;
const RUNS = 10_000;
const QUANTILE = 0.95;
const FACTOR = 2;
const LEARN = { quantile: QUANTILE, factor: FACTOR, floor: "1s", ceiling: "7d" };
const NAME = { task_name: "resize", verdict: "running_too_long" };

/** A fixed sequence of numbers in [0, 1), so that a failure can be seen again. */
function* numbers(seed: number): Generator<number, never> {
  let state = seed;
  for (;;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

/** Log-normal around four minutes, one in a hundred a hundred times as long, at most two days; whole milliseconds. */
function durations(): number[] {
  const random = numbers(42);
  const next = () => random.next().value;
  return Array.from({ length: RUNS }, () => {
    const normal = Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
    return Math.min(2 * DAY, Math.round(240_000 * Math.exp(0.8 * normal) * (next() < 0.01 ? 100 : 1)));
  });
}

test("limits learned from a recorded history of 10,000 runs are within the stated error, judge, and survive", async () => {
  const { clock, command, control, create, inbox, start } = await sceneOf({
    stuck: { running_after: "10d", learn: LEARN },
  });
  const runs = durations();
  const span = 25 * DAY;
  for (const [index, runs_for] of runs.entries()) {
    create({ name: "resize", created_ago: 3 * DAY + Math.floor((index * span) / RUNS), runs_for });
  }
  const ended = control
    .tasks({ instance: "orders" })
    .filter(({ status }) => status === "SUCCESS")
    .map(({ created_at, updated_at }) => Date.parse(String(updated_at)) - Date.parse(String(created_at)))
    .sort((a, b) => a - b);
  expect(ended).toHaveLength(RUNS);
  const exact = ((ended[Math.ceil(QUANTILE * ended.length) - 1] ?? 0) / SECOND) * FACTOR;
  const known = { ...NAME, source: "learned" };
  const first = await start();
  await first.log.until(({ msg, instance_name: of }) => msg === "polled" && of === "orders");
  await first.stop();
  clock.advance(DAY + HOUR);
  const app = await start();
  await expect
    .poll(async () => (await app.scrape()).value("dms_task_stuck_threshold_seconds", known), {
      timeout: 30_000,
    })
    .toBeGreaterThan(0);
  const learned = (await app.scrape()).value("dms_task_stuck_threshold_seconds", known) ?? 0;
  expect(Math.abs(learned / exact - 1)).toBeLessThanOrEqual(RELATIVE_ERROR);
  expect((await app.scrape()).series("dms_task_stuck_threshold_seconds", NAME)).toHaveLength(1);

  const ago = (share: number) => Math.round(learned * share * SECOND);
  const within = create({ name: "resize", created_ago: ago(0.9), runs_for: "forever" });
  const beyond = create({ name: "resize", created_ago: ago(1.1), runs_for: "forever" });
  const stuck = await inbox.event("task.stuck", ({ data }) => data.task?.id === beyond);
  expect(stuck.data).toMatchObject({
    verdict: "running_too_long",
    threshold: { seconds: learned, source: "learned" },
  });
  // Of many that ended within one hour not all count.
  const samples = stuck.data.threshold?.samples ?? 0;
  expect(samples).toBeLessThanOrEqual(ended.length);
  expect(samples).toBeGreaterThan(ended.length * 0.99);
  expect(inbox.ofTask(within).map(({ type }) => type)).toEqual(["task.started"]);
  const explained = JSON.parse((await command("explain", beyond, "--json")).stdout).tasks[0];
  expect(explained).toMatchObject({ limit: { seconds: learned, source: "learned", samples } });
  expect((await command("explain", beyond)).stdout).toMatch(
    new RegExp(`^stuck .*\\(learned from earlier runs, ${samples} of them\\)$`, "m"),
  );
  await app.stop();

  const again = await start();
  await shows(again, "dms_task_stuck_threshold_seconds", known, learned);
}, 90_000);

test("by_task comes before what was learned, an instance may learn otherwise, and learning can be off", async () => {
  const { clock, config, create, inbox, start } = await sceneOf({ stuck: { by_task: { named: "1d" } } });
  for (let index = 0; index < 40; index += 1) {
    for (const name of ["named", "usual"]) {
      for (const instance of ["orders", "billing"]) {
        create({ name, created_ago: (index + 2) * 3_600_000, runs_for: "10s" }, instance);
      }
    }
  }
  const [project] = config.projects as { instances: Record<string, unknown>[] }[];
  const instances = project?.instances.map((each) =>
    each.name === "billing" ? { ...each, stuck: { learn: { min_samples: 1000 } } } : each,
  );
  const first = await start({ projects: [{ ...project, instances }] });
  await polledAgain(first);
  await first.stop();
  clock.advance(DAY + HOUR);
  const app = await start({ projects: [{ ...project, instances }] });
  const threshold = "dms_task_stuck_threshold_seconds";
  await shows(app, threshold, { task_name: "usual", verdict: "running_too_long", source: "learned" }, 1_800);
  await shows(app, threshold, { task_name: "named", verdict: "running_too_long", source: "by_task" }, 86_400);
  const hangs = { created_ago: "40m", runs_for: "forever" } as const;
  const [usual, named] = [create({ ...hangs, name: "usual" }), create({ ...hangs, name: "named" })];
  const elsewhere = create({ ...hangs, name: "usual" }, "billing");
  const stuck = await inbox.event("task.stuck");
  expect(stuck.data).toMatchObject({ task: { id: usual }, threshold: { source: "learned", samples: 80 } });
  await inbox.event("task.started", ({ data }) => data.task?.id === named);
  await inbox.event("task.started", ({ data }) => data.task?.id === elsewhere);
  expect(inbox.ofType("task.stuck").map(({ data }) => data.task?.id)).toEqual([usual]);

  await app.reload({ ...config, stuck: { learn: { enabled: false } } });
  const off = await inbox.event("task.recovered");
  expect(off.data).toMatchObject({ task: { id: usual }, resolution: "moved_on" });
  await shows(
    app,
    threshold,
    { task_name: "usual", verdict: "running_too_long", source: "running_after" },
    3_600,
  );
});

test("a new installation does not page by what it learned from its first poll, and does a day later", async () => {
  const { clock, command, create, inbox, start } = await sceneOf();
  for (let index = 0; index < 40; index += 1) {
    create({ name: "usual", created_ago: 2 * HOUR + index * HOUR, runs_for: "10s" });
  }
  const hangs = create({ name: "usual", created_ago: "40m", runs_for: "forever" });
  const app = await start();
  await inbox.event("task.started", ({ data }) => data.task?.id === hangs);
  await polledAgain(app);
  const running = { task_name: "usual", verdict: "running_too_long" };
  const threshold = "dms_task_stuck_threshold_seconds";
  await shows(app, threshold, { ...running, source: "running_after" }, 3_600);
  expect((await app.scrape()).series(threshold, running)).toHaveLength(1);
  expect((await app.scrape()).series("dms_tasks_stuck", {})).toHaveLength(0);
  expect(inbox.ofType("task.stuck")).toEqual([]);
  expect((await command("explain", hangs)).stdout).toMatch(
    /^not stuck: .*limit of 1h .*\n+a limit of 30m was learned from 40 runs; it counts from /m,
  );
  await app.stop();

  clock.advance(DAY);
  const later = create({ name: "usual", created_ago: "40m", runs_for: "forever" });
  await start();
  const stuck = await inbox.event("task.stuck", ({ data }) => data.task?.id === later);
  expect(stuck.data).toMatchObject({ threshold: { seconds: 1_800, source: "learned", samples: 40 } });
}, 30_000);
