import { expect, test } from "vitest";
import { Pacer } from "../../src/poll/pacer.ts";
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
