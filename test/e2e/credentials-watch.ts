import { expect, onTestFinished } from "vitest";
import { DEMO_KEY, type SimulatorOptions, startSimulator } from "../../src/simulator/server.ts";
import { Folder } from "../support/daemon.ts";
import { RunningApp, type RunningAppOptions } from "../support/running-app.ts";
import { ShiftedClock } from "../support/shifted-clock.ts";
import { projectOf, type RawConfig, watchConfig } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const USER = { name: "watcher", password: "pass-word-1", domain: "acme" };
export const OTHER_USER = { name: "second-watcher", password: "pass-word-2", domain: "acme" };
export const BY_PASSWORD = { user: USER.name, password: USER.password, domain: USER.domain };
export const INSTANCES = ["orders", "billing", "payments"];

/** One project that lets in what is given, on a clock that the test moves for cloud and daemon alike. */
export async function cloud(options: Pick<SimulatorOptions, "metadata" | "token_lifetime"> = {}) {
  const clock = new ShiftedClock();
  const simulator = await startSimulator({
    ...options,
    clock: () => clock.now(),
    log_size: 100_000,
    projects: [
      { keys: [DEMO_KEY], users: [USER, OTHER_USER], instances: INSTANCES.map((name) => ({ name })) },
    ],
  });
  onTestFinished(() => simulator.close());
  const inbox = await Inbox.start();
  onTestFinished(() => inbox[Symbol.asyncDispose]());
  const folder = await Folder.create();
  onTestFinished(() => folder[Symbol.asyncDispose]());
  return { clock, simulator, control: simulator.control, inbox, folder };
}

export type Cloud = Awaited<ReturnType<typeof cloud>>;

/** A daemon that polls with these credentials; resolves once all instances have answered. */
export async function watch(of: Cloud, credentials: RawConfig, options: RunningAppOptions = {}) {
  const { clock, simulator, inbox } = of;
  const config = (form: RawConfig) =>
    watchConfig(simulator, inbox, {
      projects: [projectOf(simulator, { credentials: form })],
      // So rarely that only the test's own steps bring polls: none is in flight when the clock moves on.
      poll: { schedule: "0 * * * * *", active_schedule: "off" },
      // A step of the clock that is longer is a takeover.
      store: { url: "sqlite::memory:", lease: "10m" },
    });
  const app = await RunningApp.start(config(credentials), { clock, ...options });
  onTestFinished(() => app.stop());
  clock.advance(MINUTE);
  await all(app);
  return { ...of, app, reload: (form: RawConfig) => app.reload(config(form)) };
}

export type Watch = Awaited<ReturnType<typeof watch>>;

export const all = (app: RunningApp) =>
  expect
    .poll(async () => (await app.scrape()).sum("dms_instance_up"), { timeout: 30_000, interval: 20 })
    .toBe(INSTANCES.length);

/** Every instance is polled anew. */
export async function polled({ app, clock }: Pick<Watch, "app" | "clock">, step = MINUTE): Promise<void> {
  const from = app.log.lines.length;
  clock.advance(step);
  for (const name of INSTANCES) {
    await app.log.until(({ msg, instance_name: of }) => msg === "polled" && of === name, from);
  }
}

/** In steps that keep the shard. */
export async function pass(watched: Watch, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 8 * MINUTE) await polled(watched, Math.min(left, 8 * MINUTE));
}

/** No poll has failed, and the cloud has refused nothing but what is given. */
export async function well({ app, control, inbox }: Watch, refusals = 0): Promise<void> {
  const scrape = await app.scrape();
  expect(scrape.sum("taskwatch_poll_failures_total")).toBe(0);
  expect(scrape.value("taskwatch_credentials_valid", { project: "prod" })).toBe(1);
  expect(scrape.sum("dms_instance_up")).toBe(INSTANCES.length);
  expect(control.requests({ status: 401 })).toHaveLength(refusals);
  expect(inbox.events).toEqual([]);
}
