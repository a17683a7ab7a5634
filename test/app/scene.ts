import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { EVENT_TYPES } from "../../src/core/event.ts";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import type { NewTask } from "../../src/simulator/tasks.ts";
import { runInProcess } from "../support/cli.ts";
import { RunningApp } from "../support/running-app.ts";
import { ShiftedClock } from "../support/shifted-clock.ts";
import { projectOf, type RawConfig, watchConfig } from "../support/watch-config.ts";
import { Letters } from "./letters.ts";

/**
 * A simulated project with a kafka and a rabbitmq instance, on a clock that the test moves for cloud and daemon alike.
 * The clock is faster than real time, so that a poll every second costs the test little; `pace` 1 is for a test with
 * another program that has a clock of its own.
 */
export async function sceneOf(overrides: RawConfig = {}, project: RawConfig = {}, pace = 4) {
  const clock = new ShiftedClock(pace);
  const simulator = await startSimulator({
    clock: () => clock.now(),
    log_size: 100_000,
    projects: [
      {
        keys: [DEMO_KEY],
        instances: [{ name: "orders" }, { name: "billing", engine: "rabbitmq" }],
      },
    ],
  });
  onTestFinished(() => simulator.close());
  const inbox = await Letters.start();
  onTestFinished(() => inbox[Symbol.asyncDispose]());
  const folder = mkdtempSync(join(tmpdir(), "taskwatch-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const config = watchConfig(simulator, null, {
    webhooks: [{ name: "ops", url: inbox.url, events: EVENT_TYPES.filter((type) => type !== "test") }],
    projects: [projectOf(simulator, project)],
    // A step of the clock that is longer is a takeover.
    store: { url: `sqlite:${join(folder, "t.db")}`, lease: "10m" },
    ...overrides,
  });
  const { control } = simulator;
  return {
    clock,
    control,
    inbox,
    config,
    create: (task: NewTask, instance = "orders") => control.createTask({ instance }, task).task,
    calls: (operation: string) => control.requests({ operation }).length,
    /** A command on the daemon's store, beside it. */
    command(...args: readonly string[]) {
      const path = join(folder, "taskwatch.yaml");
      writeFileSync(path, JSON.stringify(config));
      return runInProcess(...args, "--config", path);
    },
    async start(changes: RawConfig = {}): Promise<RunningApp> {
      const app = await RunningApp.start({ ...config, ...changes }, { clock });
      onTestFinished(() => app.stop());
      return app;
    },
  };
}

export type Scene = Awaited<ReturnType<typeof sceneOf>>;

/** The value of the one series, once it is this. */
export const shows = (
  app: RunningApp,
  name: string,
  labels: Record<string, string>,
  value: number | undefined,
) => expect.poll(async () => (await app.scrape()).value(name, labels), { timeout: 20_000 }).toBe(value);

/** Resolves once each instance was polled anew, and completely. */
export async function polledAgain(app: RunningApp, instances = ["orders", "billing"]): Promise<void> {
  const from = app.log.lines.length;
  for (const name of instances) {
    await app.log.until(({ msg, instance_name: of }) => msg === "polled" && of === name, from);
  }
}
