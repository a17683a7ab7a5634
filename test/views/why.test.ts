import { describe, expect, test } from "vitest";
import type { Knowledge } from "../../src/core/decision.ts";
import type { StuckRules } from "../../src/core/rules.ts";
import type { TaskState } from "../../src/core/state.ts";
import type { ObservedTask } from "../../src/core/task.ts";
import { timeText } from "../../src/views/text.ts";
import { whyOf } from "../../src/views/why.ts";
import {
  ALL_EXECUTE,
  HOUR,
  KNOWS_NOTHING,
  MINUTE,
  only,
  poll,
  rulesOf,
  seen,
  stateOf,
  T0,
} from "../core/support.ts";

/** A task as the store has it after one poll at `T0`. */
const taskOf = (status: string, changes: Partial<ObservedTask> = {}): TaskState =>
  only([...poll(stateOf(), [seen("8abf", status, changes)]).state.tasks.values()]);

interface Given {
  readonly stuck?: Partial<StuckRules>;
  readonly knowledge?: Knowledge;
  readonly runs?: number;
  readonly now?: number;
}

const why = (task: TaskState, { stuck = {}, knowledge = ALL_EXECUTE, runs = 0, now = T0 }: Given = {}) =>
  whyOf(task, rulesOf({ stuck }).stuck, knowledge, runs, now);

const LEARNED: Knowledge = {
  executed: () => true,
  learned: () => ({ threshold: { seconds: 1200, source: "learned", samples: 41 }, knownSince: 0 }),
};

describe("why a task is, or is not, stuck", () => {
  test("a running one is within its limit, and it is said which", () => {
    expect(why(taskOf("EXECUTING"), { runs: 7 })).toEqual({
      why: "not stuck: EXECUTING, age 5m, within the limit of 1h (running_after)",
      limit: { seconds: 3600, source: "running_after", samples: 0 },
      notes: ["7 of the 20 runs that a learned limit needs are known"],
    });
  });

  test("a learned limit is told with the number of runs and how it comes about", () => {
    const told = why(taskOf("EXECUTING"), { knowledge: LEARNED, runs: 41 });
    expect(told.why).toBe(
      "not stuck: EXECUTING, age 5m, within the limit of 20m (learned from earlier runs, 41 of them)",
    );
    expect(told.notes).toEqual(["learned: the 0.99 quantile of 41 runs times 3, between 5m and 1d"]);
  });

  test("a learned limit that does not count yet is told, with the time from which it will", () => {
    const young: Knowledge = {
      executed: () => true,
      learned: () => ({ threshold: { seconds: 1800, source: "learned", samples: 41 }, knownSince: T0 }),
    };
    const told = why(taskOf("EXECUTING"), { knowledge: young, runs: 41 });
    expect(told.limit).toEqual({ seconds: 3600, source: "running_after", samples: 0 });
    expect(told.notes).toEqual([
      `a limit of 30m was learned from 41 runs; it counts from ${timeText(T0 + 86_400_000)}, a day after most of them were first read`,
    ]);
  });

  test("a limit of its own needs no learning", () => {
    const { limit, notes } = why(taskOf("EXECUTING"), {
      stuck: { byTask: new Map([["modifyAutoTopic", 20 * MINUTE]]) },
    });
    expect({ limit, notes }).toEqual({ limit: { seconds: 1200, source: "by_task", samples: 0 }, notes: [] });
  });

  test("a stuck one is over the limit that it was judged by", () => {
    const told = why(taskOf("EXECUTING", { createdAt: T0 - 2 * HOUR }), { now: T0 + HOUR });
    expect(told.why).toBe(
      "stuck since 2026-11-24T10:00:00Z: running_too_long: EXECUTING, age 3h, over the limit of 1h (running_after)",
    );
  });

  test("one that went over its limit since the last poll is not yet said to be stuck", () => {
    expect(why(taskOf("EXECUTING"), { now: T0 + HOUR }).why).toBe(
      "over the limit of 1h (running_after): EXECUTING, age 1h 5m; the next poll will say that it is stuck",
    );
  });

  test("a waiting one whose name never ran gets the limit of a run", () => {
    const told = why(taskOf("CREATED"), { knowledge: KNOWS_NOTHING });
    expect(told.limit?.source).toBe("running_after");
    expect(told.notes[0]).toBe(
      "modifyAutoTopic was never seen to go on to EXECUTING, so the limit of a run holds",
    );
    expect(why(taskOf("CREATED")).limit).toEqual({ seconds: 900, source: "queued_after", samples: 0 });
  });

  test("one that ended is told with how, and a failure with since when it is open", () => {
    expect(why(taskOf("SUCCESS")).why).toBe("not stuck: it ended SUCCESS");
    expect(why(taskOf("FAILED")).why).toBe(
      "not stuck: it ended FAILED, an open failure since 2026-11-24T10:00:00Z",
    );
    expect(why({ ...taskOf("DELETED"), unlisted: true }).why).toMatch(/it vanished/);
  });

  test("one that was acknowledged is told with who, when and why", () => {
    const acknowledged = { by: "alice", at: T0, reason: "known" };
    expect(why({ ...taskOf("EXECUTING"), acknowledged }).why).toBe(
      "not stuck: acknowledged by alice at 2026-11-24T10:00:00Z (known); still followed, and alerts again if it fails",
    );
    expect(why({ ...taskOf("FAILED"), failedAt: null, acknowledged }).why).toBe(
      "not stuck: it ended FAILED, acknowledged by alice at 2026-11-24T10:00:00Z (known)",
    );
  });

  test("progress is told where the cloud tells it", () => {
    const task = { ...taskOf("EXECUTING"), progress: { ratio: 0.42, since: T0 } };
    expect(why(task, { stuck: { noProgressAfter: 30 * MINUTE } }).notes).toContain(
      "at 42 % since 2026-11-24T10:00:00Z, limit 30m",
    );
  });
});
