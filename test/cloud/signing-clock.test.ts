import { expect, test } from "vitest";
import { SigningClock } from "../../src/cloud/signing-clock.ts";
import { ManualClock } from "../support/manual-clock.ts";

const MINUTE = 60_000;

test("a wrong Date header alone changes nothing", () => {
  const clock = new ManualClock();
  const signing = new SigningClock(clock);
  signing.saw(clock.now() + 60 * MINUTE, false);
  expect(signing.now()).toBe(clock.now());
});

test("a refusal while the clocks agree changes nothing, nor does one without a date", () => {
  const clock = new ManualClock();
  const signing = new SigningClock(clock);
  signing.saw(clock.now() + 4 * MINUTE, true);
  signing.saw(null, true);
  expect(signing.now()).toBe(clock.now());
});

test("after a refusal with another clock, calls are signed by that clock, however the local one jumps", async () => {
  const clock = new ManualClock();
  const signing = new SigningClock(clock);
  const cloud = clock.now() + 90 * MINUTE;
  signing.saw(cloud, true);
  await clock.advance(7000);
  clock.jump(-30 * MINUTE);
  expect(signing.now()).toBe(cloud + 7000);
});

test("the local clock is used again once it agrees", () => {
  const clock = new ManualClock();
  const signing = new SigningClock(clock);
  const cloud = clock.now() + 90 * MINUTE;
  signing.saw(cloud, true);
  clock.jump(89 * MINUTE);
  signing.saw(cloud, false);
  expect(signing.now()).toBe(clock.now());
});

test("a local clock that is set while calls are taken does not matter, and is used again once it is set right", async () => {
  const clock = new ManualClock();
  const signing = new SigningClock(clock);
  const cloud = clock.now();
  signing.saw(cloud, false);
  await clock.advance(7000);
  for (const jump of [300, -600]) {
    clock.jump(jump * MINUTE);
    expect(signing.now()).toBe(cloud + 7000);
    signing.saw(cloud + 7000, false);
    expect(signing.now()).toBe(cloud + 7000);
  }
  clock.jump(300 * MINUTE + 20_000);
  expect(signing.now()).toBe(cloud + 27_000);
});

test("a machine that slept is told the time by a refusal", async () => {
  const clock = new ManualClock();
  const signing = new SigningClock(clock);
  signing.saw(clock.now(), false);
  // Its monotonic clock slept too.
  clock.jump(300 * MINUTE);
  signing.saw(clock.now(), true);
  expect(signing.now()).toBe(clock.now());
});
