import { expect, test, vi } from "vitest";
import { DEMO_KEY, startSimulator } from "../../src/simulator/server.ts";
import { Folder } from "../support/daemon.ts";
import { RunningApp } from "../support/running-app.ts";
import { ShiftedClock } from "../support/shifted-clock.ts";
import { projectOf, type RawConfig, watchConfig } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";

vi.setConfig({ testTimeout: 120_000 });

const MINUTE = 60_000;
const GOOD = { access_key: "ANOTHERACCESSKEY0000", secret_key: "another secret key of the simulator" };
const NEW = { access_key: "ROTATEDACCESSKEY0000", secret_key: "a rotated secret key of the simulator" };
const INSTANCES = 6;
const IN_FLIGHT = 4;
const SHARING = ["prod", "prod-1"];

/** Two projects on one key, and a third on a key of its own whose polls tell that time goes on. */
async function scene() {
  const stack = new AsyncDisposableStack();
  const clock = new ShiftedClock(4);
  const folder = stack.use(await Folder.create());
  const inbox = stack.use(await Inbox.start());
  const named = (prefix: string) => Array.from({ length: INSTANCES }, (_, n) => ({ name: `${prefix}-${n}` }));
  const simulator = stack.use(
    await startSimulator({
      clock: () => clock.now(),
      projects: [
        { name: "first", keys: [DEMO_KEY], instances: named("first") },
        { name: "second", keys: [DEMO_KEY], instances: named("second") },
        { name: "well", keys: [GOOD], instances: [{ name: "pulse" }] },
      ],
    }),
  );
  const config = (credentials: RawConfig = DEMO_KEY) =>
    watchConfig(simulator, inbox, {
      projects: [
        projectOf(simulator, { credentials }),
        projectOf(simulator, { credentials }, 1),
        projectOf(simulator, { credentials: GOOD, name: "well" }, 2),
      ],
      // No more calls can be in flight when the first one is refused.
      poll: { schedule: "* * * * * *", active_schedule: "off", concurrency: IN_FLIGHT },
      store: { url: `sqlite:${folder.file("taskwatch.db")}`, lease: "10m" },
    });
  const calls = (key = DEMO_KEY.access_key) => simulator.control.requests({ key }).length;
  const start = () => RunningApp.start(config(), { clock });
  /** An interval goes by, in which every due poll would have started. */
  const ticks = async ({ log }: RunningApp) => {
    for (let n = 0; n < 2; n++) {
      const from = log.lines.length;
      // Past the daemon's patience for its own tick, so that it is done at once.
      clock.advance(3_000);
      await log.until((line) => line.msg === "polled" && line.instance_name === "pulse", from);
    }
  };
  const valid = async (app: RunningApp) => {
    const scrape = await app.scrape();
    return SHARING.map((project) => scrape.value("taskwatch_credentials_valid", { project }));
  };
  const { control } = simulator;
  return {
    clock,
    inbox,
    control,
    config,
    calls,
    start,
    ticks,
    valid,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

type Scene = Awaited<ReturnType<typeof scene>>;

const up = (app: RunningApp, value: number) =>
  expect.poll(async () => (await app.scrape()).sum("dms_instance_up"), { timeout: 40_000 }).toBe(value);

/** The key is refused while everything polls; returns the calls made with it so far. */
async function refuse({ control, calls, ticks }: Scene, app: RunningApp): Promise<number> {
  control.revokeKey(DEMO_KEY.access_key);
  await app.log.until((line) => line.msg.startsWith("credentials refused"));
  await ticks(app);
  const made = calls();
  await ticks(app);
  // Those in flight may have been refused too, no more; so few that the cloud does not lock the key.
  expect(calls()).toBe(made);
  expect(control.requests({ status: 401 }).length).toBeLessThanOrEqual(IN_FLIGHT);
  expect(control.keys().map(({ locked_until }) => locked_until)).toEqual([null, null]);
  return made;
}

test("refused credentials stop every project that uses them, and one of them tries again in five minutes, through a restart", async () => {
  await using all = await scene();
  const { clock, inbox, control, calls, start, ticks, valid } = all;
  let made: number;
  {
    await using app = await start();
    await up(app, 2 * INSTANCES + 1);
    expect(await valid(app)).toEqual([1, 1]);
    made = await refuse(all, app);
    expect(await valid(app)).toEqual([0, 0]);
    await inbox.until(() => inbox.ofType("project.unreachable").length === 2);
    expect((await app.scrape()).sum("dms_instance_up")).toBe(1);

    clock.advance(4 * MINUTE);
    await ticks(app);
    expect(calls()).toBe(made);
    clock.advance(1 * MINUTE);
    await vi.waitFor(() => expect(calls()).toBe(made + 1), 20_000);
    await ticks(app);
    expect(calls()).toBe(made + 1);
  }
  await using app = await start();
  await ticks(app);
  expect(calls()).toBe(made + 1);
  expect(await valid(app)).toEqual([0, 0]);
  for (let tries = 2; tries < 4; tries++) {
    clock.advance(5 * MINUTE);
    await vi.waitFor(() => expect(calls()).toBe(made + tries), 20_000);
    await ticks(app);
    expect(calls()).toBe(made + tries);
  }
  expect(inbox.events.map(({ type, data }) => [type, data.cause])).toEqual([
    ["project.unreachable", "credentials_rejected"],
    ["project.unreachable", "credentials_rejected"],
  ]);
  expect(
    app.log.lines.filter((line) => line.msg.startsWith("credentials refused")).length,
  ).toBeLessThanOrEqual(2);

  const refusals = control.requests({ status: 401 }).map(({ time }) => time);
  const later = refusals.slice(-3);
  const before = refusals.at(-4) ?? 0;
  expect(before - (refusals[0] ?? 0)).toBeLessThan(MINUTE);
  for (const [index, time] of later.entries()) {
    expect(time - (later[index - 1] ?? before)).toBeGreaterThanOrEqual(5 * MINUTE);
  }

  // The key is good again: the one trial finds it, and all go on.
  control.addKey(DEMO_KEY, ["first", "second"]);
  clock.advance(5 * MINUTE);
  await up(app, 2 * INSTANCES + 1);
  expect(await valid(app)).toEqual([1, 1]);
  await inbox.until(() => inbox.ofType("project.reachable").length === 2);
  expect(inbox.events).toHaveLength(4);
});

test("changed credentials are tried at once", async () => {
  await using all = await scene();
  const { inbox, control, config, calls, start, valid } = all;
  await using app = await start();
  await up(app, 2 * INSTANCES + 1);
  const made = await refuse(all, app);
  control.addKey(NEW, ["first", "second"]);
  expect(await app.reload(config(NEW))).toEqual({ ok: true });
  await up(app, 2 * INSTANCES + 1);
  expect(await valid(app)).toEqual([1, 1]);
  await inbox.until(() => inbox.ofType("project.reachable").length === 2);
  expect(calls()).toBe(made);
});

test("credentials that were never accepted are tried by one call, however many instances are due", async () => {
  await using all = await scene();
  const { control, calls, start, ticks, valid } = all;
  control.revokeKey(DEMO_KEY.access_key);
  await using app = await start();
  await app.log.until((line) => line.msg.startsWith("credentials refused"));
  await ticks(app);
  expect(calls()).toBe(1);
  expect(await valid(app)).toEqual([0, 0]);
});

test("a throttled, forbidden or broken answer says nothing of the credentials", async () => {
  await using all = await scene();
  const { inbox, control, start, ticks, valid } = all;
  await using app = await start();
  await up(app, 2 * INSTANCES + 1);
  control.addFault({ kind: "error", status: 403, code: "DMS.10240306", instance: "first-1" });
  control.addFault({ kind: "throttled", instance: "first-2" });
  control.addFault({ kind: "error", status: 500, instance: "first-3" });
  control.addFault({ kind: "reset", instance: "first-4" });
  await up(app, 2 * INSTANCES + 1 - 4);
  await ticks(app);
  expect(await valid(app)).toEqual([1, 1]);
  expect(inbox.ofType("project.unreachable")).toEqual([]);
});
