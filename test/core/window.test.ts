import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { followUps, progressAsks, queryWindow } from "../../src/core/window.ts";
import {
  ALL_EXECUTE,
  DAY,
  HOUR,
  inputOf,
  KNOWS_NOTHING,
  known,
  MINUTE,
  recordOf,
  rulesOf,
  seen,
  stateOf,
  T0,
} from "./support.ts";

const { window: rules } = rulesOf();
const idle = (lastCompleteAt: number | null) => recordOf({ lastCompleteAt, lastSweepAt: T0 });

describe("the window of a poll begins", () => {
  for (const { when, last, from } of [
    { when: "a lookback ago, after a poll just now", last: T0 - MINUTE, from: T0 - DAY },
    {
      when: "an overlap before the last complete poll, after a long gap",
      last: T0 - 2 * DAY,
      from: T0 - 2 * DAY - 2 * MINUTE,
    },
    {
      when: "a lookback ago, where the overlap alone reaches further",
      last: T0 - DAY + MINUTE,
      from: T0 - DAY - MINUTE,
    },
    { when: "at max_lookback, after an outage beyond it", last: T0 - 31 * DAY, from: T0 - 30 * DAY },
  ]) {
    it(when, () => {
      expect(queryWindow(idle(last), rules, T0, 0)).toMatchObject({
        window: { from, to: T0 + MINUTE },
        deep: false,
      });
    });
  }

  it("says the stretch that an outage beyond max_lookback leaves out", () => {
    expect(queryWindow(idle(T0 - 31 * DAY), rules, T0, 0).outage).toEqual({
      from: T0 - 31 * DAY,
      to: T0 - 30 * DAY,
    });
    expect(queryWindow(idle(T0 - 29 * DAY), rules, T0, 0).outage).toBeNull();
  });

  it("by the cloud's clock", () => {
    expect(queryWindow(idle(T0), rules, T0, -3 * HOUR).window).toEqual({
      from: T0 - DAY - 3 * HOUR,
      to: T0 - 3 * HOUR + MINUTE,
    });
  });

  it("earlier, and ends later, by what the clocks may differ as long as nothing is known of it", () => {
    expect(queryWindow(idle(T0 - 2 * DAY), rules, T0, null).window).toEqual({
      from: T0 - 2 * DAY - 17 * MINUTE,
      to: T0 + 16 * MINUTE,
    });
  });

  it("at max_lookback on the first poll", () => {
    const first = recordOf({ baselineAt: null, lastCompleteAt: null, lastSweepAt: null });
    expect(queryWindow(first, rules, T0, 0)).toMatchObject({
      deep: true,
      window: { from: T0 - 30 * DAY },
      outage: null,
    });
  });
});

describe("a sweep", () => {
  it("comes once in each period, at the instance's own time", () => {
    const times = new Set<number>();
    for (let index = 0; index < 40; index += 1) {
      let record = recordOf({ instanceId: `i${index}`, lastSweepAt: T0 });
      const sweeps: number[] = [];
      for (let now = T0 + MINUTE; now <= T0 + 24 * HOUR; now += MINUTE) {
        if (!queryWindow(record, rules, now, 0).deep) continue;
        sweeps.push(now);
        record = { ...record, lastSweepAt: now };
      }
      expect(sweeps).toHaveLength(4);
      for (let at = 1; at < 4; at += 1) expect(sweeps[at]! - sweeps[at - 1]!).toBe(6 * HOUR);
      times.add(sweeps[0]!);
    }
    expect(times.size).toBeGreaterThan(30);
  });

  it("never comes when it is off", () => {
    const off = { ...rules, sweep: null };
    expect(queryWindow(recordOf({ lastSweepAt: T0 }), off, T0 + 99 * DAY, 0).deep).toBe(false);
  });

  it("comes once, also when it is off, where nothing was asked from max_lookback yet", () => {
    const off = { ...rules, sweep: null };
    expect(queryWindow(recordOf({ lastSweepAt: null }), off, T0, 0).deep).toBe(true);
  });

  it("comes once more, and not in a storm, after the clock went back", () => {
    const record = recordOf({ lastSweepAt: T0 + 9 * HOUR });
    expect(queryWindow(record, rules, T0, 0).deep).toBe(true);
    expect(queryWindow({ ...record, lastSweepAt: T0 }, rules, T0 + 1, 0).deep).toBe(false);
  });
});

it("no jump of either clock makes the window empty, inverted, or shorter than the lookback", () => {
  const time = fc.integer({ min: T0 - 400 * DAY, max: T0 + 400 * DAY });
  fc.assert(
    fc.property(
      time,
      fc.option(time),
      fc.option(time),
      fc.integer({ min: -9 * DAY, max: 9 * DAY }),
      (now, last, sweep, offset) => {
        const { window, outage } = queryWindow(
          recordOf({ lastCompleteAt: last, lastSweepAt: sweep }),
          rules,
          now,
          offset,
        );
        expect(window.from).toBeLessThanOrEqual(now + offset - rules.lookback);
        expect(window.from).toBeGreaterThanOrEqual(now + offset - rules.maxLookback);
        expect(window.to).toBeGreaterThan(now + offset);
        if (last !== null) expect(window.to).toBeGreaterThan(last + offset);
        if (outage !== null) expect(outage.from).toBeLessThan(outage.to);
      },
    ),
  );
});

describe("what is asked for by its id", () => {
  const old = { createdAt: T0 - 40 * HOUR };
  const state = stateOf([
    known(seen("shown", "EXECUTING")),
    known(seen("missing", "EXECUTING")),
    known(seen("old", "EXECUTING", old)),
    known(seen("undated", "CREATED", { createdAt: null })),
    known(seen("unread", "EXECUTING")),
    known(seen("ended", "SUCCESS", old)),
  ]);
  const rows = [seen("shown", "EXECUTING")];
  const malformed = [
    { id: "unread", problem: "no status" },
    { id: null, problem: "not an object" },
  ];
  const listing = (complete: boolean) => inputOf(state, rows, { complete, malformed }).observation.listing;

  it("is every open task that a complete listing does not show", () => {
    expect(followUps(state, listing(true))).toEqual(["missing", "old", "undated"]);
  });

  it("is, after an incomplete listing, only what it did not ask for", () => {
    expect(followUps(state, listing(false))).toEqual(["old", "undated"]);
  });
});

describe("progress is asked", () => {
  const state = stateOf([
    known(seen("young", "EXECUTING", { createdAt: T0 - 29 * MINUTE })),
    known(seen("aged", "EXECUTING", { createdAt: T0 - 31 * MINUTE })),
    known(seen("queued", "CREATED", { createdAt: T0 - 8 * MINUTE })),
    known(seen("acked", "EXECUTING", { createdAt: T0 - HOUR }), {
      acknowledged: { by: "ann", at: T0, reason: null },
    }),
    known(seen("done", "SUCCESS", { createdAt: T0 - HOUR })),
  ]);
  it("of open tasks past half of their limit", () => {
    const on = rulesOf({ stuck: { noProgressAfter: HOUR } });
    expect(progressAsks(state, on, ALL_EXECUTE, T0, T0)).toEqual(["aged", "queued"]);
    expect(progressAsks(state, on, KNOWS_NOTHING, T0, T0)).toEqual(["aged"]);
  });
  it("of none while no_progress_after is off", () => {
    expect(progressAsks(state, rulesOf(), ALL_EXECUTE, T0, T0)).toEqual([]);
  });
});
