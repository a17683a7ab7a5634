import { expect, test } from "vitest";
import { Deadlines } from "../../src/cloud/deadlines.ts";
import { ManualClock } from "../support/manual-clock.ts";

test("each deadline expires at its own time, in whatever order they were set", async () => {
  const clock = new ManualClock();
  const deadlines = new Deadlines(clock);
  const expired: string[] = [];
  const watch = (name: string, ms: number) =>
    deadlines.watch(ms, () => expired.push(`${name}@${clock.monotonic()}`));
  watch("late", 500);
  watch("early", 100);
  await clock.advance(50);
  watch("middle", 250);
  watch("now", 0);
  await clock.advance(1000);
  expect(expired).toEqual(["now@50", "early@100", "middle@300", "late@500"]);
});

test("what ended in time never expires, and nothing sleeps when nothing is watched", async () => {
  const clock = new ManualClock();
  const deadlines = new Deadlines(clock);
  const expired: string[] = [];
  const ends = ["a", "b", "c"].map((name) => deadlines.watch(100, () => expired.push(name)));
  expect(clock.sleeping).toBe(1);
  ends[0]?.();
  ends[2]?.();
  expect(clock.sleeping).toBe(1);
  await clock.advance(100);
  expect(expired).toEqual(["b"]);
  ends[1]?.();
  expect(clock.sleeping).toBe(0);
  deadlines.watch(100, () => expired.push("d"))();
  expect(clock.sleeping).toBe(0);
  await clock.advance(1000);
  expect(expired).toEqual(["b"]);
});

test("a wall clock that jumps moves no deadline", async () => {
  const clock = new ManualClock();
  const deadlines = new Deadlines(clock);
  let expired = 0;
  deadlines.watch(100, () => expired++);
  clock.jump(86_400_000);
  await clock.advance(99);
  expect(expired).toBe(0);
  await clock.advance(1);
  expect(expired).toBe(1);
});
