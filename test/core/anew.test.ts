import { expect, test } from "vitest";
import { blankRecord, recordAfterLoss } from "../../src/core/anew.ts";
import { recordOf } from "./support.ts";

const HOUR = 3_600_000;

test("a record that is lost begins anew after its last complete poll, under ids that never were", () => {
  const record = blankRecord("p1/i/1", {}, { lastCompleteAt: 5 * HOUR }, 2);
  expect(record).toMatchObject({
    projectId: "p1",
    instanceId: "i/1",
    name: "i/1",
    baselineAt: 5 * HOUR,
    lastCompleteAt: 5 * HOUR,
    // Nothing was asked from max_lookback: the next poll is.
    lastSweepAt: null,
    prunedBefore: 4.75 * HOUR,
    removals: 3,
  });
});

test("one that was never listed completely has its first poll still before it", () => {
  expect(blankRecord("p1/i1", {}, { lastCompleteAt: null }, 0)).toMatchObject({
    baselineAt: null,
    prunedBefore: null,
  });
});

test("what can be read of it is kept", () => {
  const salvaged = { name: "orders", engine: "rabbitmq", discovered: true, removals: 4 } as const;
  expect(blankRecord("p1/i1", salvaged, { lastCompleteAt: null }, 1)).toMatchObject({
    ...salvaged,
    removals: 5,
  });
});

test("of lost tasks, those that had ended are not told again, and those that were open are", () => {
  const record = recordOf({ lastCompleteAt: 5 * HOUR, lastSweepAt: HOUR, prunedBefore: 0 });
  expect(recordAfterLoss(record, false)).toEqual({ ...record, lastSweepAt: null, prunedBefore: 4.75 * HOUR });
  expect(recordAfterLoss(record, true)).toEqual({ ...record, lastSweepAt: null });
});
