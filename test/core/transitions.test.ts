import { describe, expect, it } from "vitest";
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
} from "./support.ts";

const later = (seconds: number) => ({ updatedAt: T0 - 4 * MINUTE + seconds * SECOND });

describe("a change of status", () => {
  for (const { from, to, events } of [
    { from: "CREATED", to: "EXECUTING", events: ["task.status_changed"] },
    { from: "WAITING", to: "CREATED", events: ["task.status_changed"] },
    { from: "EXECUTING", to: "CREATED", events: ["task.status_changed"] },
    { from: "EXECUTING", to: "PAUSED", events: ["task.status_changed"] },
    { from: "CREATED", to: "SUCCESS", events: ["task.succeeded"] },
    { from: "EXECUTING", to: "FAILED", events: ["task.failed"] },
    { from: "EXECUTING", to: "CANCELLED", events: ["task.cancelled"] },
    { from: "EXECUTING", to: "DELETED", events: ["task.deleted"] },
    { from: "FAILED", to: "DELETED", events: ["task.deleted"] },
    { from: "FAILED", to: "EXECUTING", events: ["task.status_changed", "task.recovered"] },
    { from: "FAILED", to: "SUCCESS", events: ["task.succeeded", "task.recovered"] },
    { from: "SUCCESS", to: "EXECUTING", events: ["task.status_changed"] },
    { from: "SUCCESS", to: "FAILED", events: ["task.failed"] },
  ]) {
    it(`${from} -> ${to} tells ${events.join(" and ")}`, () => {
      const first = poll(stateOf(), [seen("a", from)]);
      const { decision, state } = poll(first.state, [seen("a", to, later(60))], { now: T0 + MINUTE });
      expect(types(decision)).toEqual(events);
      const [event] = decision.events;
      expect(event?.data.previous_status).toBe(from);
      expect(event?.data.reason).toBe(`status ${from} -> ${to}`);
      expect(event?.data.sequence).toBe(2);
      expect(state.tasks.get("a")?.status).toBe(to);
      expect(state.tasks.get("a")?.sequence).toBe(1 + events.length);
    });
  }

  for (const { status, type } of [
    { status: "CREATED", type: "task.started" },
    { status: "EXECUTING", type: "task.started" },
    { status: "PAUSED", type: "task.started" },
    { status: "SUCCESS", type: "task.succeeded" },
    { status: "FAILED", type: "task.failed" },
    { status: "CANCELLED", type: "task.cancelled" },
    { status: "DELETED", type: "task.deleted" },
  ]) {
    it(`a task first seen ${status} tells only ${type}`, () => {
      const event = only(poll(stateOf(), [seen("a", status)]).decision.events);
      expect(event.type).toBe(type);
      expect(event.data.previous_status).toBeNull();
      expect(event.data.sequence).toBe(1);
    });
  }

  it("is told once: the same listing again brings nothing to write", () => {
    const { state } = poll(stateOf(), [seen("a", "FAILED"), seen("b", "EXECUTING")]);
    const again = poll(state, [seen("a", "FAILED"), seen("b", "EXECUTING")], { now: T0 + SECOND });
    expect(again.decision.changed).toBe(false);
    expect(again.decision.events).toEqual([]);
    expect(again.state.record.lastCompleteAt).toBe(T0 + SECOND - 200);
  });
});

describe("an old copy", () => {
  it("of a task that ended is no transition when its updated_at is older, and is said", () => {
    const { state } = poll(stateOf(), [seen("a", "SUCCESS")]);
    const { decision } = poll(state, [seen("a", "EXECUTING", later(-1))]);
    expect(decision.events).toEqual([]);
    expect(decision.changed).toBe(false);
    expect(only(decision.facts).kind).toBe("stale_sighting");
  });

  it("is believed where the time does not prove it old", () => {
    const { state } = poll(stateOf(), [seen("a", "SUCCESS")]);
    for (const updatedAt of [T0 - 4 * MINUTE, T0, null]) {
      const { decision } = poll(state, [seen("a", "EXECUTING", { updatedAt })]);
      expect(types(decision)).toEqual(["task.status_changed"]);
    }
  });

  it("never moves updated_at back", () => {
    const { state } = poll(stateOf(), [seen("a", "EXECUTING", later(30))]);
    const next = poll(state, [seen("a", "EXECUTING", later(0))]);
    expect(next.decision.changed).toBe(false);
  });
});

describe("a task that fails, runs again and fails", () => {
  it("is a new failure under a new id", () => {
    let { state, decision } = poll(stateOf(), [seen("a", "FAILED")]);
    const first = only(decision.events);
    ({ state } = poll(state, [seen("a", "EXECUTING", later(60))]));
    expect(state.tasks.get("a")?.failedAt).toBeNull();
    ({ state, decision } = poll(state, [seen("a", "FAILED", later(120))], { now: T0 + 9 * MINUTE }));
    const second = only(decision.events);
    expect([first.type, second.type]).toEqual(["task.failed", "task.failed"]);
    expect(second.id).not.toBe(first.id);
    expect(state.tasks.get("a")?.failedAt).toBe(T0 + 9 * MINUTE);
  });
});

describe("the first poll", () => {
  const rows = [
    seen("done", "SUCCESS"),
    seen("bad", "FAILED"),
    seen("hangs", "EXECUTING", { createdAt: T0 - 5 * HOUR }),
  ];

  it("records what has ended in silence, announces what is open, and judges it at once", () => {
    const { state, decision } = poll(fresh(), rows);
    expect(types(decision)).toEqual(["task.started", "task.stuck"]);
    expect(state.tasks.size).toBe(3);
    expect(state.tasks.get("bad")?.failedAt).toBeNull();
    expect(state.record.baselineAt).toBe(T0);
    expect(decision.facts).toContainEqual({ kind: "baseline", tasks: 3, open: 1 });
  });

  it("feeds the thresholds that learn", () => {
    const { decision } = poll(fresh(), rows);
    expect(decision.learned).toContainEqual({
      name: "modifyAutoTopic",
      executed: false,
      seconds: 60,
      at: T0 - 4 * MINUTE,
      seenAt: T0,
    });
  });

  it("with first_poll emit, or of an instance born under watch, tells everything", () => {
    const told = ["task.failed", "task.started", "task.stuck", "task.succeeded"];
    const emit = poll(fresh(), rows, { rules: rulesOf({ window: { firstPoll: "emit" } }) });
    expect([...types(emit.decision)].sort()).toEqual(told);
    expect([...types(poll(fresh(), rows, { bornWatched: true }).decision)].sort()).toEqual(told);
  });

  it("that was incomplete is repeated as a first poll", () => {
    const first = poll(fresh(), [seen("bad", "FAILED"), seen("runs", "EXECUTING")], { complete: false });
    expect(types(first.decision)).toEqual(["task.started"]);
    expect(first.state.record.baselineAt).toBeNull();
    const second = poll(
      first.state,
      [seen("bad", "FAILED"), seen("runs", "FAILED", later(1)), seen("old", "FAILED")],
      { now: T0 + MINUTE },
    );
    expect(second.decision.events.map(({ type, data }) => [type, data.task?.id])).toEqual([
      ["task.failed", "runs"],
    ]);
    expect(second.state.record.baselineAt).toBe(T0 + MINUTE);
  });

  it("when repeated, tells of what was created since the first try", () => {
    const first = poll(fresh(), [seen("old", "SUCCESS")], { complete: false });
    const failed = seen("new", "FAILED", { createdAt: T0 + MINUTE, updatedAt: T0 + 2 * MINUTE });
    const second = poll(first.state, [failed], { now: T0 + 3 * MINUTE, complete: false });
    expect(types(second.decision)).toEqual(["task.failed"]);
    expect(second.state.record.baselineAt).toBeNull();
  });

  it("with nothing to show still sets the baseline, and the next failure is news", () => {
    const { state, decision } = poll(fresh(), []);
    expect(decision.changed).toBe(true);
    expect(types(poll(state, [seen("a", "FAILED")]).decision)).toEqual(["task.failed"]);
  });

  it("keeps what ended before its window from ever being news", () => {
    const { state } = poll(fresh(), []);
    const ancient = seen("x", "FAILED", { createdAt: T0 - 31 * DAY });
    expect(poll(state, [ancient]).decision.changed).toBe(false);
    expect(types(poll(state, [{ ...ancient, status: "EXECUTING" }]).decision)).toContain("task.started");
  });
});

describe("an open task that the list no longer shows", () => {
  const open = () => poll(stateOf(), [seen("a", "EXECUTING")]).state;

  it("is vanished after a complete listing and a 404 by its id", () => {
    const { state, decision } = poll(open(), [], { lookups: { a: { kind: "gone" } } });
    const event = only(decision.events);
    expect(event.type).toBe("task.vanished");
    expect(event.data.task?.status).toBe("EXECUTING");
    expect(state.tasks.get("a")).toMatchObject({ status: "DELETED", unlisted: true });
  });

  it("stays open when its id gave no clear answer, or was not asked for", () => {
    const unclear = { a: { kind: "unclear", problem: "HTTP 500" } } as const;
    for (const lookups of [{}, unclear]) {
      expect(poll(open(), [], { lookups }).decision.changed).toBe(false);
    }
  });

  it("never vanishes from an incomplete listing", () => {
    const { decision, state } = poll(open(), [], { complete: false, lookups: { a: { kind: "gone" } } });
    expect(decision.events).toEqual([]);
    expect(state.tasks.get("a")?.status).toBe("EXECUTING");
  });

  it("never vanishes when its row was there but could not be read", () => {
    const malformed = [{ id: "a", problem: "status is not text" }];
    const { decision } = poll(open(), [], { malformed, lookups: { a: { kind: "gone" } } });
    expect(decision.events).toEqual([]);
    expect(decision.facts).toContainEqual({
      kind: "malformed",
      taskId: "a",
      problem: "status is not text",
    });
  });

  it("changes by what its id tells", () => {
    const task = seen("a", "FAILED", later(60));
    expect(types(poll(open(), [], { lookups: { a: { kind: "found", task } } }).decision)).toEqual([
      "task.failed",
    ]);
  });

  it("is told of again if it comes back, with ids and sequence that go on", () => {
    const gone = poll(open(), [], { lookups: { a: { kind: "gone" } } });
    const back = poll(gone.state, [seen("a", "EXECUTING")]);
    expect(types(back.decision)).toEqual(["task.status_changed"]);
    expect(back.decision.events[0]?.data.sequence).toBe(3);
    expect(back.state.tasks.get("a")?.unlisted).toBe(false);
  });
});

describe("what the cloud may send", () => {
  it("an unknown status is open, and warned of once per task and status", () => {
    const first = poll(stateOf(), [seen("a", "PAUSED")]);
    expect(first.decision.facts).toContainEqual({ kind: "unknown_status", taskId: "a", status: "PAUSED" });
    const second = poll(first.state, [seen("a", "PAUSED")]);
    expect(second.decision.facts).toEqual([]);
    const third = poll(second.state, [seen("a", "RESUMING", later(1))]);
    expect(third.decision.facts).toContainEqual({ kind: "unknown_status", taskId: "a", status: "RESUMING" });
  });

  it("the same id twice in one list counts once, in its newer form", () => {
    const rows = [seen("a", "FAILED", later(60)), seen("a", "EXECUTING")];
    for (const list of [rows, [...rows].reverse()]) {
      expect(types(poll(stateOf(), list).decision)).toEqual(["task.failed"]);
    }
  });

  it("ids and names that objects inherit, long ones and any text are only texts", () => {
    const texts = [
      "__proto__",
      "constructor",
      "toString",
      "x".repeat(10_240),
      "名\u0000\ud800 \u{1f525}",
      " ",
    ];
    const rows = texts.flatMap((text) => [
      seen(text, "EXECUTING", { name: text }),
      seen(`${text}2`, text, { name: text }),
    ]);
    let { state, decision } = poll(stateOf(), rows);
    expect(decision.events).toHaveLength(rows.length);
    expect(new Set(decision.events.map(({ id }) => id)).size).toBe(rows.length);
    ({ state, decision } = poll(
      state,
      rows.map((row) => ({ ...row, status: "FAILED", updatedAt: T0 })),
    ));
    expect(types(decision)).toEqual(rows.map(() => "task.failed"));
    expect(
      poll(
        state,
        rows.map((row) => ({ ...row, status: "FAILED", updatedAt: T0 })),
      ).decision.changed,
    ).toBe(false);
  });

  it("missing and absurd dates cost a duration, never an event", () => {
    for (const createdAt of [null, -1, 0, T0 + DAY * 4000, 8.64e15, 9e15]) {
      for (const updatedAt of [null, 0, 9e15]) {
        const first = poll(stateOf(), [seen("a", "EXECUTING", { createdAt, updatedAt })]);
        expect(types(first.decision)[0]).toBe("task.started");
        const { decision } = poll(first.state, [seen("a", "FAILED", { createdAt, updatedAt: null })]);
        expect(types(decision)).toEqual(["task.failed"]);
        expect(only(decision.events).data.duration_seconds).toBeNull();
      }
    }
  });

  it("statuses without end do not make the state grow without end", () => {
    let state = poll(stateOf(), [seen("a", "EXECUTING")]).state;
    const ids = new Set<string>();
    for (let index = 0; index < 500; index += 1) {
      const step = poll(state, [seen("a", `S${index}`, later(index))]);
      ids.add(only(step.decision.events).id);
      state = step.state;
    }
    expect(ids.size).toBe(500);
    expect(Object.keys(state.tasks.get("a")!.counts).length).toBeLessThan(80);
  });

  it("a new name or creation time is kept, without an event", () => {
    const state = stateOf([known(seen("a", "EXECUTING"))]);
    const { decision, state: next } = poll(state, [seen("a", "EXECUTING", { name: "renamed" })]);
    expect(decision.events).toEqual([]);
    expect(next.tasks.get("a")?.name).toBe("renamed");
  });
});
