import fc from "fast-check";
import { expect, test } from "vitest";
import { FRESH_MS, Pacer } from "../../src/poll/pacer.ts";
import type { Budget } from "../../src/ports/store.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { memoryStore } from "../support/memory-store.ts";

const never = new AbortController().signal;
async function scene(rate: number) {
  const clock = new ManualClock();
  const store = await memoryStore(clock);
  return { clock, pacer: new Pacer("p", rate, store.budget, clock) };
}

async function grantedWithin(clock: ManualClock, pacer: Pacer, seconds: number): Promise<number[]> {
  const times: number[] = [];
  const stop = new AbortController();
  const hungry = async () => {
    while (!stop.signal.aborted) {
      await pacer.take("continuing", stop.signal);
      times.push(clock.now());
    }
  };
  const all = Array.from({ length: 20 }, () => hungry().catch(() => {}));
  for (let step = 0; step < seconds * 20; step++) await clock.advance(50);
  stop.abort(new Error("enough"));
  await Promise.all(all);
  return times;
}

test("no second has more than twice the budget, no longer span more than its share and one second's worth", async () => {
  const { clock, pacer } = await scene(5);
  const times = await grantedWithin(clock, pacer, 20);
  expect(times.length).toBeGreaterThanOrEqual(95);
  for (const [index, from] of times.entries()) {
    for (let span = 1_000; span <= 20_000; span += 1_000) {
      const within = times.slice(index).filter((time) => time < from + span).length;
      expect(within).toBeLessThanOrEqual((5 * span) / 1_000 + 5);
    }
  }
});

test("throttling halves the rate, never below a tenth, and it comes back", async () => {
  const { clock, pacer } = await scene(10);
  for (let time = 0; time < 10; time++) {
    pacer.throttled();
    pacer.throttled();
    await clock.advance(1_000);
  }
  expect(pacer.rate).toBe(1);
  const slow = await grantedWithin(clock, pacer, 10);
  expect(slow.length).toBeLessThanOrEqual(11);
  await grantedWithin(clock, pacer, 300);
  expect(pacer.rate).toBe(10);
});

test("calls of polls that are under way go before first calls of others", async () => {
  const { clock, pacer } = await scene(1);
  const order: string[] = [];
  const starting = pacer.take("starting", never).then(() => order.push("starting"));
  const continuing = pacer.take("continuing", never).then(() => order.push("continuing"));
  await clock.advance(2_500);
  await Promise.all([starting, continuing]);
  expect(order).toEqual(["continuing", "starting"]);
});

test("whoever gives up takes no token, and nobody left waiting leaves no timer behind", async () => {
  const { clock, pacer } = await scene(1);
  const stop = new AbortController();
  const given = pacer.take("starting", stop.signal);
  await clock.untilSleeping();
  stop.abort(new Error("gone"));
  await expect(given).rejects.toThrow("gone");
  expect(clock.sleeping).toBe(0);
});

/** Replicas that share one bucket over a network that takes a few milliseconds each way. */
async function shared(rate: number, replicas: number) {
  const clock = new ManualClock();
  const { budget } = await memoryStore(clock);
  const asks = { count: 0, granted: 0 };
  const remote: Budget = {
    async take(...wanted) {
      asks.count += 1;
      await clock.sleep(2);
      const taken = await budget.take(...wanted);
      asks.granted += taken.granted;
      await clock.sleep(2);
      return taken;
    },
  };
  const pacers = Array.from({ length: replicas }, () => new Pacer("p", rate, remote, clock));
  return { clock, asks, pacers };
}

test("a project at rest asks a shared budget for many tokens at once, and for no more than it uses", async () => {
  const { clock, asks, pacers } = await shared(400, 1);
  const [pacer] = pacers;
  let used = 0;
  const useFor = async (seconds: number) => {
    for (let ms = 0; ms < seconds * 1_000; ms += 5) {
      await clock.advance(5);
      void pacer?.take("starting", never).then(() => {
        used += 1;
      });
    }
  };
  await useFor(2);
  const [count, granted, before] = [asks.count, asks.granted, used];
  await useFor(5);
  expect(used - before).toBeGreaterThan(980);
  expect(asks.count - count).toBeLessThanOrEqual(60);
  expect(asks.granted - granted).toBeLessThanOrEqual((used - before) * 1.1);
});

test("a token that was taken ahead and not used lapses", async () => {
  const { clock, asks, pacers } = await shared(400, 1);
  const [pacer] = pacers;
  const takenAt: number[] = [];
  const use = () => pacer?.take("starting", never).then((at) => takenAt.push(clock.monotonic() - at));
  for (let n = 0; n < 200; n++) {
    void use();
    await clock.advance(10);
  }
  const before = asks.count;
  await clock.advance(FRESH_MS);
  void use();
  await clock.advance(10);
  expect(asks.count).toBe(before + 1);
  expect(Math.max(...takenAt)).toBeLessThanOrEqual(FRESH_MS);
});

test("over replicas that take tokens ahead and call as late as they may, the promise of the budget holds", async () => {
  // The bucket fills in a pause while the demand of before is remembered; one take then fetches tokens ahead, and all
  // that is there is used at once. `busy` and `burst` are in seconds of the rate.
  const round = fc.record({
    busy: fc.constantFrom(0.3, 1),
    pause: fc.constantFrom(0, 300, 600, 850),
    hold: fc.constantFrom(0, FRESH_MS / 2, FRESH_MS - 10),
    burst: fc.constantFrom(0.3, 2),
  });
  const replica = fc.array(round, { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(5, 20, 100),
      fc.array(replica, { minLength: 1, maxLength: 3 }),
      fc.array(fc.nat(FRESH_MS), { minLength: 1, maxLength: 10 }),
      async (rate, plans, lateness) => {
        const { clock, pacers } = await shared(rate, plans.length);
        const calls: number[] = [];
        const stop = new AbortController();
        const late = (n: number) => lateness[n % lateness.length] ?? 0;
        for (const [index, plan] of plans.entries()) {
          const take = async () => {
            const takenAt = await pacers[index]?.take("starting", stop.signal);
            const now = clock.monotonic();
            calls.push(Math.max(now, Math.min((takenAt ?? now) + FRESH_MS, now + late(calls.length))));
          };
          void (async () => {
            for (let round = 0; !stop.signal.aborted; round++) {
              const now = plan[round % plan.length];
              if (!now) break;
              const takes = (seconds: number) => Promise.all(Array.from({ length: seconds * rate }, take));
              await takes(now.busy);
              await clock.sleep(now.pause);
              await take();
              await clock.sleep(now.hold);
              await takes(now.burst);
            }
          })().catch(() => {});
        }
        for (let step = 0; step < 60; step++) await clock.advance(100);
        stop.abort(new Error("enough"));
        await clock.advance(1_000);
        calls.sort((a, b) => a - b);
        const tooMany = calls.flatMap((from, first) =>
          calls.slice(first).flatMap((to, more) => {
            const span = (to - from) / 1_000;
            const most = span < 1 ? 2 * rate : rate * span + rate;
            return more + 1 > most ? [`${more + 1} calls in ${span} s`] : [];
          }),
        );
        expect(tooMany).toEqual([]);
      },
    ),
    { numRuns: 30 },
  );
});
