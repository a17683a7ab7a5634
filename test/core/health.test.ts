import { describe, expect, it } from "vitest";
import type { Cause, CloudAnswer } from "../../src/core/cause.ts";
import {
  countInstances,
  instanceHealth,
  projectCause,
  projectHealth,
  type Streak,
  sumProject,
} from "../../src/core/health.ts";
import type { InstanceRecord } from "../../src/core/state.ts";
import { type FailedTries, failedAgain, unwatchedFor } from "../../src/core/unwatched.ts";
import { DAY, HOUR, MINUTE, only, recordOf, rulesOf, T0, webhook } from "./support.ts";

const rules = rulesOf();
/** Of the cloud, when it failed. */
const ANSWER = { errorCode: "DMS.00500000", requestId: "5df1" };
const TOLD = { error_code: "DMS.00500000", request_id: "5df1" };
const streak = (count: number, minutes: number, cause: Cause = "timeout"): Streak => ({
  count,
  since: T0 - minutes * MINUTE,
  cause,
  answer: ANSWER,
});

describe("an instance", () => {
  for (const { is, given } of [
    { is: false, given: streak(2, 60) },
    { is: false, given: streak(9, 1.9) },
    { is: true, given: streak(3, 2) },
    { is: true, given: { ...streak(3, 0), since: T0 + DAY } },
  ]) {
    it(`is ${is ? "" : "not "}unreachable after ${given.count} failed polls since ${(T0 - given.since) / MINUTE} min`, () => {
      expect(instanceHealth(recordOf(), rules, given, false, T0).changed).toBe(is);
    });
  }

  const down = instanceHealth(recordOf(), rules, streak(3, 2), false, T0);

  it("tells when it became unreachable, why and since when", () => {
    const event = only(down.events);
    expect(event.type).toBe("instance.unreachable");
    expect(event.webhooks).toEqual(["ops"]);
    expect(event.data).toMatchObject({
      task: null,
      sequence: null,
      cause: "timeout",
      ...TOLD,
      since: new Date(T0 - 2 * MINUTE).toISOString(),
      instance: { id: "i1" },
    });
  });

  it("that stays down is not told again, also for another cause", () => {
    const later = instanceHealth(down.record, rules, streak(9, 8, "server_error"), false, T0 + 6 * MINUTE);
    expect(later).toEqual({ changed: false, record: down.record, events: [] });
  });

  it("that answers again tells so, once, and the next time has other ids", () => {
    const up = instanceHealth(down.record, rules, null, false, T0 + HOUR);
    expect(only(up.events)).toMatchObject({
      type: "instance.reachable",
      webhooks: ["ops"],
      data: { cause: "timeout", ...TOLD },
    });
    expect(instanceHealth(up.record, rules, null, false, T0 + HOUR).changed).toBe(false);
    const again = instanceHealth(up.record, rules, streak(3, 2), false, T0);
    expect(only(again.events).id).not.toBe(only(down.events).id);
  });

  it("tells its end to whoever heard its beginning", () => {
    const begin = rulesOf({ webhooks: [webhook("a", ["instance.unreachable"]), webhook("b", [])] });
    const fell = instanceHealth(recordOf(), begin, streak(3, 2), false, T0);
    expect(only(instanceHealth(fell.record, begin, null, false, T0).events).webhooks).toEqual(["a"]);
  });

  it("says nothing of its own while its project is unreachable, but the end of what it had said", () => {
    expect(instanceHealth(recordOf(), rules, streak(9, 9), true, T0).changed).toBe(false);
    expect(instanceHealth(down.record, rules, null, true, T0).events).toHaveLength(1);
  });
});

describe("a project is unreachable", () => {
  const rows: readonly [string, number, [Cause, number][], boolean, Cause | null][] = [
    ["when its credentials are refused", 1, [], true, "credentials_rejected"],
    ["when more than half fail for one reason", 5, [["timeout", 3]], false, "timeout"],
    ["not when just half do", 6, [["timeout", 3]], false, null],
    ["not when fewer than three do", 2, [["timeout", 2]], false, null],
    [
      "not when the reasons differ",
      5,
      [
        ["timeout", 2],
        ["server_error", 2],
      ],
      false,
      null,
    ],
    ["not for instances that are not there", 5, [["not_found", 5]], false, null],
    ["not for instances that may not be read", 5, [["permission_denied", 5]], false, null],
    ["not without instances", 0, [], false, null],
  ];
  for (const [what, total, failing, credentialsRefused, cause] of rows) {
    it(what, () => {
      expect(projectCause({ total, failingByCause: new Map(failing), credentialsRefused })).toBe(cause);
    });
  }

  const count = (...streaks: readonly (Streak | null | "unknown")[]) =>
    countInstances(
      streaks.map((each) =>
        each === "unknown" ? { up: null, streak: null } : { up: each === null, streak: each },
      ),
      T0,
    );
  const down = streak(3, 3);
  const failing = streak(1, 0);
  const before = { since: T0, at: T0, cause: "timeout", answer: null, informed: [], muted: null } as const;

  it("by instances that are down; those on their way there make it near", () => {
    expect(sumProject([count(down, failing, failing, null)], 4, false, null)).toEqual({
      tally: { total: 4, failingByCause: new Map([["timeout", 1]]), credentialsRefused: false },
      near: true,
    });
    expect(sumProject([count(down, failing, null, null)], 4, false, null).near).toBe(false);
  });

  it("by calls that only time out, for all of its instances, as those wait behind a few probes", () => {
    const polled = [
      { up: true, streak: null },
      { up: true, streak: null },
      { up: false, streak: failing },
      { up: null, streak: null },
    ];
    const cause = (silence: Streak | null) =>
      projectCause(sumProject([countInstances(polled, T0, silence)], 4, false, null).tally);
    expect(cause(null)).toBeNull();
    expect(cause(streak(3, 1))).toBeNull();
    expect(cause(streak(3, 3))).toBe("timeout");
  });

  it("by the instances of all replicas, those that nobody has now among them", () => {
    const { tally } = sumProject([count(down), count(down, down, null)], 5, false, null);
    expect(projectCause(tally)).toBe("timeout");
    expect(projectCause(sumProject([count(down), count(down, down, null)], 6, false, null).tally)).toBeNull();
  });

  it("still, as long as they fail at all: a start begins every streak anew", () => {
    const afterwards = (...streaks: readonly (Streak | null | "unknown")[]) =>
      projectCause(sumProject([count(...streaks)], 4, false, before).tally);
    expect(afterwards(failing, failing, failing, null)).toBe("timeout");
    expect(afterwards(failing, failing, null, null)).toBeNull();
    // Of which nothing is known yet, nothing tells that it is back.
    expect(afterwards(failing, "unknown", "unknown", null)).toBe("timeout");
    expect(afterwards("unknown", "unknown", null, null)).toBeNull();
  });

  const record = recordOf({ instanceId: "" });
  const bad = {
    total: 3,
    failingByCause: new Map<Cause, number>([["timeout", 3]]),
    credentialsRefused: false,
  };
  const good = { total: 3, failingByCause: new Map<Cause, number>(), credentialsRefused: false };

  const ANSWERS = new Map<Cause, CloudAnswer>([["timeout", ANSWER]]);

  it("with one event, and reachable with another", () => {
    const down = projectHealth(record, rules, bad, ANSWERS, null, T0);
    expect(only(down.events)).toMatchObject({
      type: "project.unreachable",
      data: {
        reason: "3 of 3 instances fail: timeout",
        instance: null,
        task: null,
        cause: "timeout",
        ...TOLD,
      },
    });
    const refused = { ...bad, credentialsRefused: true };
    expect(projectHealth(down.record, rules, refused, ANSWERS, null, T0 + 1).changed).toBe(false);
    const up = projectHealth(down.record, rules, good, ANSWERS, null, T0 + MINUTE);
    expect(only(up.events)).toMatchObject({ type: "project.reachable", data: TOLD });
    expect(up.record.unreachable).toBeNull();
    expect(projectHealth(up.record, rules, good, ANSWERS, null, T0 + MINUTE).changed).toBe(false);
  });

  it("when it is not watched and three tries in a row failed, until it is watched", () => {
    const failed = { cause: "server_error", answer: ANSWER, message: "HTTP 503" } as const;
    const unwatched = (tries: FailedTries | null) => unwatchedFor("its id is not known", tries, T0 - MINUTE);
    const none = { total: 0, failingByCause: new Map<Cause, number>(), credentialsRefused: false };
    const judge = (from: InstanceRecord, tries: FailedTries | null) =>
      projectHealth(from, rules, none, new Map(), unwatched(tries), T0);
    const twice = failedAgain(failedAgain(null, failed), failed);
    expect(judge(record, null).changed).toBe(false);
    expect(judge(record, twice).changed).toBe(false);
    const down = judge(record, failedAgain(twice, failed));
    expect(only(down.events)).toMatchObject({
      type: "project.unreachable",
      data: {
        reason: "not watched: its id is not known: HTTP 503",
        cause: "server_error",
        since: new Date(T0 - MINUTE).toISOString(),
        ...TOLD,
      },
    });
    // After a restart no try has failed yet, and nothing is known to be better.
    expect(judge(down.record, null).changed).toBe(false);
    const up = projectHealth(down.record, rules, none, new Map(), null, T0 + MINUTE);
    expect(only(up.events).type).toBe("project.reachable");
  });

  it("at once when the look-up is refused, as the next try is five minutes away", () => {
    const refused = { cause: "credentials_rejected", answer: null, message: "refused" } as const;
    expect(unwatchedFor("its id is not known", failedAgain(null, refused), T0).confirmed).toBe(true);
  });
});

describe("under maintenance", () => {
  const end = T0 + HOUR;
  const muting = rulesOf({ mutedUntil: (now) => (now < end ? end : null) });
  const down = instanceHealth(recordOf(), muting, streak(3, 2), false, T0);

  it("the beginning is recorded and sent to nobody", () => {
    expect(only(down.events)).toMatchObject({ webhooks: [], data: { muted: true, muted_until: null } });
    expect(instanceHealth(down.record, muting, streak(5, 5), false, T0 + MINUTE).changed).toBe(false);
  });

  it("what still holds at its end is sent with its id and muted_until, once", () => {
    const sent = instanceHealth(down.record, muting, streak(90, 62), false, end);
    expect(only(sent.events)).toMatchObject({
      id: only(down.events).id,
      type: "instance.unreachable",
      webhooks: ["ops"],
      data: { muted: false, muted_until: new Date(end).toISOString() },
    });
    expect(instanceHealth(sent.record, muting, streak(91, 63), false, end + 1).changed).toBe(false);
    expect(only(instanceHealth(sent.record, muting, null, false, end + 2).events).webhooks).toEqual(["ops"]);
  });

  it("what ended inside is recorded only", () => {
    const up = instanceHealth(down.record, muting, null, false, T0 + MINUTE);
    expect(only(up.events)).toMatchObject({
      type: "instance.reachable",
      webhooks: [],
      data: { muted: true },
    });
  });

  it("the end of what was announced before is sent", () => {
    const before = instanceHealth(recordOf(), rules, streak(3, 2), false, T0);
    expect(only(instanceHealth(before.record, muting, null, false, T0).events).webhooks).toEqual(["ops"]);
  });
});
