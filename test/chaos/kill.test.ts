import { expect, test, vi } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import { seededRandom } from "../../src/simulator/random.ts";
import { DEMO_KEY, type Simulator, startSimulator } from "../../src/simulator/server.ts";
import { Daemon, Folder } from "../support/daemon.ts";
import { projectOf, watchConfig, webhookOf } from "../support/watch-config.ts";
import { Inbox } from "../support/webhook-receiver.ts";
import { expectTrueStories, isWhole } from "./scenario.ts";

vi.setConfig({ testTimeout: 240_000 });

const SEED = 20_261_124;
const KILLS = 50;
const CONCURRENCY = 4;
const INSTANCES = 8;
/** Kills later than this after the start find a daemon that only polls. */
const LATEST_MS = 1_800;
const ENDS = ["SUCCESS", "SUCCESS", "FAILED", "CANCELLED", "DELETED", "vanishes"] as const;
const NAMES = ["resize", "restart", "reassign"] as const;

test("killed 50 times while tasks start, fail and finish: all is told, under one id, in order, and nothing else", async () => {
  const random = seededRandom(SEED);
  await using folder = await Folder.create();
  await using inbox = await Inbox.start();
  await using simulator = await startSimulator({
    projects: [
      {
        keys: [DEMO_KEY],
        instances: Array.from({ length: INSTANCES }, (_, n) => ({ name: `queue-${n}` })),
        // Pages, so that a kill also falls between two of them.
        dialect: { max_limit: 20 },
      },
    ],
    log_size: 100_000,
  });
  const config = watchConfig(simulator, inbox, {
    projects: [projectOf(simulator, { requests_per_second: 500 })],
    store: { url: `sqlite:${folder.file("taskwatch.db")}` },
    webhooks: [webhookOf(inbox, { concurrency: CONCURRENCY })],
  });
  const path = await folder.write("taskwatch.yaml", config);

  // Everything from here on is news.
  {
    await using first = await Daemon.start(path);
    await vi.waitFor(
      async () => expect((await first.scrape()).sum("dms_instance_up")).toBe(INSTANCES),
      20_000,
    );
  }
  expect(inbox.letters).toEqual([]);

  const repeats: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    startTasks(simulator, random, 6);
    const seen = new Set(inbox.letters.map(({ id }) => id));
    const from = inbox.letters.length;
    await using daemon = new Daemon(path);
    await moment(random, daemon, inbox);
    daemon.kill("SIGKILL");
    expect(await daemon.exited).toEqual({ code: null, signal: "SIGKILL" });
    const inThisRun = inbox.letters.slice(from).map(({ id }) => id);
    expect(new Set(inThisRun).size, "told twice in one run").toBe(inThisRun.length);
    repeats.push(inThisRun.filter((id) => seen.has(id)).length);
    const sum = repeats.reduce((all, each) => all + each, 0);
    expect(sum, `repeats after ${kill} crashes`).toBeLessThanOrEqual(CONCURRENCY * (kill + 1));
  }
  await using last = await Daemon.start(path);
  await vi.waitFor(() => expect(isWhole(simulator.control, inbox.events)).toBe(true), 30_000);
  last.kill("SIGTERM");
  expect(await last.exited).toEqual({ code: 0, signal: null });

  expect(inbox.bad).toEqual([]);
  const figures = expectTrueStories(simulator.control, inbox.events);
  const all = repeats.reduce((sum, each) => sum + each, 0);
  console.log(
    `seed ${SEED}: ${KILLS} kills, ${figures.tasks} tasks, ${figures.transitions} transitions, ${figures.events} events, ` +
      `${inbox.letters.length} deliveries, ${all} repeated of ${CONCURRENCY * KILLS} allowed, ` +
      `${figures.skipped} statuses between polls not told`,
  );
  // A run in which next to nothing happened would prove nothing.
  expect(figures.events).toBeGreaterThan(KILLS * 5);
});

function startTasks(simulator: Simulator, random: () => number, count: number): void {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  for (let n = 0; n < count; n++) {
    const queued = random() < 0.6 ? Math.floor(random() * 2_000) : 0;
    simulator.control.createTask(
      { instance: `queue-${Math.floor(random() * INSTANCES)}` },
      { name: pick(NAMES), queued_for: queued, runs_for: Math.floor(random() * 5_000), ends: pick(ENDS) },
    );
  }
}

/** Resolves at a random moment: after some time, or just when an event is on its way, or between its answer and what follows. */
async function moment(random: () => number, daemon: Daemon, inbox: Inbox): Promise<void> {
  const time = systemClock.sleep(random() * LATEST_MS);
  if (random() < 0.5) return time;
  const before = inbox.letters.length;
  const nth = 1 + Math.floor(random() * 6);
  const pause = random() < 0.5 ? 0 : random() * 10;
  await Promise.race([
    inbox.until(() => inbox.letters.length >= before + nth),
    systemClock.sleep(LATEST_MS * 2),
    daemon.exited,
  ]);
  if (pause > 0) await systemClock.sleep(pause);
}
