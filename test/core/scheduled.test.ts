import { describe, expect, it } from "vitest";
import { acknowledge } from "../../src/core/ack.ts";
import { apply } from "../../src/core/apply.ts";
import type { Decision } from "../../src/core/decision.ts";
import { SCHEDULED_CAP } from "../../src/core/scheduled.ts";
import type { InstanceState, ScheduledTask } from "../../src/core/state.ts";
import { followUps, progressAsks } from "../../src/core/window.ts";
import {
  ALL_EXECUTE,
  DAY,
  fresh,
  HOUR,
  inputOf,
  MINUTE,
  only,
  type PollChanges,
  poll,
  rulesOf,
  seen,
  stateOf,
  T0,
  types,
} from "./support.ts";

const rules = rulesOf({ scheduledTasks: true });
const planned = (at: number, changes: Partial<ScheduledTask> = {}): ScheduledTask => ({
  id: "s",
  name: "restartInstance",
  status: "CREATED",
  scheduleAt: at,
  createdAt: at - DAY,
  ...changes,
});
/** Late since four minutes, with the limit of 15 minutes. */
const late = planned(T0 - 19 * MINUTE);

interface More extends PollChanges {
  readonly tasks?: Parameters<typeof poll>[1];
}
const look = (
  state: InstanceState,
  scheduled: readonly ScheduledTask[] | null,
  { tasks = [], ...more }: More = {},
) => poll(state, tasks, { rules, scheduled, ...more });

const stuck = look(stateOf(), [late]);

describe("a scheduled task that did not start", () => {
  it("is told once it is later than queued_after, as a task of its own", () => {
    expect(only(stuck.decision.events)).toMatchObject({
      type: "task.stuck",
      webhooks: ["ops"],
      data: {
        task: { id: "s", name: "restartInstance", status: "CREATED" },
        verdict: "not_started",
        threshold: { seconds: 900, source: "not_started", samples: 0 },
        sequence: 1,
      },
    });
    expect(stuck.decision.events[0]?.data.reason).toMatch(/planned for 2026-11-24T09:41:00.000Z.* 19m later/);
    expect(look(stuck.state, [late], { now: T0 + MINUTE }).decision.changed).toBe(false);
  });

  it.each([
    ["has its time ahead", planned(T0 + HOUR)],
    ["is late by no more than queued_after", planned(T0 - 15 * MINUTE)],
    ["is running", planned(T0 - HOUR, { status: "EXECUTING" })],
    ["was cancelled", planned(T0 - HOUR, { status: "CANCELLED" })],
    ["has ended", planned(T0 - HOUR, { status: "SUCCESS" })],
    ["tells no planned start", planned(T0, { scheduleAt: null })],
    ["was planned before anything that is remembered", planned(T0 - 31 * DAY)],
  ])("nothing is told of one that %s", (_, row) => {
    expect(look(stateOf(), [row]).decision.events).toEqual([]);
    expect(look(fresh(), [row]).decision.events).toEqual([]);
  });

  it("nothing is told of one that has begun: by its id, or by a task of its name since", () => {
    const by = (id: string, name: string, createdAt: number) =>
      look(stateOf(), [late], { tasks: [seen(id, "SUCCESS", { name, createdAt, updatedAt: T0 })] });
    expect(types(by("s", "other", T0 - 19 * MINUTE).decision)).toEqual(["task.succeeded"]);
    expect(types(by("x", "restartInstance", T0 - 19 * MINUTE).decision)).toEqual(["task.succeeded"]);
    expect(types(by("x", "restartInstance", T0 - HOUR).decision)).toEqual(["task.succeeded", "task.stuck"]);
    expect(types(by("x", "other", T0 - 18 * MINUTE).decision)).toEqual(["task.succeeded", "task.stuck"]);
  });

  it("nothing new is told while either list is not whole", () => {
    expect(look(stateOf(), null).decision.changed).toBe(false);
    expect(look(stateOf(), [late], { complete: false }).decision.events).toEqual([]);
    expect(look(stuck.state, null).decision.changed).toBe(false);
    expect(look(stuck.state, [], { complete: false }).decision.events).toEqual([]);
  });

  it("is judged at the first poll too, within max_lookback", () => {
    expect(types(look(fresh(), [late]).decision)).toEqual(["task.stuck"]);
  });

  it("is never taken for an open task of the task list", () => {
    const off = rulesOf({ scheduledTasks: true, stuck: { noProgressAfter: MINUTE } });
    const { observation } = inputOf(stuck.state, []);
    expect(followUps(stuck.state, observation.listing)).toEqual([]);
    expect(progressAsks(stuck.state, off, ALL_EXECUTE, T0, T0)).toEqual([]);
  });

  it("keeps its verdict through a clock that went back, and loses it by a longer limit", () => {
    expect(look(stuck.state, [late], { now: T0 - 10 * MINUTE }).decision.events).toEqual([]);
    const longer = rulesOf({ scheduledTasks: true, stuck: { queuedAfter: HOUR } });
    expect(types(look(stuck.state, [late], { rules: longer }).decision)).toEqual(["task.recovered"]);
  });

  it("is said again as stuck.repeat asks", () => {
    const repeating = rulesOf({ scheduledTasks: true, stuck: { repeat: 10 * MINUTE } });
    const again = look(stuck.state, [late], { rules: repeating, now: T0 + 10 * MINUTE });
    expect(types(again.decision)).toEqual(["task.stuck"]);
  });
});

describe("its end", () => {
  const recovered = (decision: Decision) => {
    const event = decision.events.find(({ type }) => type === "task.recovered");
    return event && { resolution: event.data.resolution, reason: event.data.reason };
  };

  it.each<[string, readonly ScheduledTask[], More, readonly string[], string]>([
    [
      "runs by its list",
      [{ ...late, status: "EXECUTING" }],
      {},
      ["task.status_changed", "task.recovered"],
      "moved_on",
    ],
    ["succeeds", [{ ...late, status: "SUCCESS" }], {}, ["task.succeeded", "task.recovered"], "ended"],
    ["is cancelled", [{ ...late, status: "CANCELLED" }], {}, ["task.cancelled", "task.recovered"], "ended"],
    ["is planned anew", [planned(T0 + HOUR)], {}, ["task.recovered"], "moved_on"],
    ["is planned anew for a moment ago", [planned(T0 - MINUTE)], {}, ["task.recovered"], "moved_on"],
    ["is gone from the list", [], {}, ["task.vanished", "task.recovered"], "vanished"],
    [
      "runs in the task list under its id",
      [],
      { tasks: [seen("s", "EXECUTING", { name: "restartInstance", createdAt: T0 })] },
      ["task.started", "task.recovered"],
      "moved_on",
    ],
    [
      "has ended in the task list under its id",
      [late],
      { tasks: [seen("s", "SUCCESS", { name: "restartInstance" })] },
      ["task.succeeded", "task.recovered"],
      "ended",
    ],
    [
      "runs under another id",
      [],
      { tasks: [seen("x", "EXECUTING", { name: "restartInstance", createdAt: T0 })] },
      ["task.started", "task.recovered"],
      "moved_on",
    ],
    [
      "runs under another id while its plan is still listed",
      [late],
      { tasks: [seen("x", "EXECUTING", { name: "restartInstance", createdAt: T0 })] },
      ["task.started", "task.recovered"],
      "moved_on",
    ],
  ])("when it %s", (_, rows, more, told, resolution) => {
    const { decision, state } = look(stuck.state, rows, { now: T0 + MINUTE, ...more });
    expect(types(decision)).toEqual(told);
    expect(recovered(decision)?.resolution).toBe(resolution);
    expect([...state.tasks.values()].some(({ verdict }) => verdict !== null)).toBe(false);
    expect(look(state, rows, { now: T0 + MINUTE, ...more }).decision.changed).toBe(false);
  });

  it("a failure goes on with the incident, and is an open failure", () => {
    const { decision, state } = look(stuck.state, [{ ...late, status: "FAILED" }]);
    expect(only(decision.events)).toMatchObject({
      type: "task.failed",
      data: { was_stuck: true, sequence: 2 },
    });
    expect(state.tasks.get("s")?.failedAt).toBe(T0);
    expect(look(state, [], { now: T0 + MINUTE }).decision.changed).toBe(false);
  });

  it("once it runs in the task list it is judged like any other", () => {
    const began = [seen("s", "EXECUTING", { name: "restartInstance", createdAt: T0 })];
    const running = look(stuck.state, [], { tasks: began });
    expect(running.state.tasks.get("s")).toMatchObject({ scheduleAt: null, verdict: null });
    const hanging = look(running.state, null, { tasks: began, now: T0 + 2 * HOUR });
    expect(only(hanging.decision.events).data).toMatchObject({ verdict: "running_too_long", sequence: 4 });
  });

  it("one that hangs in the list of scheduled tasks can be acknowledged, until it is planned anew", () => {
    const by = { by: "ann", at: T0 + MINUTE, reason: null };
    const acked = acknowledge(stuck.state, "s", by, rules) as Decision;
    const state = apply(stuck.state, acked);
    expect(recovered(acked)?.resolution).toBe("acknowledged");
    expect(look(state, [late], { now: T0 + HOUR }).decision.changed).toBe(false);
    const anew = look(state, [planned(T0 + HOUR)], { now: T0 + HOUR });
    expect(types(look(anew.state, [planned(T0 + HOUR)], { now: T0 + 2 * HOUR }).decision)).toEqual([
      "task.stuck",
    ]);
  });

  it("the second time is another event than the first", () => {
    const away = look(stuck.state, [planned(T0 + HOUR)]);
    const again = look(away.state, [planned(T0 + HOUR)], { now: T0 + 2 * HOUR });
    expect(only(again.decision.events).type).toBe("task.stuck");
    expect(again.decision.events[0]?.id).not.toBe(stuck.decision.events[0]?.id);
  });

  it("comes when scheduled tasks are not watched any more", () => {
    const { decision, state } = look(stuck.state, null, { rules: rulesOf() });
    expect(recovered(decision)).toMatchObject({
      resolution: "moved_on",
      reason: expect.stringMatching(/not watched/),
    });
    expect(state.record.scheduled).toEqual([]);
    expect(look(state, null, { rules: rulesOf() }).decision.changed).toBe(false);
  });

  it("under maintenance it is held back and sent afterwards, under its id", () => {
    const muting = rulesOf({
      scheduledTasks: true,
      mutedUntil: (now) => (now < T0 + HOUR ? T0 + HOUR : null),
    });
    const inside = look(stateOf(), [late], { rules: muting });
    expect(only(inside.decision.events)).toMatchObject({ webhooks: [], data: { muted: true } });
    const after = look(inside.state, null, { rules: muting, now: T0 + HOUR });
    expect(only(after.decision.events)).toMatchObject({
      id: inside.decision.events[0]?.id,
      webhooks: ["ops"],
      data: { verdict: "not_started", muted_until: new Date(T0 + HOUR).toISOString() },
    });
  });
});

describe("what waits for its start", () => {
  it("is kept in the order of it, without what runs, has ended, or is too old to judge", () => {
    const rows = [
      planned(T0 + 2 * HOUR, { id: "b" }),
      planned(T0 + HOUR, { id: "a" }),
      planned(0, { id: "c", scheduleAt: null, status: "SCHEDULED" }),
      planned(T0, { id: "d", status: "EXECUTING" }),
      planned(T0, { id: "e", status: "CANCELLED" }),
      planned(T0 - 40 * DAY, { id: "f" }),
    ];
    const { state } = look(stateOf(), rows);
    expect(state.record.scheduled.map(({ id }) => id)).toEqual(["a", "b", "c"]);
    expect(look(state, [...rows].reverse()).decision.changed).toBe(false);
    expect(look(state, []).state.record.scheduled).toEqual([]);
  });

  it("has a bound, and so has what is judged of it", () => {
    const rows = Array.from({ length: SCHEDULED_CAP + 50 }, (_, index) =>
      planned(T0 - HOUR - index, { id: `s${index}` }),
    );
    const { state, decision } = look(stateOf(), rows);
    expect(state.record.scheduled.length).toBe(SCHEDULED_CAP);
    expect(decision.events.length).toBe(SCHEDULED_CAP);
  });

  it("teaches nothing about how long tasks take", () => {
    const { decision } = look(stuck.state, [{ ...late, status: "SUCCESS" }]);
    expect(decision.learned).toEqual([]);
    expect(decision.record.ended).toEqual([]);
  });
});
