import { describe, expect, test, vi } from "vitest";
import { Schedule } from "../../src/poll/schedule.ts";

const at = (iso: string) => Date.parse(iso);
const iso = (time: number) => new Date(time).toISOString();

describe("a schedule", () => {
  test.each([
    ["0 * * * * *", "UTC", "2026-11-24T10:00:00.000Z", "2026-11-24T10:01:00.000Z"],
    ["*/15 * * * * *", "UTC", "2026-11-24T10:00:14.999Z", "2026-11-24T10:00:15.000Z"],
    ["30 59 23 31 12 *", "UTC", "2026-11-24T10:00:00Z", "2026-12-31T23:59:30.000Z"],
    ["0 0 0 29 2 *", "UTC", "2026-11-24T10:00:00Z", "2028-02-29T00:00:00.000Z"],
    ["0 0 9 * * mon-fri", "Europe/Dublin", "2026-11-27T10:00:00Z", "2026-11-30T09:00:00.000Z"],
    ["0 30 9 * * *", "Asia/Kolkata", "2026-11-24T03:59:59Z", "2026-11-24T04:00:00.000Z"],
  ])("%s in %s after %s is due at %s", (expression, zone, after, due) => {
    expect(iso(new Schedule(expression, zone).next(at(after)))).toBe(due);
  });

  test("is due every half minute through both changes of the clock", () => {
    const schedule = new Schedule("*/30 * * * * *", "Europe/Dublin");
    for (const change of ["2026-03-29T00:30:00Z", "2026-10-25T00:30:00Z"]) {
      let time = at(change);
      for (let step = 0; step < 240; step++) {
        const next = schedule.next(time);
        expect(next - time).toBe(30_000);
        time = next;
      }
    }
  });

  test("its interval is the gap between the due times around now", () => {
    const office = new Schedule("0 */10 9-17 * * *", "UTC");
    expect(office.interval(at("2026-11-24T12:03:00Z"))).toBe(600_000);
    expect(office.interval(at("2026-11-24T20:00:00Z"))).toBe(
      at("2026-11-25T09:00:00Z") - at("2026-11-24T17:50:00Z"),
    );
    expect(office.interval(at("2026-11-25T12:00:00Z"))).toBe(600_000);
  });

  test("spreads its instances over the interval, and each keeps its place", () => {
    const schedule = new Schedule("0 * * * * *", "UTC");
    const now = at("2026-11-24T10:00:20Z");
    expect(iso(schedule.nextSpread(now, 0))).toBe("2026-11-24T10:01:00.000Z");
    expect(iso(schedule.nextSpread(now, 0.5))).toBe("2026-11-24T10:00:30.000Z");
    expect(iso(schedule.nextSpread(at("2026-11-24T10:00:30Z"), 0.5))).toBe("2026-11-24T10:01:30.000Z");
  });

  test("spreads a rare schedule over five minutes, not over the day", () => {
    const daily = new Schedule("0 0 3 * * *", "UTC");
    expect(iso(daily.nextSpread(at("2026-11-24T10:00:00Z"), 0.999))).toMatch(/^2026-11-25T03:04:59/);
  });

  test.each(["* * * * * *", "*/10 * * * * *", "0 */5 * * * *", "0 0 3 * * *"])(
    "%s: each due time is searched once for all instances, also at the edge of two due times",
    (expression) => {
      // Outside UTC each comparison of a date with the expression formats that date.
      const compared = vi.spyOn(Intl.DateTimeFormat.prototype, "formatToParts");
      try {
        const schedule = new Schedule(expression, "Europe/Dublin");
        const start = at("2026-11-24T10:00:00Z");
        for (let second = 0; second < 60; second++) {
          for (let instance = 0; instance < 100; instance++) {
            const now = start + second * 1_000 + (instance % 2) * 999;
            const due = schedule.nextSpread(now, instance / 100);
            expect(due).toBeGreaterThan(now);
            schedule.interval(due);
            schedule.nextSpread(due, instance / 100);
          }
        }
        const perSecond = compared.mock.calls.length / 60;
        expect(perSecond).toBeLessThan(12);
      } finally {
        compared.mockRestore();
      }
    },
  );

  test.each(["* * * * * *", "0,1,59 * * * * *", "0 */10 9-17 * * *", "0 30 1 * * *", "30 0 0 1 * *"])(
    "%s: what it answers does not depend on what it was asked before",
    (expression) => {
      const used = new Schedule(expression, "Australia/Lord_Howe");
      const start = at("2026-10-03T14:00:00Z");
      // Steps of a prime number of seconds, forth and back, over a change of the clock by half an hour.
      for (let step = 0; step < 300; step++) {
        const time = start + (((step * 7919) % 10_007) - 5_000) * 1_000;
        const fresh = new Schedule(expression, "Australia/Lord_Howe");
        expect([used.next(time), used.interval(time)]).toEqual([fresh.next(time), fresh.interval(time)]);
      }
    },
  );
});
