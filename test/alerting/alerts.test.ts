import { describe, expect, test } from "vitest";
import { AlertStore, LASTS_MS, postable } from "../../src/alerting/alert-store.ts";
import { type Alert, alertMaker, type InstanceSnapshot } from "../../src/alerting/alerts.ts";
import type { WebhookConfig } from "../../src/config/config.ts";
import { MATCH_ALL } from "../../src/config/match.ts";
import { EVENT_TYPES, type EventData, type EventType } from "../../src/core/event.ts";
import type { Condition, TaskState } from "../../src/core/state.ts";
import { record, T0, task } from "../observe/views.ts";
import { BROKEN, event, taskNamed } from "../outbox/formats/samples.ts";

type Routing = Pick<WebhookConfig, "events" | "match">;

const ALL: Routing = { events: ["task.failed", "task.stuck", "instance.unreachable"], match: MATCH_ALL };
const THRESHOLD = { seconds: 1200, source: "by_task", samples: 0 } as const;
const VERDICT = {
  kind: "running_too_long",
  since: T0 - 5,
  threshold: THRESHOLD,
  announcedAt: T0 - 5,
} as const;
const MUTED = { eventId: "evt_1", sequence: 1, until: T0 + 1, announced: null };
const DOWN = {
  since: T0 - 7,
  at: T0 - 3,
  cause: "timeout",
  answer: null,
  informed: [],
  muted: null,
} as const;

const failed = (over: Partial<TaskState> = {}) => task({ status: "FAILED", failedAt: T0 - 9, ...over });
const stuck = (over: Partial<TaskState> = {}) => task({ verdict: VERDICT, ...over });

function snapshot(tasks: readonly TaskState[], over: Parameters<typeof record>[0] = {}): InstanceSnapshot {
  const { instanceId: id, name, engine } = record();
  return {
    key: `p/${id}`,
    shard: 3,
    project: { name: "prod", region: "eu-west-101" },
    instance: { id, name, engine },
    state: { record: record(over), tasks: new Map(tasks.map((one) => [one.id, one])) },
  };
}

const names = (alerts: readonly Alert[]) =>
  alerts.map(({ labels }) => [labels.alertname, labels.task_id].filter(Boolean).join(" "));
const namesOf = (one: InstanceSnapshot, routing: Partial<Routing> = {}) =>
  names(alertMaker({ ...ALL, ...routing }, "").lasting(one));

describe("what lasts on an instance", () => {
  test("is each open failure, each stuck task and that it cannot be reached; nothing else", () => {
    const tasks = [
      task({ id: "runs" }),
      task({ id: "done", status: "SUCCESS" }),
      failed({ id: "baseline", failedAt: null }),
      failed({ id: "f1" }),
      failed({ id: "f2" }),
      stuck({ id: "s1" }),
      stuck({ id: "known", acknowledged: { by: "ana", at: T0, reason: null } }),
    ];
    expect(namesOf(snapshot(tasks, { unreachable: DOWN }))).toEqual([
      "DmsTaskFailed f1",
      "DmsTaskFailed f2",
      "DmsTaskStuck s1",
      "DmsInstanceUnreachable",
    ]);
    expect(namesOf(snapshot([]))).toEqual([]);
  });

  test("has the labels that route and tell apart, and begins with the commit", () => {
    const [alert] = alertMaker(ALL, "https://tw.example.org").lasting(snapshot([stuck({ id: "s1" })]));
    expect(alert).toEqual({
      labels: {
        alertname: "DmsTaskStuck",
        severity: "critical",
        project: "prod",
        instance_id: record().instanceId,
        instance_name: "orders",
        engine: "kafka",
        task_name: "modifyAutoTopic",
        task_id: "s1",
      },
      annotations: {
        summary: "A background task of a message-queue instance is stuck.",
        description: `Task modifyAutoTopic (s1) on instance orders (${record().instanceId}) of project prod is stuck: running_too_long, over 20m.`,
        runbook_url: expect.stringMatching(/\/docs\/runbook\.md#dmstaskstuck$/),
      },
      startsAt: VERDICT.since,
      url: "https://tw.example.org/#/tasks/s1",
    });
  });

  test("begins, for an instance that cannot be reached, with the commit too, not with the first poll that failed", () => {
    const [alert] = alertMaker(ALL, "").lasting(snapshot([], { unreachable: DOWN }));
    expect(alert).toMatchObject({ startsAt: DOWN.at, url: null, labels: { severity: "warning" } });
    expect(alert?.labels).not.toHaveProperty("task_id");
  });

  test("is not told while maintenance holds it back", () => {
    const tasks = [failed({ id: "f", muted: MUTED }), stuck({ id: "s", muted: MUTED })];
    expect(namesOf(snapshot(tasks, { unreachable: { ...DOWN, muted: MUTED } }))).toEqual([]);
  });

  test("goes on in maintenance where it was announced before, whatever the verdict is by now", () => {
    const announced = (condition: Condition) => ({ ...MUTED, announced: condition });
    const tasks = [
      stuck({ id: "s", muted: announced("stuck") }),
      failed({ id: "f", muted: announced("failure") }),
      failed({ id: "was stuck", muted: announced("stuck") }),
    ];
    expect(namesOf(snapshot(tasks))).toEqual(["DmsTaskStuck s", "DmsTaskFailed f"]);
  });

  test("goes to a webhook by its events and its match", () => {
    const all = snapshot([failed({ id: "f", name: "resizeInstance" }), stuck({ id: "s" })], {
      unreachable: DOWN,
    });
    const match = (over: Partial<Routing["match"]>): Partial<Routing> => ({
      match: { ...MATCH_ALL, ...over },
    });
    expect(namesOf(all, { events: ["task.stuck"] })).toEqual(["DmsTaskStuck s"]);
    expect(namesOf(all, { events: ["task.recovered", "instance.reachable"] })).toEqual([]);
    expect(namesOf(all, match({ task: ["resize*"] }))).toEqual(["DmsTaskFailed f"]);
    expect(namesOf(all, match({ instance: ["other-*"] }))).toEqual([]);
    expect(namesOf(all, match({ instance: ["ord*"], engine: ["kafka"], region: ["eu-*"] }))).toHaveLength(3);
    expect(namesOf(all, match({ project: ["test"] }))).toEqual([]);
  });

  test("is one line of text in each label, whatever the cloud calls it", () => {
    const [alert] = alertMaker(ALL, "").lasting(
      snapshot([failed({ name: `a\n"}\u202e\ud800${"x".repeat(500)}` })]),
    );
    expect(alert?.labels.task_name).toMatch(/^a "\} \ufffdx+$/);
    expect(alert?.labels.task_name?.length).toBeLessThanOrEqual(200);
  });
});

describe("the alertStore", () => {
  const [one, two] = alertMaker(ALL, "").lasting(snapshot([failed({ id: "1" }), failed({ id: "2" })])) as [
    Alert,
    Alert,
  ];
  const place = { key: "k", shard: 1 };
  const told = (alertStore: AlertStore) =>
    [...alertStore.entries.values()].map(({ alert, endedAt }) => [alert.labels.task_id, endedAt]);

  test("knows what is over because it was there, and tells it until it would have ended by itself", () => {
    const alertStore = new AlertStore();
    alertStore.set(place, [one, two], T0);
    alertStore.set(place, [two], T0 + 10);
    expect(told(alertStore)).toEqual([
      ["1", T0 + 10],
      ["2", null],
    ]);
    alertStore.set(place, [two], T0 + 20);
    alertStore.tidy(T0 + 10 + LASTS_MS);
    expect(told(alertStore)).toHaveLength(2);
    alertStore.tidy(T0 + 11 + LASTS_MS);
    expect(told(alertStore)).toEqual([["2", null]]);
  });

  test("keeps ends that no Alertmanager has taken, up to a thousand", () => {
    const alertStore = new AlertStore();
    const many = Array.from({ length: 1_001 }, (_, n) => ({ ...one, labels: { task_id: `${n}` } }));
    alertStore.set(place, many, T0);
    alertStore.set(place, [], T0 + 1);
    alertStore.tidy(T0 + 2 + LASTS_MS, (id) => id !== JSON.stringify({ task_id: "0" }));
    expect(alertStore.entries.size).toBe(1_000);
    expect(told(alertStore)[0]?.[0]).toBe("1");
    alertStore.tidy(T0 + 2 + LASTS_MS);
    expect(alertStore.entries.size).toBe(0);
  });

  test("makes another entry for what is news, and none for what is not", () => {
    const alertStore = new AlertStore();
    const entry = () => alertStore.entries.get(JSON.stringify(one.labels));
    alertStore.set(place, [one], T0);
    const first = entry();
    alertStore.set(place, [{ ...one }], T0 + 1);
    expect(entry()).toBe(first);
    alertStore.set(place, [{ ...one, annotations: { summary: "another" } }], T0 + 2);
    expect(entry()).not.toBe(first);
    alertStore.set(place, [], T0 + 3);
    alertStore.set(place, [{ ...one, startsAt: T0 + 4 }], T0 + 4);
    expect(entry()).toMatchObject({ endedAt: null, alert: { startsAt: T0 + 4 } });
  });

  test("ends what was on an instance that is gone, and only that", () => {
    const alertStore = new AlertStore();
    alertStore.set(place, [one], T0);
    alertStore.set({ key: "stays", shard: 2 }, [two], T0);
    alertStore.endGone((shard, key) => shard === 1 && key === "k", T0 + 5);
    alertStore.endGone((shard, key) => shard === 1 && key === "k", T0 + 9);
    expect(told(alertStore)).toEqual([
      ["1", T0 + 5],
      ["2", null],
    ]);
  });

  test("says nothing, not even an end, of a shard that is another's", () => {
    const alertStore = new AlertStore();
    alertStore.set(place, [one], T0);
    alertStore.set({ key: "stays", shard: 2 }, [two], T0);
    alertStore.forget(1);
    expect(told(alertStore)).toEqual([["2", null]]);
  });
});

describe("an event tells what is over with it", () => {
  const maker = alertMaker(ALL, "");
  const over = (type: EventType, data: Partial<EventData> = {}) =>
    maker.overWith({ ...event(type, data), time: T0 })?.alert.labels;

  test("under the labels that it had while it lasted", () => {
    const { project, instance } = {
      project: { id: "p", name: "prod", region: "eu-west-101" },
      instance: { ...snapshot([]).instance, status: null },
    };
    const lasted = maker.lasting(snapshot([failed({ id: "f" }), stuck({ id: "s" })], { unreachable: DOWN }));
    const about = { project, instance };
    const of = (id: string) => ({ ...about, ...taskNamed("modifyAutoTopic", id) });
    expect([
      over("task.recovered", { ...of("f"), recovered_from: "failure" }),
      over("task.failed", { ...of("s"), was_stuck: true }),
      over("instance.reachable", { ...about, task: null }),
    ]).toEqual(lasted.map(({ labels }) => labels));
    expect(over("task.recovered", { ...of("s"), recovered_from: "stuck" })).toEqual(lasted[1]?.labels);
    expect(over("instance.removed", { ...about, task: null })).toEqual(lasted[2]?.labels);
  });

  test("and most events end nothing", () => {
    for (const type of EVENT_TYPES.filter(
      (each) => !/^(task\.recovered|instance\.(reachable|removed))$/.test(each),
    ))
      expect(over(type)).toBeUndefined();
    expect(over("task.recovered", { recovered_from: "failure", muted: true })).toBeUndefined();
    expect(over("task.failed", { was_stuck: true, muted: true })?.alertname).toBe("DmsTaskStuck");
    for (const { body } of BROKEN)
      expect(maker.overWith({ id: "e", type: "task.recovered", time: T0, body })).toBeNull();
  });

  test("which the alertStore takes only where nothing later is known", () => {
    const alertStore = new AlertStore();
    const place = { key: "k", shard: 1 };
    const [one, two] = maker.lasting(snapshot([failed({ id: "1" }), failed({ id: "2" })])) as [Alert, Alert];
    alertStore.set(place, [one], T0);
    alertStore.recall(place, one, T0 - 5);
    alertStore.recall(place, two, T0 - 5);
    alertStore.recall(place, two, T0 - 9);
    expect([...alertStore.entries.values()].map(({ endedAt }) => endedAt)).toEqual([null, T0 - 5]);
    alertStore.set(place, [one, two], T0 + 1);
    expect([...alertStore.entries.values()].map(({ endedAt }) => endedAt)).toEqual([null, null]);
  });
});

describe("as Alertmanager takes it", () => {
  const [alert] = alertMaker(ALL, "").lasting(snapshot([failed()])) as [Alert];
  const at = (ms: number) => new Date(ms).toISOString();

  test("it ends twenty minutes ahead while it lasts, and when it was seen to be over", () => {
    expect(postable({ alert, endedAt: null }, T0)).toEqual({
      labels: alert.labels,
      annotations: alert.annotations,
      startsAt: at(T0 - 9),
      endsAt: at(T0 + LASTS_MS),
    });
    expect(postable({ alert, endedAt: T0 - 1 }, T0 + 60_000)).toMatchObject({ endsAt: at(T0 - 1) });
  });

  test("no end lies ahead of its clock, and none before the beginning", () => {
    const behind = T0 - 600_000;
    expect(postable({ alert, endedAt: T0 }, behind)).toMatchObject({
      startsAt: at(behind),
      endsAt: at(behind),
    });
    expect(postable({ alert, endedAt: null }, behind)).toMatchObject({ endsAt: at(behind + LASTS_MS) });
  });
});
