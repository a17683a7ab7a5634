import { describe, expect, it } from "vitest";
import { OPEN_TASKS_CAP } from "../../src/core/decide.ts";
import { ENDS_CAP } from "../../src/core/ends.ts";
import { SETTLED_CAP } from "../../src/core/prune.ts";
import type { TaskState } from "../../src/core/state.ts";
import type { ObservedTask } from "../../src/core/task.ts";
import {
  DAY,
  HOUR,
  known,
  MINUTE,
  only,
  poll,
  rulesOf,
  SECOND,
  seen,
  stateOf,
  T0,
  types,
} from "./support.ts";

const done = (id: string, age: number | null, changes: Partial<ObservedTask> = {}) =>
  seen(id, "SUCCESS", { createdAt: age === null ? null : T0 - age, updatedAt: T0 - 1, ...changes });

const many = (count: number, first = 0): ObservedTask[] =>
  Array.from({ length: count }, (_, index) => done(`t${first + index}`, (first + index + 1) * SECOND));

describe("a task that ended", () => {
  const state = stateOf([
    known(done("young", 29 * DAY)),
    known(done("old", 31 * DAY)),
    known(seen("open", "EXECUTING", { createdAt: T0 - 31 * DAY })),
    known(seen("failed", "FAILED", { createdAt: T0 - 31 * DAY })),
  ]);

  it("is dropped when no listing can show it any more; open tasks and open failures are kept", () => {
    const next = poll(state, []);
    expect(next.decision.removals).toEqual(["old"]);
    expect(next.decision.events).toEqual([]);
    expect(next.state.record.prunedBefore).toBe(T0 - 31 * DAY + 1);
  });

  it("is not announced again, even if max_lookback grows", () => {
    const next = poll(state, []).state;
    const rules = rulesOf({ window: { maxLookback: 90 * DAY } });
    for (const status of ["SUCCESS", "FAILED"]) {
      expect(poll(next, [done("old", 31 * DAY, { status })], { rules }).decision.events).toEqual([]);
    }
  });

  it("does not make every poll write: several go at once", () => {
    let step = poll(
      stateOf(Array.from({ length: 50 }, (_, index) => known(done(`t${index}`, 30 * DAY - index * HOUR)))),
      [],
    );
    let writes = 0;
    for (let minute = 0; minute < 60 * 60; minute += 10) {
      step = poll(step.state, [], { now: T0 + minute * MINUTE });
      if (step.decision.changed) writes += 1;
    }
    expect(step.state.tasks.size).toBeLessThan(10);
    expect(writes).toBeLessThan(12);
  });
});

describe("a task without a creation time", () => {
  const row = done("u", null);
  const { state } = poll(stateOf(), [row]);
  it("is kept while it is listed", () => {
    expect(poll(state, [row], { deep: true, now: T0 + 99 * DAY }).decision.changed).toBe(false);
  });
  it("is dropped when a complete listing from max_lookback does not show it, and by nothing less", () => {
    expect(poll(state, [], { deep: false }).decision.removals).toEqual([]);
    expect(poll(state, [], { deep: true, complete: false }).decision.removals).toEqual([]);
    expect(poll(state, [], { deep: true }).decision.removals).toEqual(["u"]);
  });
});

describe("more ended tasks than the cap", () => {
  const rows = many(SETTLED_CAP + 500);
  const first = poll(stateOf(), rows);

  it("are all announced, and the newest are kept", () => {
    expect(first.decision.events).toHaveLength(rows.length);
    expect(first.state.tasks.size).toBeLessThanOrEqual(SETTLED_CAP);
    expect(first.state.tasks.has("t0")).toBe(true);
    expect(first.state.tasks.has(`t${rows.length - 1}`)).toBe(false);
    // None of the dropped ones was ever in the store.
    expect(first.decision.removals).toEqual([]);
  });

  it("are not announced again while the listing still shows them", () => {
    expect(poll(first.state, rows).decision.changed).toBe(false);
  });

  it("do not hide what happens next", () => {
    const failed = seen("next", "FAILED", { createdAt: T0, updatedAt: T0 });
    expect(types(poll(first.state, [...rows, failed]).decision)).toEqual(["task.failed"]);
  });

  it("wait for a complete listing, up to twice the cap", () => {
    const partial = poll(stateOf(), rows, { complete: false });
    expect(partial.state.tasks.size).toBe(rows.length);
    const hidden = seen("hidden", "FAILED", { name: "other", createdAt: T0 - 99 * HOUR });
    expect(types(poll(partial.state, [...rows, hidden]).decision)).toEqual(["task.failed"]);
    expect(
      poll(stateOf(), many(2 * SETTLED_CAP + 1), { complete: false }).state.tasks.size,
    ).toBeLessThanOrEqual(SETTLED_CAP);
  });

  it("with one creation time go together", () => {
    const same = many(SETTLED_CAP + 1).map((row) => ({ ...row, createdAt: T0 - HOUR }));
    const step = poll(stateOf(), same);
    expect(step.state.tasks.size).toBe(0);
    expect(poll(step.state, same).decision.changed).toBe(false);
  });

  it("dated far ahead do not raise prunedBefore over the tasks to come", () => {
    const ahead = many(SETTLED_CAP + 1).map((row) => ({ ...row, createdAt: T0 + 4000 * DAY }));
    const { state } = poll(stateOf(), ahead);
    expect(state.record.prunedBefore).toBeNull();
    expect(types(poll(state, [seen("f", "FAILED", { name: "other" })]).decision)).toEqual(["task.failed"]);
  });
});

describe("last ends by name", () => {
  it("are those of the tasks' updated_at, and survive the tasks", () => {
    const ends = (rows: readonly ObservedTask[]) => poll(stateOf(), rows).state.record.ended;
    expect(
      ends([
        done("a", HOUR, { updatedAt: T0 - 9 }),
        done("b", HOUR, { updatedAt: T0 - 5 }),
        done("c", HOUR, { status: "FAILED", updatedAt: T0 - 7 }),
        done("d", HOUR, { status: "FAILED", updatedAt: null }),
      ]),
    ).toEqual([{ name: "modifyAutoTopic", successAt: T0 - 5, failureAt: T0 - 7 }]);
  });

  it("have a cap, the longest idle names go first", () => {
    const rows = Array.from({ length: ENDS_CAP + 20 }, (_, index) =>
      done(`t${index}`, DAY, { name: `n${index}`, updatedAt: T0 - HOUR + index }),
    );
    const { ended } = poll(stateOf(), rows).state.record;
    expect(ended).toHaveLength(ENDS_CAP);
    expect(ended.some(({ name }) => name === "n0")).toBe(false);
    expect(ended.some(({ name }) => name === `n${ENDS_CAP + 19}`)).toBe(true);
  });
});

it("open tasks have a cap for new ones: one that is left out is said, and told when it fails", () => {
  const rows = Array.from({ length: OPEN_TASKS_CAP }, (_, index) => seen(`o${index}`, "EXECUTING"));
  const full = poll(stateOf(), rows);
  expect(full.state.tasks.size).toBe(OPEN_TASKS_CAP);
  const more = poll(full.state, [...rows, seen("more", "EXECUTING"), seen("failed", "FAILED")]);
  expect(more.state.tasks.has("more")).toBe(false);
  expect(more.decision.facts).toContainEqual({ kind: "too_many_open", cap: OPEN_TASKS_CAP });
  expect(types(more.decision)).toEqual(["task.failed"]);
  const ended = poll(more.state, [...rows, seen("more", "FAILED"), seen("failed", "FAILED")]);
  expect(only(ended.decision.events)).toMatchObject({ type: "task.failed", data: { task: { id: "more" } } });
  expect(ended.decision.facts.map(({ kind }) => kind)).not.toContain("too_many_open");
});

it("a failure that is pruned after it was resolved stays quiet", () => {
  const old: TaskState = known(seen("f", "FAILED", { createdAt: T0 - 31 * DAY }), { failedAt: T0 - 8 * DAY });
  const step = poll(stateOf([old]), []);
  expect(only(step.decision.events).data.resolution).toBe("expired");
  const next = poll(step.state, [], { now: T0 + DAY });
  expect([...step.decision.removals, ...next.decision.removals]).toEqual(["f"]);
});
