import { describe, expect, it } from "vitest";
import { expireFailuresByTime } from "../../src/core/failures.ts";
import { releaseInstance } from "../../src/core/health.ts";
import { isMuted } from "../../src/core/state.ts";
import { HOUR, MINUTE, only, poll, rulesOf, seen, stateOf, T0, types } from "./support.ts";

const END = T0 + HOUR;
const rules = rulesOf({ mutedUntil: (now, task) => (task?.name !== "other" && now < END ? END : null) });
const failed = seen("f", "FAILED");
const hanging = seen("h", "EXECUTING", { createdAt: T0 - 2 * HOUR });
const success = seen("s", "SUCCESS", { createdAt: T0 - MINUTE, updatedAt: T0 });

describe("inside a maintenance window", () => {
  const failure = poll(stateOf(), [failed], { rules });
  const stuck = poll(stateOf(), [hanging], { rules });

  it("failures and verdicts are recorded and counted, and sent to nobody", () => {
    expect(only(failure.decision.events)).toMatchObject({
      webhooks: [],
      data: { muted: true, muted_until: null },
    });
    expect(failure.state.tasks.get("f")?.failedAt).toBe(T0);
    expect(stuck.decision.events[1]).toMatchObject({
      type: "task.stuck",
      webhooks: [],
      data: { muted: true },
    });
    expect(stuck.state.tasks.get("h")?.verdict?.kind).toBe("running_too_long");
  });

  it("what it does not match, and what is no opening, is sent", () => {
    const other = poll(stateOf(), [{ ...failed, name: "other" }], { rules });
    expect(only(other.decision.events)).toMatchObject({ webhooks: ["ops"], data: { muted: false } });
    expect(stuck.decision.events[0]?.data.muted).toBe(false);
  });

  it("what ended inside is kept with muted: true, its end too", () => {
    const { decision, state } = poll(failure.state, [failed, success], { rules, now: T0 + MINUTE });
    expect(decision.events[1]).toMatchObject({ type: "task.recovered", webhooks: [], data: { muted: true } });
    expect(state.tasks.get("f")).toMatchObject({ failedAt: null, muted: null });
    expect(poll(state, [failed, success], { rules, now: END }).decision.changed).toBe(false);
  });

  it("the end of what was announced before is not muted", () => {
    const before = poll(stateOf(), [failed]);
    const { decision } = poll(before.state, [failed, success], { rules });
    expect(decision.events[1]).toMatchObject({ webhooks: ["ops"], data: { muted: false } });
  });

  it("a stuck task that was announced and fails inside tells its end to those who know", () => {
    const before = poll(stateOf(), [hanging]);
    const inside = poll(before.state, [{ ...hanging, status: "FAILED", updatedAt: T0 }], { rules });
    expect(only(inside.decision.events)).toMatchObject({ type: "task.failed", webhooks: [] });
    const after = poll(inside.state, [{ ...hanging, status: "FAILED", updatedAt: T0 }, success], { rules });
    expect(after.decision.events[1]).toMatchObject({ webhooks: ["ops"], data: { muted: false } });
  });

  it("a stuck task that was announced is not muted when its verdict changes, and is when it fails", () => {
    let step = poll(stateOf(), [{ ...hanging, status: "WAITING" }]);
    const muted: boolean[] = [];
    for (const [row, now] of [
      [hanging, T0],
      [{ ...hanging, status: "FAILED", updatedAt: T0 }, T0],
      [{ ...hanging, status: "FAILED", updatedAt: T0 }, END],
    ] as const) {
      step = poll(step.state, [row], { rules, now });
      muted.push(isMuted(step.state.tasks.get("h")!));
    }
    expect(muted).toEqual([false, true, false]);
  });

  it("repeats wait for its end", () => {
    const repeating = { ...rules, stuck: { ...rules.stuck, repeat: 10 * MINUTE } };
    let step = poll(stateOf(), [hanging], { rules: { ...repeating, mutedUntil: () => null } });
    step = poll(step.state, [hanging], { rules: repeating, now: T0 + 30 * MINUTE });
    expect(step.decision.changed).toBe(false);
    step = poll(step.state, [hanging], { rules: repeating, now: END });
    expect(types(step.decision)).toEqual(["task.stuck"]);
  });
});

describe("when the window ends", () => {
  for (const { what, row, type } of [
    { what: "a failure", row: failed, type: "task.failed" },
    { what: "a verdict", row: hanging, type: "task.stuck" },
  ]) {
    it(`${what} that still holds is sent once, under its own id and sequence`, () => {
      const inside = poll(stateOf(), [row], { rules });
      const held = inside.decision.events.at(-1)!;
      expect(poll(inside.state, [row], { rules, now: END - 1 }).decision.changed).toBe(false);
      const out = poll(inside.state, [row], { rules, now: END });
      expect(only(out.decision.events)).toMatchObject({
        id: held.id,
        type,
        time: END,
        webhooks: ["ops"],
        data: { sequence: held.data.sequence, muted: false, muted_until: new Date(END).toISOString() },
      });
      expect(out.state.tasks.get(row.id)).toMatchObject({
        muted: null,
        informed: ["ops"],
        sequence: held.data.sequence,
      });
      expect(poll(out.state, [row], { rules, now: END + MINUTE }).decision.changed).toBe(false);
    });
  }

  it("it is sent also while the instance does not answer", () => {
    const { state } = poll(stateOf(), [failed], { rules });
    expect(expireFailuresByTime(state, rules, END - 1).changed).toBe(false);
    expect(only(expireFailuresByTime(state, rules, END).events)).toMatchObject({
      type: "task.failed",
      webhooks: ["ops"],
    });
  });

  it("one that is taken out of the configuration ends there and then", () => {
    const { state } = poll(stateOf(), [failed], { rules });
    const now = T0 + MINUTE;
    const ended = new Date(now).toISOString();
    expect(only(poll(state, [failed], { now }).decision.events).data.muted_until).toBe(ended);
    const held = { eventId: "e", sequence: 0, until: END, announced: null };
    const down = stateOf([], {
      unreachable: { since: T0, at: T0, cause: "timeout", answer: null, informed: [], muted: held },
    });
    expect(only(releaseInstance(down.record, rulesOf(), now).events).data.muted_until).toBe(ended);
  });

  it("only the last stage of an incident is sent", () => {
    const stuck = poll(stateOf(), [hanging], { rules });
    const inside = poll(stuck.state, [{ ...hanging, status: "FAILED", updatedAt: T0 }], { rules });
    const out = poll(inside.state, [{ ...hanging, status: "FAILED", updatedAt: T0 }], { rules, now: END });
    expect(types(out.decision)).toEqual(["task.failed"]);
    expect(only(out.decision.events).id).toBe(only(inside.decision.events).id);
  });

  it("what ends before the next poll was never announced, and ends in silence", () => {
    const { state } = poll(stateOf(), [hanging], { rules });
    const { decision } = poll(state, [{ ...hanging, status: "SUCCESS", updatedAt: END }], {
      rules,
      now: END,
    });
    expect(types(decision)).toEqual(["task.succeeded", "task.recovered"]);
    expect(decision.events[1]).toMatchObject({ webhooks: [], data: { muted: true } });
  });

  it("a window that follows on holds it longer", () => {
    const { state } = poll(stateOf(), [failed], { rules });
    const longer = rulesOf({ mutedUntil: (now) => (now < END + HOUR ? END + HOUR : null) });
    const held = poll(state, [failed], { rules: longer, now: END });
    expect(held.decision.events).toEqual([]);
    const out = poll(held.state, [failed], { rules: longer, now: END + HOUR });
    expect(only(out.decision.events).data.muted_until).toBe(new Date(END + HOUR).toISOString());
  });
});
