import { describe, expect, it } from "vitest";
import { acknowledge } from "../../src/core/ack.ts";
import { apply } from "../../src/core/apply.ts";
import type { Decision } from "../../src/core/decision.ts";
import { expireFailuresByTime, OPEN_FAILURES_CAP } from "../../src/core/failures.ts";
import { discoverInstance, removeInstance } from "../../src/core/membership.ts";
import type { InstanceState } from "../../src/core/state.ts";
import type { ObservedTask } from "../../src/core/task.ts";
import {
  DAY,
  fresh,
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
  webhook,
} from "./support.ts";

const failed = (changes: Partial<ObservedTask> = {}) => seen("f", "FAILED", changes);
const success = (changes: Partial<ObservedTask> = {}) =>
  seen("s", "SUCCESS", { createdAt: T0 - 3 * MINUTE, updatedAt: T0 - 2 * MINUTE, ...changes });

describe("an open failure is made good by", () => {
  const start = () => poll(stateOf(), [failed()]).state;

  it("a task of the same name on the instance that was created later and reached SUCCESS", () => {
    const { decision, state } = poll(start(), [failed(), success()]);
    expect(types(decision)).toEqual(["task.succeeded", "task.recovered"]);
    expect(decision.events[1]?.data).toMatchObject({
      task: { id: "f", status: "FAILED" },
      recovered_from: "failure",
      resolution: "later_success",
      resolved_by: { task_id: "s" },
    });
    expect(state.tasks.get("f")?.failedAt).toBeNull();
  });

  it("a success that is seen in the same poll as the failure", () => {
    const rows = [success(), failed()];
    const { decision } = poll(stateOf(), rows);
    expect(types(decision)).toEqual(["task.failed", "task.succeeded", "task.recovered"]);
  });

  for (const { what, row } of [
    { what: "a success of another name", row: success({ name: "restartInstance" }) },
    { what: "a success that was created earlier", row: success({ createdAt: T0 - 6 * MINUTE }) },
    { what: "a success created at the same moment", row: success({ createdAt: T0 - 5 * MINUTE }) },
    { what: "a success without a creation time", row: success({ createdAt: null }) },
    { what: "a later task that still runs", row: success({ status: "EXECUTING" }) },
    { what: "a later task that was cancelled", row: success({ status: "CANCELLED" }) },
  ]) {
    it(`not by ${what}`, () => {
      expect(poll(start(), [failed(), row]).state.tasks.get("f")?.failedAt).toBe(T0);
    });
  }

  it("not by anything when its own creation time is missing", () => {
    const { state } = poll(stateOf(), [failed({ createdAt: null }), success()]);
    expect(state.tasks.get("f")?.failedAt).toBe(T0);
  });

  it("its own success or a new run: moved_on", () => {
    for (const status of ["SUCCESS", "EXECUTING"]) {
      const { decision, state } = poll(start(), [failed({ status, updatedAt: T0 })]);
      expect(decision.events[1]?.data).toMatchObject({ recovered_from: "failure", resolution: "moved_on" });
      expect(state.tasks.get("f")?.failedAt).toBeNull();
    }
  });

  it("not, after it failed once more, by a success from before that", () => {
    let { state } = poll(start(), [failed(), success()]);
    ({ state } = poll(state, [failed({ status: "EXECUTING", updatedAt: T0 }), success()]));
    const again = poll(state, [failed({ updatedAt: T0 + SECOND }), success()]);
    expect(types(again.decision)).toEqual(["task.failed"]);
    expect(again.state.tasks.get("f")?.failedAt).toBe(T0);
  });
});

describe("an open failure stays open", () => {
  it("when its row disappears", () => {
    const { state } = poll(stateOf(), [failed()]);
    expect(poll(state, [], { deep: true }).decision.changed).toBe(false);
  });

  for (const status of ["DELETED", "CANCELLED"]) {
    it(`when its row turns ${status}`, () => {
      const { state } = poll(stateOf(), [failed()]);
      const next = poll(state, [failed({ status, updatedAt: T0 })]);
      expect(next.decision.events).toHaveLength(1);
      expect(next.state.tasks.get("f")?.failedAt).toBe(T0);
    });
  }

  it("however old its row is", () => {
    let { state } = poll(stateOf(), [failed()], { rules: rulesOf({ keepOpen: null }) });
    const rules = rulesOf({ keepOpen: null });
    for (let days = 1; days < 100; days += 9) ({ state } = poll(state, [], { rules, now: T0 + days * DAY }));
    expect(state.tasks.get("f")?.failedAt).toBe(T0);
  });
});

describe("a failure past keep_open", () => {
  const { state } = poll(stateOf(), [failed()]);
  const now = T0 + 7 * DAY;

  it("expires in a poll", () => {
    expect(poll(state, [failed()], { now: now - 1 }).decision.changed).toBe(false);
    const { decision } = poll(state, [failed()], { now });
    expect(only(decision.events).data).toMatchObject({ resolution: "expired", resolved_by: null });
  });

  it("expires without a listing, with the same event", () => {
    expect(expireFailuresByTime(state, rulesOf(), now - 1).changed).toBe(false);
    const decision = expireFailuresByTime(state, rulesOf(), now);
    expect(decision.events).toEqual(poll(state, [failed()], { now }).decision.events);
    expect(expireFailuresByTime(apply(state, decision), rulesOf(), now).changed).toBe(false);
  });

  it("stays when keep_open is off, up to a cap on all of them", () => {
    expect(expireFailuresByTime(state, rulesOf({ keepOpen: null }), now + 999 * DAY).changed).toBe(false);
    const many = Array.from({ length: OPEN_FAILURES_CAP + 3 }, (_, index) =>
      known(seen(`t${index}`, "FAILED"), { failedAt: T0 + index, name: `n${index}` }),
    );
    const { decision } = poll(stateOf(many), [seen("new", "CREATED")], {
      rules: rulesOf({ keepOpen: null }),
    });
    expect(
      decision.events.filter(({ data }) => data.resolution === "expired").map(({ data }) => data.task?.id),
    ).toEqual(["t0", "t1", "t2"]);
  });
});

describe("an acknowledged failure", () => {
  const by = { by: "ann", at: T0 + SECOND, reason: null };
  const { state } = poll(stateOf(), [failed()]);
  const decision = acknowledge(state, "f", by, rulesOf()) as Decision;

  it("is resolved, keeps who and when, and stays quiet", () => {
    expect(only(decision.events).data).toMatchObject({
      recovered_from: "failure",
      resolution: "acknowledged",
      resolved_by: { user: "ann" },
    });
    const next = apply(state, decision);
    expect(next.tasks.get("f")).toMatchObject({ failedAt: null, acknowledged: by });
    expect(poll(next, [failed()], { now: T0 + HOUR }).decision.changed).toBe(false);
  });

  it("that runs again and fails again alerts again, and may hang in between", () => {
    let step = poll(apply(state, decision), [failed({ status: "EXECUTING", updatedAt: T0 })], {
      now: T0 + 2 * HOUR,
    });
    expect(types(step.decision)).toEqual(["task.status_changed", "task.stuck"]);
    step = poll(step.state, [failed({ updatedAt: T0 + 1 })], { now: T0 + 2 * HOUR });
    expect(types(step.decision)).toEqual(["task.failed"]);
  });
});

describe("a failed task whose updated_at moved without another status", () => {
  const ack = (state: InstanceState) =>
    apply(
      state,
      acknowledge(state, "f", { by: "ann", at: T0 + SECOND, reason: null }, rulesOf()) as Decision,
    );
  const first = poll(stateOf(), [failed()]);
  const acknowledged = ack(first.state);
  const later = failed({ updatedAt: T0 + MINUTE });

  it("has failed again once its failure was acknowledged: it is told and is an open failure", () => {
    const again = poll(acknowledged, [later], { now: T0 + HOUR });
    expect(only(again.decision.events)).toMatchObject({
      type: "task.failed",
      webhooks: ["ops"],
      data: {
        previous_status: "FAILED",
        reason: "failed again: updated_at moved to 2026-11-24T10:01:00.000Z",
      },
    });
    expect(again.state.tasks.get("f")).toMatchObject({ failedAt: T0 + HOUR, acknowledged: null });
    expect(again.decision.facts).toContainEqual(
      expect.objectContaining({ kind: "transition", from: "FAILED", status: "FAILED" }),
    );
    expect(poll(again.state, [later], { now: T0 + 2 * HOUR }).decision.changed).toBe(false);
  });

  it("has failed again as well when its failure had expired or was made good, or when it failed before the first poll", () => {
    const expired = apply(first.state, expireFailuresByTime(first.state, rulesOf(), T0 + 8 * DAY));
    const madeGood = poll(first.state, [failed(), success()]).state;
    const baseline = poll(fresh(), [failed()]).state;
    for (const state of [expired, madeGood, baseline]) {
      expect(state.tasks.get("f")?.failedAt).toBeNull();
      expect(types(poll(state, [later]).decision)).toEqual(["task.failed"]);
    }
  });

  it("gets the id of the failure that a poll in between would have led to, and another one each time", () => {
    const between = poll(acknowledged, [failed({ status: "EXECUTING", updatedAt: T0 + SECOND })]);
    const seenToFail = poll(between.state, [later]).decision.events[0]?.id;
    const again = poll(acknowledged, [later], { now: T0 + HOUR });
    expect(only(again.decision.events).id).toBe(seenToFail);
    expect(only(poll(acknowledged, [later], { now: T0 + DAY }).decision.events).id).toBe(seenToFail);
    const third = poll(ack(again.state), [failed({ updatedAt: T0 + 2 * MINUTE })]);
    expect(new Set([first, again, third].map(({ decision }) => decision.events[0]?.id)).size).toBe(3);
  });

  it("tells nothing new while its failure is open, and nothing when the time is older or was not known", () => {
    expect(types(poll(first.state, [later]).decision)).toEqual([]);
    expect(types(poll(acknowledged, [failed({ updatedAt: T0 - HOUR })]).decision)).toEqual([]);
    expect(types(poll(acknowledged, [failed({ updatedAt: null })]).decision)).toEqual([]);
    const undated = ack(poll(stateOf(), [failed({ updatedAt: null })]).state);
    expect(types(poll(undated, [later]).decision)).toEqual([]);
  });
});

describe("an instance that is removed", () => {
  it("ends its failures and verdicts, then says so", () => {
    const { state } = poll(stateOf(), [
      failed(),
      seen("h", "EXECUTING", { createdAt: T0 - 2 * HOUR }),
      success({ name: "x" }),
    ]);
    const decision = removeInstance(state, rulesOf(), T0 + MINUTE);
    expect(decision.events.map(({ type, data }) => [type, data.task?.id, data.resolution])).toEqual([
      ["task.recovered", "h", "instance_removed"],
      ["task.recovered", "f", "instance_removed"],
      ["instance.removed", undefined, null],
    ]);
  });

  it("tells those who heard that it was unreachable", () => {
    const state = stateOf([], {
      unreachable: { since: T0, at: T0, cause: "timeout", answer: null, informed: ["ops"], muted: null },
    });
    expect(only(removeInstance(state, rulesOf(), T0).events).webhooks).toEqual(["ops"]);
  });

  it("was discovered with an event of its own", () => {
    const rules = rulesOf({ webhooks: [webhook("all", ["instance.discovered"])] });
    const event = only(discoverInstance(fresh(), rules, T0).events);
    expect(event).toMatchObject({ type: "instance.discovered", webhooks: ["all"], data: { task: null } });
  });
});

describe("the end of an incident", () => {
  const webhooks = [
    webhook("failures", ["task.failed"]),
    webhook("ends", ["task.recovered"]),
    webhook("none", []),
  ];
  it("goes to whoever was sent the beginning, whatever its events say", () => {
    const rules = rulesOf({ webhooks });
    const first = poll(stateOf(), [failed()], { rules });
    expect(only(first.decision.events).webhooks).toEqual(["failures"]);
    const second = poll(first.state, [failed(), success()], { rules });
    expect(second.decision.events[1]?.webhooks).toEqual(["failures", "ends"]);
    expect(second.state.tasks.get("f")?.informed).toEqual([]);
  });

  it("does not go to a webhook that is gone from the configuration", () => {
    const first = poll(stateOf(), [failed()], { rules: rulesOf({ webhooks }) });
    const rules = rulesOf({ webhooks: [webhook("new", [])] });
    expect(poll(first.state, [failed(), success()], { rules }).decision.events[1]?.webhooks).toEqual([]);
  });

  it("of a stuck task that failed goes to those who heard of either", () => {
    const rules = rulesOf({
      webhooks: [webhook("hangs", ["task.stuck"]), webhook("failures", ["task.failed"])],
    });
    const row = { createdAt: T0 - 2 * HOUR };
    let step = poll(stateOf(), [failed({ ...row, status: "EXECUTING" })], { rules });
    step = poll(step.state, [failed({ ...row, updatedAt: T0 })], { rules });
    expect(only(step.decision.events).webhooks).toEqual(["failures"]);
    step = poll(step.state, [failed({ ...row, updatedAt: T0 }), success()], { rules });
    expect(step.decision.events[1]?.webhooks).toEqual(["hangs", "failures"]);
  });
});
