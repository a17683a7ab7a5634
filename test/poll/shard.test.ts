import { describe, expect, test } from "vitest";
import type { Learned } from "../../src/core/decision.ts";
import { count, parse } from "../../src/core/sketch.ts";
import { StoreError } from "../../src/errors.ts";
import { Shard } from "../../src/poll/shard.ts";
import { commitDecision } from "../../src/poll/writer.ts";
import type { StateStore } from "../../src/ports/store.ts";
import { batch, leaseOf, record, T0 } from "../store/contract/back-end.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { memoryStore } from "../support/memory-store.ts";

async function scene(wrap: (state: StateStore) => Partial<StateStore> = () => ({})) {
  const clock = new ManualClock();
  const store = await memoryStore(clock, 4);
  const lease = await leaseOf(store);
  const shard = await Shard.open({ ...store.state, ...wrap(store.state) }, lease, 10_000);
  const { shard: _, ...first } = batch();
  const generation = async () => {
    const [answer] = await store.leases.renew([lease], 10_000);
    return answer && "generation" in answer ? answer.generation : -1;
  };
  return { store, lease, shard, first, generation };
}

describe("a renewal", () => {
  test("that tells the generation of the last commit leaves the memory as it is", async () => {
    const { shard, first, generation } = await scene();
    await shard.commit(first);
    shard.renewing()(20_000, await generation());
    expect([shard.dropped, shard.deadline]).toEqual([false, 20_000]);
  });

  test("by a store that has forgotten a commit drops the memory that is ahead of it", async () => {
    const { shard, first, generation } = await scene();
    await shard.commit(first);
    expect(shard.renewing()(20_000, (await generation()) - 1)).toBe(true);
    expect(shard.dropped).toBe(true);
  });

  test("by a store that somebody else wrote drops the memory, and the next use loads what is there", async () => {
    const { store, shard, first, generation } = await scene();
    await shard.commit(first);
    await store.state.commit(null, batch({ expectRevision: 1, record: record({ name: "billing" }) }));
    expect(shard.renewing()(20_000, await generation())).toBe(false);
    expect(shard.dropped).toBe(true);
    expect((await shard.whole("p1/i1"))?.record.name).toBe("billing");
    expect(shard.dropped).toBe(false);
  });

  test("that overlaps commits is no reason for doubt, whichever of them it counts", async () => {
    const { shard, first, generation } = await scene();
    const answer = shard.renewing();
    const before = await generation();
    const committing = shard.commit(first);
    // Counted by the store, not yet told to us.
    answer(20_000, before + 1);
    expect(shard.dropped).toBe(false);
    await committing;
    const late = shard.renewing();
    await shard.commit({ ...first, expectRevision: 1 });
    late(30_000, before + 1);
    expect([shard.dropped, await generation()]).toEqual([false, before + 2]);
  });
});

describe("a memory in doubt", () => {
  test("stays in doubt when the doubt came while it was being loaded", async () => {
    const gate = Promise.withResolvers<void>();
    let loads = 0;
    const { shard } = await scene((state) => ({
      async load(number) {
        const loaded = await state.load(number);
        if (++loads === 2) await gate.promise;
        return loaded;
      },
    }));
    shard.drop();
    const loading = shard.reload();
    shard.drop();
    gate.resolve();
    await loading;
    expect(shard.dropped).toBe(true);
    await shard.reload();
    expect(shard.dropped).toBe(false);
  });

  test("flushes no times: the store may not know what they stand for", async () => {
    const touched: unknown[] = [];
    const { shard, first } = await scene((state) => ({
      touch: (lease, times) => {
        touched.push(times);
        return state.touch(lease, times);
      },
    }));
    await shard.commit(first);
    shard.completed("p1/i1", 1, record({ lastCompleteAt: T0 }));
    shard.drop();
    await shard.flush();
    expect(touched).toEqual([]);
    await shard.reload();
    await shard.flush();
    expect(touched).toEqual([]);
  });

  test("comes of a commit without an answer; what it wrote is found by loading", async () => {
    const { shard, first } = await scene((state) => ({
      async commit(lease, write) {
        await state.commit(lease, write);
        throw new StoreError("unavailable", "no answer");
      },
    }));
    await expect(shard.commit(first)).rejects.toThrow("no answer");
    expect(shard.dropped).toBe(true);
    expect((await shard.whole("p1/i1"))?.revision).toBe(1);
  });
});

test("a poll that changed nothing says nothing of a state that changed under it", async () => {
  const { store, shard, first, generation } = await scene();
  await shard.commit(first);
  await store.state.commit(null, batch({ expectRevision: 1, record: record({ name: "billing" }) }));
  shard.renewing()(20_000, await generation());
  await shard.whole("p1/i1");
  shard.completed("p1/i1", 1, record({ lastCompleteAt: T0 }));
  expect(shard.peek("p1/i1")?.record).toMatchObject({ name: "billing", lastCompleteAt: null });
  shard.completed("p1/i1", 2, record({ name: "billing", lastCompleteAt: T0 }));
  expect(shard.peek("p1/i1")?.record.lastCompleteAt).toBe(T0);
});

test("polls that end together all teach what a name is like", async () => {
  const { store, shard } = await scene();
  const ofInstance = (instanceId: string, learned: Pick<Learned, "executed" | "seconds">) => {
    const of = record({ instanceId });
    const state = { record: of, revision: 0, tasks: new Map() };
    const taught = { name: "restart", at: T0, seenAt: T0, ...learned };
    const outcome = { record: of, upserts: [], removals: [], events: [], learned: [taught] };
    return commitDecision(shard, `p1/${instanceId}`, state, outcome);
  };
  await Promise.all([
    ofInstance("i1", { executed: true, seconds: null }),
    ofInstance("i2", { executed: false, seconds: 60 }),
    ofInstance("i3", { executed: false, seconds: 70 }),
  ]);
  for (const known of [shard.names("p1").get("restart"), (await store.reader.names())[0]]) {
    expect(known?.executed).toBe(true);
    expect(count(parse(known?.sketch ?? null))).toBe(2);
  }
});

test("an end waits for all that is in flight, however often it is asked for", async () => {
  const { shard } = await scene();
  const leave = [shard.enter(), shard.enter()];
  let ended = 0;
  const ends = [shard.end(), shard.end()].map((end) => end.then(() => ended++));
  leave[0]?.();
  leave[0]?.();
  await new Promise((resolve) => setImmediate(resolve));
  expect(ended).toBe(0);
  leave[1]?.();
  await Promise.all(ends);
  expect(shard.signal.aborted).toBe(true);
});
