import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import { ManualClock } from "../support/manual-clock.ts";

const YEAR = 365 * 86_400_000;

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

const advancing = (): readonly [string, typeof systemClock, (ms: number) => unknown][] => {
  const manual = new ManualClock();
  return [
    ["the system's clock", systemClock, (ms) => vi.advanceTimersByTimeAsync(ms)],
    ["the clock of tests", manual, (ms) => manual.advance(ms)],
  ];
};

test.each(advancing())(
  "%s acts once after the time, and never once it was told not to",
  async (_, clock, advance) => {
    const acted: string[] = [];
    clock.after(100, () => acted.push("late"));
    clock.after(10, () => acted.push("early"));
    const forget = clock.after(50, () => acted.push("forgotten"));
    await advance(49);
    expect(acted).toEqual(["early"]);
    forget();
    await advance(51);
    expect(acted).toEqual(["early", "late"]);
    forget();
    await advance(1_000);
    expect(acted).toEqual(["early", "late"]);
  },
);

test("a wait that is longer than a timer of Node.js can be ends when it should, and can be ended", async () => {
  let acted = 0;
  systemClock.after(YEAR, () => acted++);
  const forget = systemClock.after(YEAR, () => acted++);
  await vi.advanceTimersByTimeAsync(YEAR / 2);
  forget();
  await vi.advanceTimersByTimeAsync(YEAR / 2 - 1);
  expect(acted).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(acted).toBe(1);
});
