import { expect, test } from "vitest";
import { ManualClock } from "./manual-clock.ts";

test("sleeps end in the order of their due times, each at its own time", async () => {
  const clock = new ManualClock(1_000);
  const seen: string[] = [];
  const sleepAndNote = async (name: string, ms: number) => {
    await clock.sleep(ms);
    seen.push(`${name} ${clock.now()} ${clock.monotonic()}`);
  };
  const all = Promise.all([sleepAndNote("late", 50), sleepAndNote("early", 20)]);
  await clock.advance(100);
  await all;
  expect(seen).toEqual(["early 1020 20", "late 1050 50"]);
  expect([clock.now(), clock.monotonic(), clock.sleeping]).toEqual([1_100, 100, 0]);
});

test("a sleep that is begun while the clock advances ends within the same advance", async () => {
  const clock = new ManualClock(0);
  let rounds = 0;
  const loop = (async () => {
    while (rounds < 3) {
      await clock.sleep(10);
      rounds++;
    }
  })();
  await clock.advance(30);
  await loop;
  expect(rounds).toBe(3);
});

test("an aborted sleep rejects with the signal's reason and is gone", async () => {
  const clock = new ManualClock();
  const abort = new AbortController();
  const sleep = clock.sleep(10, abort.signal);
  await clock.untilSleeping(10, 10);
  abort.abort(new Error("enough"));
  await expect(sleep).rejects.toThrow("enough");
  expect(clock.sleeping).toBe(0);
  await expect(clock.sleep(10, abort.signal)).rejects.toThrow("enough");
});

test("a jump of the wall clock wakes nobody", async () => {
  const clock = new ManualClock(0);
  const sleep = clock.sleep(10);
  clock.jump(3_600_000);
  expect([clock.now(), clock.monotonic(), clock.nextWake]).toEqual([3_600_000, 0, 10]);
  await clock.advance(10);
  await sleep;
});
