import { expect, onTestFinished, test, vi } from "vitest";
import { RedisServer } from "../support/redis.ts";
import type { RunningApp } from "../support/running-app.ts";
import type { RawConfig } from "../support/watch-config.ts";
import { polledAgain, sceneOf, shows } from "./scene.ts";

vi.setConfig({ testTimeout: 60_000 });

const MINUTE = 60_000;
const LEFT_OUT = "instances left out of the configuration";
const FAILURES = "dms_task_failures_open";

/** An instance with an open failure, on a file or on Redis, and the configuration without it. */
async function scene(kind: string) {
  const redis = kind === "redis" ? await RedisServer.start() : null;
  if (redis) onTestFinished(() => redis[Symbol.asyncDispose]());
  // A step of the clock that is longer is a takeover.
  const store = redis ? { store: { url: `redis://127.0.0.1:${redis.port}`, lease: "10m" } } : {};
  const made = await sceneOf(store);
  const { clock, config, inbox, create, start, control } = made;
  const [project] = config.projects as { readonly instances: readonly (RawConfig & { id: string })[] }[];
  const [orders, billing] = project!.instances;
  const app = await start();
  await polledAgain(app);
  const failed = create({ name: "resize", runs_for: 0, ends: "FAILED" });
  await inbox.event("task.failed", ({ data }) => data.task?.id === failed);
  return {
    ...made,
    app,
    without: { ...config, projects: [{ ...project, instances: [billing] }] },
    calls: () => control.requests({ instance: orders!.id }).length,
    ends: () => inbox.ofType("task.recovered", "instance.removed").map(({ type }) => type),
    open: { instance_id: orders!.id, task_name: "resize" },
    /** In steps that keep the shards. */
    async pass(running: RunningApp, minutes: number) {
      for (let minute = 0; minute < minutes; minute++) {
        clock.advance(MINUTE);
        await polledAgain(running, ["billing"]);
      }
    },
  };
}

test.each(["sqlite", "redis"])(
  "an instance that a slip left out of the file and that is put back has lost nothing: %s",
  async (kind) => {
    const { app, without, config, calls, ends, open, pass, inbox } = await scene(kind);
    await app.reload(without);
    await app.log.until(LEFT_OUT);
    const before = calls();
    await pass(app, 4);
    // It is not polled, its state and its series stay, and nothing says that its polls are late.
    expect(calls()).toBe(before);
    expect((await app.scrape()).value(FAILURES, open)).toBe(1);
    expect((await app.scrape()).value("dms_instance_up", open)).toBeUndefined();
    await app.reload(config);
    await polledAgain(app, ["orders"]);
    await shows(app, FAILURES, open, 1);
    // The grace of a later slip begins anew.
    await app.reload(without);
    await app.log.until(LEFT_OUT, app.log.lines.length);
    await pass(app, 9);
    expect(ends()).toEqual([]);
    await pass(app, 2);
    // The task and its instance have lanes of their own: either end may arrive first.
    await Promise.all([inbox.event("task.recovered"), inbox.event("instance.removed")]);
    expect(ends().toSorted()).toEqual(["instance.removed", "task.recovered"]);
  },
);

test.each(["sqlite", "redis"])(
  "a restart without the instance neither ends its grace nor begins it anew: %s",
  async (kind) => {
    const { app, without, ends, open, pass, start, inbox, clock } = await scene(kind);
    await app.reload(without);
    await app.log.until(LEFT_OUT);
    await pass(app, 6);
    await app.stop();
    // Longer than the grace, with nobody there to notice.
    clock.advance(20 * MINUTE);
    const second = await start(without);
    await polledAgain(second, ["billing"]);
    await shows(second, FAILURES, open, 1);
    expect(ends()).toEqual([]);
    await pass(second, 2);
    // The task and its instance have lanes of their own: either end may arrive first.
    await Promise.all([inbox.event("task.recovered"), inbox.event("instance.removed")]);
    expect(ends().toSorted()).toEqual(["instance.removed", "task.recovered"]);
  },
);

test("an instance that is missing at a start and then put back has lost nothing", async () => {
  const { app, without, config, ends, open, pass, start } = await scene("sqlite");
  await app.stop();
  const second = await start(without);
  await second.log.until(LEFT_OUT);
  await pass(second, 8);
  await second.stop();
  const third = await start(config);
  await polledAgain(third);
  await shows(third, FAILURES, open, 1);
  expect(ends()).toEqual([]);
});
