import { expect, onTestFinished, test } from "vitest";
import { startTicker } from "../../src/platform/ticker.ts";
import { ManualClock } from "../support/manual-clock.ts";

const YEAR = 365 * 86_400_000;

function ticking(start?: string) {
  const clock = new ManualClock(start);
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const ticks: number[] = [];
  startTicker(clock, () => ticks.push(clock.now() % 60_000), stop.signal);
  return { clock, stop, ticks };
}

test("ticks at each full second, until it is told to stop", async () => {
  const { clock, stop, ticks } = ticking("2026-11-24T10:00:00.300Z");
  await clock.advance(3_000);
  expect(ticks).toEqual([1_000, 2_000, 3_000]);
  stop.abort();
  await clock.advance(3_000);
  expect(ticks).toHaveLength(3);
  expect(clock.sleeping).toBe(0);
});

test.each([
  ["hours ahead", 7 * 3_600_000 + 400],
  ["hours back", -7 * 3_600_000 - 400],
  ["fifty years ahead", 50 * YEAR + 123],
  ["fifty years back", -50 * YEAR - 123],
])("a clock that is set %s costs no tick and makes none", async (_, jump) => {
  const { clock, ticks } = ticking();
  await clock.advance(2_500);
  clock.jump(jump);
  await clock.advance(1_500);
  // The next one is shifted, and comes within a second.
  expect(ticks.length - 2).toBeGreaterThanOrEqual(1);
  expect(ticks.length - 2).toBeLessThanOrEqual(2);
  const before = ticks.length;
  await clock.advance(60_000);
  expect(ticks).toHaveLength(before + 60);
  expect(ticks.slice(before).every((at) => at % 1_000 === 0)).toBe(true);
});
