import { afterEach, expect, test } from "vitest";
import { Gates } from "../../src/app/gates.ts";
import type { Listing, Window } from "../../src/core/task.ts";
import { CloudError } from "../../src/errors.ts";
import { Poller } from "../../src/poll/poller.ts";
import { Reachability } from "../../src/poll/reachability.ts";
import { ReplicaCounts } from "../../src/poll/replica-counts.ts";
import { Schedule } from "../../src/poll/schedule.ts";
import { Shard } from "../../src/poll/shard.ts";
import type { InstanceTarget } from "../../src/poll/target.ts";
import { TaskNameStatistics } from "../../src/poll/task-name-statistics.ts";
import type { PollEvent } from "../../src/ports/telemetry.ts";
import { rulesOf, seen, wholeListing } from "../core/support.ts";
import { leaseOf } from "../store/contract/back-end.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { memoryStore } from "../support/memory-store.ts";

type Finished = Extract<PollEvent, { kind: "poll.finished" }>;

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** One instance, polled every second; `list` is what the cloud answers, `committed` what follows a commit. */
async function scene(
  hooks: {
    readonly list?: () => Listing["tasks"] | Promise<Listing["tasks"]>;
    readonly committed?: () => void;
  },
  {
    clock = new ManualClock(),
    cron = "* * * * * *",
    share = 0,
  }: { readonly clock?: ManualClock; readonly cron?: string; readonly share?: number } = {},
) {
  const store = await memoryStore(clock, 4);
  const shard = await Shard.open(store.state, await leaseOf(store), clock.monotonic() + 600_000);
  const finished: Finished[] = [];
  let merged = 0;
  const emit = (event: { readonly kind: string }) => {
    if (event.kind === "poll.merged") merged += 1;
    if (event.kind === "poll.finished") finished.push(event as Finished);
  };
  const committed = () => hooks.committed?.();
  const unasked = () => Promise.reject(new Error("nobody asked for this"));
  const rules = rulesOf();
  const gates = new Gates(store, clock, emit);
  const replicaCounts = new ReplicaCounts({ notes: store.notes, member: "a", members: () => ["a"] });
  const project = {
    ...rules.project,
    gate: gates.gate("prod", 50, "f"),
    rules: { ...rules, mutedUntil: () => null },
  };
  const target: InstanceTarget = {
    key: "p1/i1",
    project,
    instanceId: "i1",
    source: {
      cloudOffset: 0,
      async list(_: string, window: Window) {
        const tasks = (await hooks.list?.()) ?? [];
        return wholeListing(tasks, window, clock.now());
      },
      show: unasked,
      progress: unasked,
      instances: unasked,
      scheduled: unasked,
    },
    shard: shard.number,
    share,
    schedule: new Schedule(cron, "UTC"),
    activeSchedule: null,
    rules,
    discovered: false,
    announce: false,
    bornWatched: false,
  };
  const poller = new Poller({
    clock,
    random: () => 0.5,
    emit,
    knowledge: new TaskNameStatistics(() => [shard]),
    reach: new Reachability({ emit, replicaCounts, committed }),
    concurrency: 4,
    committed,
    onNotFound: async () => false,
  });
  ends.push(() => poller.stop());
  // Accepted from the start, so that polls are not tried one by one.
  (await project.gate.key.enter(new AbortController().signal))("accepted");
  poller.setTargets([project], [target]);
  poller.gained(shard);
  return {
    shard,
    finished,
    get merged() {
      return merged;
    },
    /** A second goes by, whatever is polled in it. */
    async pass() {
      poller.tick();
      await clock.advance(1_000);
    },
    /** A second goes by; resolves with the poll that it brought. */
    async second(): Promise<Finished> {
      const before = finished.length;
      poller.tick();
      await clock.advance(1_000);
      await expect.poll(() => finished.length, { timeout: 20_000 }).toBeGreaterThan(before);
      return finished[before]!;
    },
  };
}

test("a poll that breaks in a way that nobody foresaw is a failed poll, and the next one is made", async () => {
  let broken = true;
  const { second } = await scene({
    list: () => {
      if (broken) throw new TypeError("task is not iterable");
      return [seen("t1", "EXECUTING")];
    },
  });
  expect(await second()).toMatchObject({ complete: false, cause: null, error: expect.any(TypeError) });
  expect(await second()).toMatchObject({ complete: false, error: expect.any(TypeError) });
  broken = false;
  expect(await second()).toMatchObject({ complete: true, cause: null, error: undefined });
});

test("so is one that breaks after its commit: what was committed stays", async () => {
  let broken = true;
  const { second, shard } = await scene({
    list: () => [seen("t1", "EXECUTING")],
    committed: () => {
      if (broken) throw new RangeError("no such webhook");
    },
  });
  expect(await second()).toMatchObject({ complete: false, error: expect.any(RangeError) });
  expect(shard.peek("p1/i1")?.tasks.get("t1")?.status).toBe("EXECUTING");
  broken = false;
  expect(await second()).toMatchObject({ complete: true, error: undefined });
});

test("so is one whose state is broken, and the shard is not kept waiting for it", async () => {
  const { second, shard } = await scene({ list: () => [seen("t1", "EXECUTING")] });
  await second();
  const tasks = shard.peek("p1/i1")?.tasks as Map<string, unknown>;
  tasks.set("t2", null);
  expect(await second()).toMatchObject({ complete: false, error: expect.any(TypeError) });
  await shard.end();
});

test("an instance that answers slowly is polled once at a time; what falls due meanwhile is one poll more, late by all of it", async () => {
  let asked = 0;
  let asking = 0;
  let most = 0;
  let answer = Promise.withResolvers<Listing["tasks"]>();
  const slow = await scene({
    async list() {
      asked += 1;
      asking += 1;
      most = Math.max(most, asking);
      try {
        return await answer.promise;
      } finally {
        asking -= 1;
      }
    },
  });
  for (let second = 0; second < 10; second++) await slow.pass();
  expect([asked, slow.finished.length]).toEqual([1, 0]);
  const first = answer;
  answer = Promise.withResolvers();
  first.resolve([]);
  await expect.poll(() => asked, { timeout: 20_000 }).toBe(2);
  answer.resolve([]);
  await expect.poll(() => slow.finished.length, { timeout: 20_000 }).toBe(2);
  expect(most).toBe(1);
  expect(slow.merged).toBeGreaterThanOrEqual(7);
  expect(slow.finished[1]?.lagSeconds).toBeGreaterThanOrEqual(7);
});

/** As real timers do, which count from when the turn of the event loop began. */
class EarlyClock extends ManualClock {
  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return super.sleep(Math.max(1, ms - 20), signal);
  }
}

test("a timer that fires early makes no second poll of the same due time", async () => {
  const { pass, finished } = await scene({}, { clock: new EarlyClock(), cron: "*/5 * * * * *", share: 0.5 });
  for (let second = 0; second < 50; second++) await pass();
  expect([10, 11]).toContain(finished.length);
});

test("what falls due while a call is answered as throttled waits with it", async () => {
  const clock = new ManualClock();
  const begun: number[] = [];
  const list = async () => {
    begun.push(clock.monotonic());
    await clock.sleep(2_500);
    throw new CloudError("throttled", "slow down", { status: 429 });
  };
  const { pass } = await scene({ list }, { clock });
  for (let second = 0; second < 40; second++) await pass();
  const waits = begun.slice(1).map((at, index) => at - (begun[index] ?? 0) - 2_500);
  expect(waits.length).toBeGreaterThan(0);
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(5_000);
});
