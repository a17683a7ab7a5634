import { describe, expect, it } from "vitest";
import { acknowledge } from "../../src/core/ack.ts";
import { apply } from "../../src/core/apply.ts";
import type { Decision, Knowledge } from "../../src/core/decision.ts";
import type { InstanceState, Threshold } from "../../src/core/state.ts";
import type { ObservedTask } from "../../src/core/task.ts";
import { queuedThreshold, runningThreshold } from "../../src/core/thresholds.ts";
import {
  ALL_EXECUTE,
  DAY,
  HOUR,
  KNOWS_NOTHING,
  MINUTE,
  only,
  type PollChanges,
  poll,
  type RuleChanges,
  rulesOf,
  SECOND,
  seen,
  stateOf,
  T0,
  types,
} from "./support.ts";

const learning = (seconds: number, knownSince = 0): Knowledge => ({
  executed: () => true,
  learned: () => ({ threshold: { seconds, source: "learned", samples: 41 }, knownSince }),
});

describe("the running limit is the first that is set", () => {
  const all = {
    instanceByTask: new Map([["n", 1 * MINUTE]]),
    instanceRunningAfter: 2 * MINUTE,
    byTask: new Map([["n", 3 * MINUTE]]),
    runningAfter: 5 * MINUTE,
  };
  const rows: readonly [RuleChanges["stuck"], Knowledge, Partial<Threshold>][] = [
    [all, learning(240), { seconds: 60, source: "instance_by_task" }],
    [
      { ...all, instanceByTask: new Map() },
      learning(240),
      { seconds: 120, source: "instance_running_after" },
    ],
    [
      { ...all, instanceByTask: new Map(), instanceRunningAfter: null },
      learning(240),
      { seconds: 180, source: "by_task" },
    ],
    [{ runningAfter: 5 * MINUTE }, learning(240), { seconds: 240, source: "learned", samples: 41 }],
    [{ runningAfter: 5 * MINUTE }, KNOWS_NOTHING, { seconds: 300, source: "running_after", samples: 0 }],
    [{ byTask: new Map([["other", 1]]) }, KNOWS_NOTHING, { seconds: 3600, source: "running_after" }],
  ];
  for (const [stuck, knowledge, expected] of rows) {
    it(`${expected.source}`, () => {
      expect(runningThreshold(rulesOf({ stuck: stuck! }).stuck, knowledge, "n", T0)).toMatchObject(expected);
    });
  }

  it("a learned limit that is shorter than running_after counts once its runs were known for a day", () => {
    const { stuck } = rulesOf();
    const sourceAt = (seconds: number, now: number) =>
      runningThreshold(stuck, learning(seconds, T0), "n", now).source;
    const day = 24 * 60 * MINUTE;
    expect([T0, T0 + day - 1, T0 + day].map((now) => sourceAt(1800, now))).toEqual([
      "running_after",
      "running_after",
      "learned",
    ]);
    // Nor does a clock that was set back an hour make it count.
    expect(sourceAt(1800, T0 - 60 * MINUTE)).toBe("running_after");
    // A longer one only spares pages.
    expect(sourceAt(3601, T0)).toBe("learned");
  });

  it("what was learned does not count while learning is off", () => {
    const { stuck } = rulesOf();
    const off = { ...stuck, learn: { ...stuck.learn, enabled: false } };
    expect(runningThreshold(off, learning(240), "n", T0).source).toBe("running_after");
  });
});

describe("the queued limit", () => {
  const { stuck } = rulesOf();
  it("is queued_after for a name that was seen to go on to EXECUTING", () => {
    expect(queuedThreshold(stuck, ALL_EXECUTE, "n", true, T0)).toMatchObject({
      seconds: 900,
      source: "queued_after",
    });
  });
  it("is the running limit for a name that may run in CREATED", () => {
    expect(queuedThreshold(stuck, KNOWS_NOTHING, "n", false, T0).source).toBe("running_after");
  });
});

const at = (status: string, age: number, more: Partial<ObservedTask> = {}) =>
  seen("a", status, { createdAt: T0 - age, updatedAt: T0 - age, ...more });

describe("a verdict", () => {
  for (const { status, age, knowledge = ALL_EXECUTE, verdict } of [
    { status: "CREATED", age: 15 * MINUTE, verdict: null },
    { status: "CREATED", age: 15 * MINUTE + 1, verdict: "queued_too_long" },
    { status: "WAITING", age: 16 * MINUTE, verdict: "queued_too_long" },
    { status: "CREATED", age: 16 * MINUTE, knowledge: KNOWS_NOTHING, verdict: null },
    { status: "CREATED", age: 61 * MINUTE, knowledge: KNOWS_NOTHING, verdict: "queued_too_long" },
    { status: "EXECUTING", age: HOUR, verdict: null },
    { status: "EXECUTING", age: HOUR + 1, verdict: "running_too_long" },
    { status: "PAUSED", age: HOUR + 1, verdict: "running_too_long" },
    { status: "SUCCESS", age: 9 * HOUR, verdict: null },
  ]) {
    it(`of ${status} at ${age} ms is ${verdict}${knowledge === KNOWS_NOTHING ? " where the name never executed" : ""}`, () => {
      const { state } = poll(stateOf(), [at(status, age)], { knowledge });
      expect(state.tasks.get("a")?.verdict?.kind ?? null).toBe(verdict);
    });
  }

  it("uses the cloud's clock for the age", () => {
    const changes = { cloudNow: T0 - 2 * HOUR };
    expect(types(poll(stateOf(), [at("EXECUTING", 90 * MINUTE)], changes).decision)).toEqual([
      "task.started",
    ]);
  });

  it("without a creation time counts from the first sighting", () => {
    const row = at("EXECUTING", 0, { createdAt: null });
    const first = poll(stateOf(), [row]);
    expect(types(first.decision)).toEqual(["task.started"]);
    const later = poll(first.state, [row], { now: T0 + HOUR + 1 });
    expect(only(later.decision.events).data).toMatchObject({
      verdict: "running_too_long",
      duration_seconds: null,
    });
  });

  it("tells the limit and where it comes from", () => {
    const rules = rulesOf({ stuck: { instanceByTask: new Map([["modifyAutoTopic", 20 * MINUTE]]) } });
    const { decision } = poll(stateOf(), [at("EXECUTING", 21 * MINUTE)], { rules });
    const event = decision.events[1]!;
    expect(event.type).toBe("task.stuck");
    expect(event.data).toMatchObject({
      verdict: "running_too_long",
      previous_verdict: null,
      threshold: { seconds: 1200, source: "instance_by_task", samples: 0 },
      duration_seconds: 1260,
      reason: "running_too_long: EXECUTING, age 21m, limit 20m (by_task of the instance)",
    });
  });

  it("of a name is judged as soon as this poll shows that the name executes", () => {
    const rows = [at("CREATED", 16 * MINUTE), seen("b", "EXECUTING")];
    const first = poll(stateOf(), rows, { knowledge: KNOWS_NOTHING });
    expect(first.state.tasks.get("a")?.verdict?.kind).toBe("queued_too_long");
    expect(poll(first.state, rows, { knowledge: KNOWS_NOTHING }).decision.changed).toBe(false);
  });
});

function follow(steps: readonly [ObservedTask, PollChanges][]): { state: InstanceState; told: Decision[] } {
  let state = stateOf();
  const told: Decision[] = [];
  for (const [row, changes] of steps) {
    const step = poll(state, [row], changes);
    state = step.state;
    told.push(step.decision);
  }
  return { state, told };
}

describe("a stuck task", () => {
  const stuck = at("EXECUTING", 2 * HOUR);
  const start = () => poll(stateOf(), [stuck]).state;
  const next = (status: string) => at(status, 2 * HOUR, { updatedAt: T0 });

  it("is told once while nothing changes", () => {
    for (let minute = 1; minute < 50; minute += 7) {
      expect(poll(start(), [stuck], { now: T0 + minute * MINUTE }).decision.changed).toBe(false);
    }
  });

  for (const status of ["SUCCESS", "CANCELLED", "DELETED"]) {
    it(`that ends ${status} tells its end and then the recovery`, () => {
      const { decision, state } = poll(start(), [next(status)]);
      const [end, recovered] = decision.events;
      expect(end?.data).toMatchObject({ was_stuck: true, previous_verdict: "running_too_long", sequence: 3 });
      expect(recovered?.type).toBe("task.recovered");
      expect(recovered?.data).toMatchObject({ recovered_from: "stuck", resolution: "ended", sequence: 4 });
      expect(state.tasks.get("a")).toMatchObject({ verdict: null, informed: [] });
    });
  }

  it("that ends FAILED tells only that, and the incident goes on", () => {
    const { decision, state } = poll(start(), [next("FAILED")]);
    const event = only(decision.events);
    expect(event.type).toBe("task.failed");
    expect(event.data).toMatchObject({
      was_stuck: true,
      previous_verdict: "running_too_long",
      verdict: null,
    });
    expect(state.tasks.get("a")).toMatchObject({ verdict: null, failedAt: T0, informed: ["ops"] });
  });

  it("that vanishes tells both", () => {
    const { decision } = poll(start(), [], { lookups: { a: { kind: "gone" } } });
    expect(types(decision)).toEqual(["task.vanished", "task.recovered"]);
    expect(decision.events[1]?.data.resolution).toBe("vanished");
  });

  it("whose verdict changes is stuck again, with the one before", () => {
    const rows = follow([
      [at("CREATED", 30 * MINUTE), {}],
      [at("EXECUTING", 2 * HOUR), {}],
    ]);
    expect(types(rows.told[1]!)).toEqual(["task.status_changed", "task.stuck"]);
    expect(rows.told[1]!.events[1]?.data).toMatchObject({
      verdict: "running_too_long",
      previous_verdict: "queued_too_long",
      was_stuck: true,
    });
  });

  it("that goes on in time has recovered: moved_on", () => {
    const { told, state } = follow([
      [at("CREATED", 30 * MINUTE), {}],
      [at("EXECUTING", 30 * MINUTE, { updatedAt: T0 }), {}],
    ]);
    expect(types(told[1]!)).toEqual(["task.status_changed", "task.recovered"]);
    expect(told[1]!.events[1]?.data).toMatchObject({ recovered_from: "stuck", resolution: "moved_on" });
    expect(state.tasks.get("a")?.verdict).toBeNull();
  });

  it("that is stuck the same way again gets a new id", () => {
    const { told } = follow([
      [at("CREATED", 30 * MINUTE), {}],
      [at("EXECUTING", 30 * MINUTE, { updatedAt: T0 - 1 }), {}],
      [at("CREATED", 30 * MINUTE, { updatedAt: T0 }), {}],
    ]);
    const ids = told.flatMap(({ events }) =>
      events.filter(({ type }) => type === "task.stuck").map(({ id }) => id),
    );
    expect(new Set(ids).size).toBe(2);
  });

  it("stays stuck when the cloud's clock goes back, or a learned limit moves", () => {
    expect(poll(start(), [stuck], { cloudNow: T0 - 90 * MINUTE }).decision.events).toEqual([]);
    const learned = poll(stateOf(), [stuck], { knowledge: learning(3600) }).state;
    expect(poll(learned, [stuck], { knowledge: learning(9000) }).decision.events).toEqual([]);
  });

  it("stays stuck when what it was judged by is not known just now", () => {
    const rules = rulesOf({ stuck: { runningAfter: 5 * HOUR } });
    const learned = poll(stateOf(), [stuck], { rules, knowledge: learning(3600) }).state;
    expect(learned.tasks.get("a")?.verdict?.threshold.source).toBe("learned");
    expect(poll(learned, [stuck], { rules, knowledge: KNOWS_NOTHING }).decision.events).toEqual([]);
    const off = { ...rules, stuck: { ...rules.stuck, learn: { ...rules.stuck.learn, enabled: false } } };
    expect(types(poll(learned, [stuck], { rules: off }).decision)).toEqual(["task.recovered"]);

    const row = at("CREATED", 30 * MINUTE);
    const queued = poll(stateOf(), [row]).state;
    expect(queued.tasks.get("a")?.verdict?.threshold.source).toBe("queued_after");
    expect(poll(queued, [row], { knowledge: KNOWS_NOTHING }).decision.events).toEqual([]);
  });

  it("has recovered when the configured limit is raised above its age", () => {
    const rules = rulesOf({ stuck: { runningAfter: 3 * HOUR } });
    const { decision } = poll(start(), [stuck], { rules });
    expect(only(decision.events).data).toMatchObject({ recovered_from: "stuck", resolution: "moved_on" });
  });

  it("gets no new verdict from an incomplete listing that does not show it", () => {
    const state = poll(stateOf(), [at("EXECUTING", 30 * MINUTE)]).state;
    const later = { now: T0 + HOUR, complete: false };
    expect(poll(state, [], later).decision.events).toEqual([]);
    expect(types(poll(state, [], { ...later, complete: true }).decision)).toEqual(["task.stuck"]);
  });

  it("is repeated as stuck.repeat asks, each time under its own id", () => {
    const rules = rulesOf({ stuck: { repeat: HOUR } });
    let state = poll(stateOf(), [stuck], { rules }).state;
    const ids = new Set<string>();
    for (let minute = 0; minute <= 180; minute += 20) {
      const step = poll(state, [stuck], { rules, now: T0 + minute * MINUTE });
      for (const { id, data } of step.decision.events) {
        ids.add(id);
        expect(data).toMatchObject({ verdict: "running_too_long", previous_verdict: null });
      }
      state = step.state;
    }
    expect(ids.size).toBe(3);
  });
});

describe("no_progress", () => {
  const rules = rulesOf({ stuck: { noProgressAfter: 10 * MINUTE } });
  const row = at("EXECUTING", 30 * MINUTE);
  const withRatio = (state: InstanceState, minute: number, ratio: number) =>
    poll(state, [row], { rules, now: T0 + minute * MINUTE, progress: { a: ratio } });

  it("comes when the figure has not grown for so long, and goes when it grows", () => {
    let step = withRatio(stateOf([]), 0, 0.1);
    step = withRatio(poll(step.state, [row], { rules }).state, 0, 0.4);
    step = withRatio(step.state, 10, 0.3);
    expect(step.decision.events).toEqual([]);
    step = withRatio(step.state, 11, 0.4);
    expect(only(step.decision.events).data).toMatchObject({
      verdict: "no_progress",
      progress_ratio: 0.4,
      threshold: { seconds: 600, source: "no_progress_after", samples: 0 },
    });
    step = withRatio(step.state, 12, 0.41);
    expect(only(step.decision.events).data).toMatchObject({ resolution: "moved_on", progress_ratio: 0.41 });
  });

  it("gives way to running_too_long, as a change of verdict", () => {
    let step = withRatio(poll(stateOf(), [row], { rules }).state, 0, 0.5);
    step = withRatio(step.state, 11, 0.5);
    step = withRatio(step.state, 31, 0.5);
    expect(only(step.decision.events).data).toMatchObject({
      verdict: "running_too_long",
      previous_verdict: "no_progress",
    });
  });

  it("does not take figures that are none", () => {
    const { state } = poll(stateOf(), [row], { rules });
    for (const ratio of [-1, 2, Number.NaN]) {
      expect(withRatio(state, 1, ratio).state.tasks.get("a")?.progress).toBeNull();
    }
  });
});

describe("an acknowledged stuck task", () => {
  const rules = rulesOf({ stuck: { repeat: MINUTE } });
  const row = at("CREATED", 2 * HOUR);
  const start = () => {
    const { state } = poll(stateOf(), [row], { rules });
    const by = { by: "ann", at: T0 + SECOND, reason: "zombie row" };
    const decision = acknowledge(state, "a", by, rules) as Decision;
    return { decision, state: apply(state, decision) };
  };

  it("has recovered, by whom and why", () => {
    const { decision, state } = start();
    expect(only(decision.events).data).toMatchObject({
      recovered_from: "stuck",
      resolution: "acknowledged",
      resolved_by: { user: "ann" },
      reason: "acknowledged by ann: zombie row",
    });
    expect(only(decision.events).webhooks).toEqual(["ops"]);
    expect(state.tasks.get("a")).toMatchObject({
      verdict: null,
      acknowledged: { by: "ann", at: T0 + SECOND },
    });
  });

  it("gives no further verdict, but a later FAILED alerts", () => {
    const { state } = start();
    const quiet = poll(state, [row], { rules, now: T0 + DAY });
    expect(quiet.decision.changed).toBe(false);
    const moved = poll(state, [at("EXECUTING", 2 * HOUR)], { rules, now: T0 + DAY });
    expect(types(moved.decision)).toEqual(["task.status_changed"]);
    const failed = poll(moved.state, [at("FAILED", 2 * HOUR)], { rules, now: T0 + DAY });
    expect(types(failed.decision)).toEqual(["task.failed"]);
    expect(only(failed.decision.events).webhooks).toEqual(["ops"]);
    expect(failed.state.tasks.get("a")?.failedAt).toBe(T0 + DAY);
  });

  it("cannot be acknowledged twice, and neither can what needs nobody", () => {
    const { state } = start();
    const by = { by: "bob", at: T0, reason: null };
    expect(acknowledge(state, "a", by, rules)).toEqual({
      refused: "task a was acknowledged by ann at 2026-11-24T10:00:01.000Z",
    });
    expect(acknowledge(state, "x", by, rules)).toEqual({ refused: "task x is not known" });
    const calm = poll(stateOf(), [seen("c", "SUCCESS")]).state;
    expect(acknowledge(calm, "c", by, rules)).toEqual({
      refused: "task c is neither an open failure nor stuck: SUCCESS",
    });
  });
});
