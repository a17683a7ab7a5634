import { expect, test } from "vitest";
import type { Fact } from "../../src/core/decision.ts";
import { counting } from "../../src/observe/count.ts";
import { type RefusalReason, type RuntimeEvent, safeEmit } from "../../src/ports/telemetry.ts";
import { EVERY_EVENT, factOf, samplesOf, scene, transition } from "./scene.ts";

const T0 = 1_700_000_000_000;
const INSTANCE = { project: "prod", instanceId: "6ec6", instanceName: "orders" };
const OTHER = { project: "prod", instanceId: "7fd7", instanceName: "billing" };

const poll = (complete: boolean, instance = INSTANCE): RuntimeEvent => ({
  kind: "poll.finished",
  ...instance,
  seconds: 0.25,
  lagSeconds: 0.5,
  complete,
  cause: complete ? null : "timeout",
  error: complete ? null : new Error("no answer"),
  calls: 1,
  countedMore: false,
});

const down = (instance = INSTANCE): RuntimeEvent => ({
  kind: "instance.down",
  ...instance,
  cause: "timeout",
  error: null,
  failedPolls: 3,
});

/** Level and message of the lines above debug. */
function told(...events: readonly RuntimeEvent[]): readonly string[] {
  const { recorder, lines } = scene();
  for (const event of events) recorder.emit(event);
  return lines()
    .filter((line) => line.level !== "debug")
    .map((line) => `${line.level}: ${line.msg}`);
}

test.each<[string, Fact]>([
  ["info: task transition", transition({ status: "SUCCESS" })],
  ["warn: task failed", transition({ status: "FAILED" })],
  [
    "warn: task stuck",
    { kind: "verdict", taskId: "t", taskName: "n", verdict: "running_too_long", reason: "r" },
  ],
  [
    "info: task recovered",
    { kind: "recovered", taskId: "t", taskName: "n", resolution: "ended", reason: "r" },
  ],
])("one line: %s", (line, fact) => {
  expect(told(factOf(fact))).toEqual([line]);
});

test("a transition says what, where, from which status and why", () => {
  const { recorder, lines } = scene();
  recorder.emit(factOf(transition()));
  expect(lines()).toEqual([
    {
      level: "warn",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      component: "task",
      project: "prod",
      instance_id: "6ec6",
      instance_name: "orders",
      task_id: "8abf",
      task_name: "modifyAutoTopic",
      reason: "status EXECUTING -> FAILED",
      previous_status: "EXECUTING",
      status: "FAILED",
      duration_seconds: 312.4,
      delay_seconds: 2.5,
      msg: "task failed",
    },
  ]);
});

test("refused requests are told once an hour for each reason and address, and a flood of addresses is not", () => {
  const refused = (reason: RefusalReason, client: string, at: number): RuntimeEvent => ({
    kind: "http.refused",
    reason,
    client,
    at,
  });
  const guesses = [0, 1, 2, 3_599_999].map((at) => refused("wrong_credentials", "10.0.0.66", at));
  expect(told(...guesses, refused("too_many_failures", "10.0.0.66", 4))).toEqual([
    "warn: login failed",
    "warn: logins limited after failures",
  ]);
  expect(told(...guesses, refused("wrong_credentials", "10.0.0.66", 3_600_000))).toHaveLength(2);
  expect(told(refused("other_origin", "10.0.0.7", 0))).toEqual(["warn: request from another origin refused"]);
  const flood = Array.from({ length: 1_000 }, (_, n) => refused("wrong_credentials", `2001:db8:${n}::`, n));
  expect(told(...flood).length).toBeLessThanOrEqual(50);
});

const malformed = (taskId: string | null, problem: string): RuntimeEvent =>
  factOf({ kind: "malformed", taskId, problem });

test("a row that cannot be read is told once, until it changes", () => {
  const same = [malformed("t1", "status is missing"), poll(true)];
  expect(told(...same, ...same, ...same)).toEqual(["warn: a row of the listing could not be read"]);
  expect(told(...same, malformed("t1", "no text"), poll(true), ...same)).toHaveLength(3);
  expect(told(...same, malformed("t1", "status is missing"), malformed("t2", "status is missing"))).toEqual([
    "warn: a row of the listing could not be read",
    "warn: a row of the listing could not be read",
  ]);
});

test("it is told again after a complete listing without it, not after a poll that failed", () => {
  const same = [malformed("t1", "status is missing"), poll(true)];
  expect(told(...same, poll(false), ...same)).toHaveLength(1);
  expect(told(...same, poll(true), ...same)).toHaveLength(2);
});

test("of one instance a thousand are told in a poll, and the thousand told last are remembered", () => {
  const { recorder, lines } = scene();
  const rows = (from: number, many: number) => {
    for (let index = from; index < from + many; index += 1) {
      recorder.emit(factOf({ kind: "malformed", taskId: `t${index}`, problem: "status is missing" }));
    }
    recorder.emit(poll(false));
    return lines().filter(({ msg }) => msg === "a row of the listing could not be read").length;
  };
  expect(rows(0, 1_500)).toBe(1_000);
  expect(rows(0, 1_500)).toBe(1_000);
  // No poll is complete, and each shows other rows: the first ones are forgotten, and are news again.
  expect(rows(2_000, 1_000)).toBe(2_000);
  expect(rows(0, 10)).toBe(2_010);
});

test("each instance has its own", () => {
  const other: RuntimeEvent = {
    kind: "fact",
    ...OTHER,
    fact: { kind: "malformed", taskId: "t1", problem: "status is missing" },
  };
  const events = [malformed("t1", "status is missing"), other, poll(true), poll(true, OTHER)];
  expect(told(...events, ...events)).toHaveLength(2);
});

test("an old copy that a server goes on to show is one debug line", () => {
  const { recorder, lines } = scene();
  const stale = factOf({ kind: "stale_sighting", taskId: "t1", reason: "shown as EXECUTING" });
  for (const event of [stale, poll(true), stale, poll(true)]) recorder.emit(event);
  expect(lines().filter((line) => line.msg === "older sighting passed over")).toHaveLength(1);
});

test("a poll that broke by a mistake of our own is one error with its stack, and counted each time", async () => {
  const { recorder, lines, text } = scene();
  const broken: RuntimeEvent = {
    ...(poll(false) as Extract<RuntimeEvent, { kind: "poll.finished" }>),
    cause: null,
    error: new TypeError("tasks is not iterable"),
  };
  recorder.emit(broken);
  recorder.emit(broken);
  const errors = lines().filter((line) => line.level === "error");
  expect(errors).toEqual([
    expect.objectContaining({
      msg: "a poll failed for a reason of our own",
      instance_id: "6ec6",
      err: expect.objectContaining({ type: "TypeError", stack: expect.stringContaining("TypeError") }),
    }),
  ]);
  expect(samplesOf(await text(), "taskwatch_poll_failures_total")).toContain(
    'taskwatch_poll_failures_total{project="prod",reason="bad_response"} 2',
  );
});

test("a poll is one debug line, whether it went well or not", () => {
  const { recorder, lines } = scene();
  recorder.emit(poll(true));
  recorder.emit(poll(false));
  expect(lines().map((line) => [line.level, line.msg, line.cause])).toEqual([
    ["debug", "polled", undefined],
    ["debug", "poll failed", "timeout"],
  ]);
});

test("an instance that stays down is said once, and counted when it comes back", () => {
  const { recorder, lines } = scene();
  const events = [
    poll(false),
    poll(false),
    poll(false),
    down(),
    poll(false),
    down(),
    poll(false),
    poll(true),
  ];
  for (const event of [
    ...events,
    { kind: "instance.up", ...INSTANCE, downSeconds: 300 } as const,
    poll(true),
  ]) {
    recorder.emit(event);
  }
  const above = lines().filter((line) => line.level !== "debug");
  expect(above.map((line) => [line.level, line.msg, line.failed_polls])).toEqual([
    ["warn", "instance unreachable", 3],
    ["info", "instance is reachable again", 5],
  ]);
  expect(above[1]).toMatchObject({ down_seconds: 300, instance_id: "6ec6" });
});

test("a project that is down is one line, and none for its instances", () => {
  expect(
    told(
      { kind: "project.down", project: "prod", cause: "timeout", instances: 2 },
      down(),
      down(OTHER),
      { kind: "project.down", project: "prod", cause: "timeout", instances: 2 },
      { kind: "project.up", project: "prod", downSeconds: 60 },
    ),
  ).toEqual(["warn: project unreachable", "info: project is reachable again"]);
});

test("what stays broken is said once: credentials, the store, discovery, throttling", () => {
  const refused = {
    kind: "credentials.refused",
    project: "prod",
    error: new Error("401"),
    retryAt: 0,
  } as const;
  const failed = { kind: "discovery.failed", project: "prod", known: true, error: new Error("500") } as const;
  const found = {
    kind: "discovery.finished",
    project: "prod",
    seconds: 1,
    found: 1,
    added: [],
    missing: [],
  } as const;
  const storeDown = { kind: "store.down", error: new Error("away") } as const;
  const budget = (perSecond: number) =>
    ({ kind: "api.budget", project: "prod", perSecond, configuredPerSecond: 5 }) as const;
  expect(
    told(
      ...[refused, refused, { kind: "credentials.accepted", project: "prod" } as const],
      ...[storeDown, { kind: "store.up", downSeconds: 3 } as const],
      ...[found, failed, failed, found, found],
      ...[budget(5), budget(2.5), budget(1), budget(5), budget(5)],
    ),
  ).toEqual([
    "error: credentials refused: all calls that use them are stopped",
    "info: credentials accepted again",
    "error: store does not answer",
    "info: store answers again",
    "warn: discovery failed: the known instances are kept",
    "info: instances discovered",
    "warn: throttled by the cloud: the project's calls are slowed down",
    "info: back to full speed",
  ]);
});

test("a project that is not watched is reported once an hour, with cause and since when, until it is watched", () => {
  const reason = "its project id is not known: HTTP 503";
  const unwatched = { cause: "server_error", answer: null, since: T0, confirmed: false, reason } as const;
  const pending = {
    cause: null,
    answer: null,
    since: T0,
    confirmed: false,
    reason: "its project id is not known",
  } as const;
  type Watch = Extract<RuntimeEvent, { kind: "project.watch" }>;
  const watch = (minutes: number, state: Partial<Watch>): Watch => ({
    kind: "project.watch",
    project: "prod",
    at: T0 + minutes * 60_000,
    unwatched: null,
    unconfirmed: null,
    discovered: null,
    ...state,
  });
  expect(told(watch(0, { unwatched: pending }), watch(0.5, {}))).toEqual([]);
  expect(told(watch(0, { unwatched: pending }), watch(1, { unwatched: pending }))).toEqual([
    "warn: project not watched",
  ]);
  expect(
    told(
      ...[0, 1, 59, 60, 61, 119, 120].map((minutes) => watch(minutes, { unwatched })),
      // Another try may help no more: that is said at once.
      watch(120.5, { unwatched: { ...unwatched, cause: "not_found" } }),
      watch(121, { unconfirmed: unwatched }),
      watch(122, {}),
      watch(123, {}),
      watch(124, { unwatched: { ...unwatched, cause: "not_found" } }),
    ),
  ).toEqual([
    ...["warn: project not watched", "warn: project not watched", "warn: project not watched"],
    "error: project not watched",
    "warn: project id lookup failed, remembered id used",
    "info: project watched",
    // Nobody but a person mends a configuration.
    "error: project not watched",
  ]);
  const { recorder, lines } = scene();
  recorder.emit(watch(0, { unwatched }));
  expect(lines().find(({ msg }) => msg === "project not watched")).toMatchObject({
    ...{ project: "prod", cause: "server_error", since: new Date(T0).toISOString(), reason },
  });
});

test("a webhook that is down is said once, with what it cost when it works again", () => {
  const { recorder, lines } = scene();
  const attempt = {
    kind: "attempt",
    webhook: "ops",
    outcome: "retry",
    reason: "server_error",
    status: 503,
    message: "HTTP 503",
    seconds: 0.1,
    attempt: 1,
    eventId: "evt_1",
    events: 1,
  } as const;
  const facts = [
    attempt,
    { kind: "breaker_opened", webhook: "ops", reason: "server_error" },
    attempt,
    attempt,
    { kind: "breaker_closed", webhook: "ops" },
  ] as const;
  for (const fact of facts) recorder.emit({ kind: "outbox", fact });
  expect(lines().filter((line) => line.level !== "debug")).toMatchObject([
    { level: "warn", webhook: "ops", reason: "server_error" },
    { level: "info", webhook: "ops", failed_attempts: 3 },
  ]);
});

test("shards are one line when what is held changes", () => {
  const held = { kind: "leases.held", owned: 16, shards: 16, replicas: 1 } as const;
  expect(told(held, held, { ...held, owned: 8, replicas: 2 })).toEqual([
    "info: shards held",
    "info: shards held",
  ]);
});

test("log and counters tell the same: as many lines as transitions counted", async () => {
  const { recorder, lines, text } = scene();
  for (const status of ["EXECUTING", "FAILED", "FAILED", "SUCCESS"]) {
    recorder.emit(factOf(transition({ status, durationSeconds: 5, delaySeconds: 1 })));
  }
  const output = await text();
  const sum = (name: string) =>
    samplesOf(output, name).reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
  expect(lines().filter(({ msg }) => msg === "task transition" || msg === "task failed")).toHaveLength(4);
  expect(sum("dms_task_transitions_total")).toBe(4);
  expect(sum("dms_task_duration_seconds_count")).toBe(4);
  expect(sum("taskwatch_detection_delay_seconds_count")).toBe(4);
  expect(recorder.failures("prod", "6ec6")).toBe(2);
  expect(recorder.failures("prod", "7fd7")).toBe(0);
});

test("a poll that failed is counted as a poll and as a failure, by its cause", async () => {
  const { recorder, text } = scene();
  recorder.emit(poll(true));
  recorder.emit(poll(false));
  const output = await text();
  expect(samplesOf(output, "taskwatch_polls_total")).toEqual(['taskwatch_polls_total{project="prod"} 2']);
  expect(samplesOf(output, "taskwatch_poll_failures_total").filter((line) => !line.endsWith(" 0"))).toEqual([
    'taskwatch_poll_failures_total{project="prod",reason="timeout"} 1',
  ]);
});

test("every kind of event leaves a line or moves a figure", async () => {
  const { metrics } = scene();
  expect([...new Set(EVERY_EVENT.map(({ kind }) => kind))].sort()).toEqual(
    Object.keys(counting(metrics)).sort(),
  );
  const silent: RuntimeEvent[] = [];
  for (const event of EVERY_EVENT) {
    const { recorder, lines, text } = scene();
    // Some only tell that one of these is over.
    const troubles = ["ask.failed", "credentials.refused"];
    for (const trouble of EVERY_EVENT) if (troubles.includes(trouble.kind)) recorder.emit(trouble);
    const [said, figures] = [lines().length, await text()];
    recorder.emit(event);
    if (lines().length === said && (await text()) === figures) silent.push(event);
  }
  expect(silent).toEqual([]);
});

test("the counters are the same in whatever order the events come", async () => {
  const countersAfter = async (events: readonly RuntimeEvent[]) => {
    const { recorder, text } = scene();
    for (const event of events) recorder.emit(event);
    return (await text()).split("\n").filter((line) => /^\w+_total[{ ]/.test(line));
  };
  const counters = await countersAfter(EVERY_EVENT);
  expect(counters.filter((line) => !line.endsWith(" 0")).length).toBeGreaterThan(10);
  expect((await countersAfter([...EVERY_EVENT].reverse())).sort()).toEqual([...counters].sort());
});

test("a figure that cannot be counted does not cost the log line", () => {
  const { recorder, lines } = scene();
  const event = factOf(transition({ durationSeconds: Number.NaN }));
  expect(() => recorder.emit(event)).toThrow();
  expect(lines()).toHaveLength(1);
});

test("a listener that throws is told about, and never breaks the one who emits", () => {
  const seen: unknown[] = [];
  const emit = safeEmit(
    () => {
      throw new Error("broken listener");
    },
    (error) => {
      seen.push(error);
      throw new Error("broken reporter");
    },
  );
  emit({ kind: "store.up", downSeconds: 0 });
  expect(seen).toEqual([new Error("broken listener")]);
});

test("a follow-up call that was answered again warns at its next failure", () => {
  const asked = { ...INSTANCE, operation: "list_scheduled_tasks" } as const;
  const failed: RuntimeEvent = { kind: "ask.failed", ...asked, error: new Error("500") };
  const answered: RuntimeEvent = { kind: "ask.answered", ...asked };
  const other: RuntimeEvent = { ...answered, operation: "show_task" };
  const warning = "warn: what a listing does not tell could not be asked";
  expect(told(failed, failed, other, failed)).toEqual([warning]);
  expect(told(answered, failed, answered, answered, failed)).toEqual([
    warning,
    "info: follow-up call answered again",
    warning,
  ]);
});

test("failures are counted of a bounded number of instances, those that failed last", () => {
  const { recorder } = scene();
  const fail = (instanceId: string) =>
    recorder.emit({
      kind: "fact",
      project: "prod",
      instanceId,
      instanceName: "orders",
      fact: transition({ durationSeconds: null, delaySeconds: null }),
    });
  for (let index = 0; index < 20_000; index += 1) fail(`i${index}`);
  fail("i0");
  fail("one more");
  expect(["i0", "i1", "i2", "one more"].map((id) => recorder.failures("prod", id))).toEqual([2, 0, 1, 1]);
});
