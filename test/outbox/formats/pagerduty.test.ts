import { Ajv } from "ajv";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Secret } from "../../../src/config/secret.ts";
import { EVENT_TYPES, type EventType } from "../../../src/core/event.ts";
import type { FormattedEvent } from "../../../src/outbox/format.ts";
import { formatOf } from "../../../src/outbox/formats/index.ts";
import { webhookConfig } from "../harness.ts";
import { Exchange } from "./exchange.ts";
import { BROKEN, event, HOSTILE, hostile, taskNamed } from "./samples.ts";
import { PAGERDUTY_ALERT, PAGERDUTY_CHANGE } from "./schemas.ts";

const KEY = "0123456789abcdef0123456789abcdef";
const settings = { format: "pagerduty", routing_key: new Secret(KEY) } as const;
const ajv = new Ajv({ strict: true, allErrors: true });
const alert = ajv.compile(PAGERDUTY_ALERT);
const change = ajv.compile(PAGERDUTY_CHANGE);

const URL_OF_ALERTS = "https://events.pagerduty.com/v2/enqueue";
const format = formatOf(webhookConfig(URL_OF_ALERTS, settings));

interface Sent {
  readonly url: string;
  readonly body: {
    readonly event_action?: string;
    readonly dedup_key?: string;
    readonly payload: { readonly summary: string; readonly severity?: string; readonly source: string };
  };
}

function render(one: FormattedEvent): Sent {
  const { url, body } = format.render([one], 0);
  expect(Buffer.byteLength(body)).toBeLessThan(512 * 1024);
  const json: Sent["body"] = JSON.parse(body);
  const valid = json.event_action === undefined ? change : alert;
  valid(json);
  expect(valid.errors).toBeNull();
  return { url, body: json };
}

const action = (type: EventType, data: Parameters<typeof event>[1] = {}) =>
  render(event(type, data)).body.event_action ?? "change";

test("what opens an incident triggers, what ends it resolves, everything else pages nobody", () => {
  const actions = EVENT_TYPES.map((type) => `${type} ${action(type)}`);
  expect(actions).toEqual([
    "task.started change",
    "task.succeeded change",
    "task.failed trigger",
    "task.cancelled change",
    "task.deleted change",
    "task.status_changed change",
    "task.stuck trigger",
    "task.recovered resolve",
    "task.vanished change",
    "instance.unreachable trigger",
    "instance.reachable resolve",
    "instance.discovered change",
    "instance.removed resolve",
    "project.unreachable trigger",
    "project.reachable resolve",
    "test trigger",
  ]);
});

test("stuck, then failed, then recovered, however it ended, is one incident under the incident key", () => {
  const stages = [
    event("task.stuck"),
    event("task.failed", { was_stuck: true }),
    event("task.recovered", { recovered_from: "failure", resolution: "later_success" }),
    event("task.recovered", { recovered_from: "failure", resolution: "acknowledged" }),
  ].map((stage) => render(stage).body);
  expect(new Set(stages.map(({ dedup_key }) => dedup_key))).toEqual(new Set(["dms-taskwatch/p1/i1/t1"]));
  expect(stages.map(({ event_action }) => event_action)).toEqual([
    "trigger",
    "trigger",
    "resolve",
    "resolve",
  ]);
  expect(stages.slice(0, 2).map(({ payload }) => payload.severity)).toEqual(["critical", "error"]);
});

test("instances and projects have incidents of their own, a test has one each time", () => {
  const none = { task: null };
  const keys = [
    event("instance.unreachable", none),
    event("instance.reachable", none),
    event("project.unreachable", { ...none, instance: null }),
    event("test", { ...none, instance: null }, "evt_a"),
    event("test", { ...none, instance: null }, "evt_b"),
  ].map((one) => render(one).body.dedup_key);
  expect(keys).toEqual([
    "dms-taskwatch/p1/i1/",
    "dms-taskwatch/p1/i1/",
    "dms-taskwatch/p1//",
    "dms-taskwatch/test/evt_a",
    "dms-taskwatch/test/evt_b",
  ]);
});

test("news that is no incident goes to the address of change events", () => {
  expect(render(event("task.failed")).url).toBe(URL_OF_ALERTS);
  expect(render(event("task.succeeded")).url).toBe("https://events.pagerduty.com/v2/change/enqueue");
});

test("the summary says it all in one line", () => {
  const { payload } = render(event("task.failed")).body;
  expect(payload.summary).toBe("Task failed: modifyAutoTopic on orders, 5m 12s: status EXECUTING -> FAILED");
  expect(payload.source).toBe("orders");
});

test("limits are kept and keys stay apart, however long or odd the values are", () => {
  for (const text of HOSTILE) render(hostile(text));
  for (const broken of BROKEN) render(broken);
  const long = "界".repeat(6000);
  const keys = ["a", "b"].map(
    (end) => render(event("task.failed", { ...taskNamed(long, long + end), reason: long })).body.dedup_key,
  );
  expect(keys[0]).not.toBe(keys[1]);
  expect(render(hostile("x".repeat(9000))).body.payload.summary.length).toBeLessThanOrEqual(1024);
});

describe("answers", () => {
  let exchange: Exchange;
  beforeAll(async () => {
    exchange = await Exchange.open(settings);
  });
  afterAll(() => exchange[Symbol.asyncDispose]());

  test.each([
    [202, "delivered (HTTP 202)"],
    [400, "refused (HTTP 400)"],
    [403, "retry: refused, for refused_for (HTTP 403)"],
    [
      { status: 429, headers: { "retry-after": "7" } },
      "retry: throttled, for for, not before 7 s (HTTP 429)",
    ],
    [500, "retry: server_error, for for (HTTP 500)"],
  ] as const)("%j is taken as: %s", async (reply, taken) => {
    expect(await exchange.answered([event()], reply)).toBe(taken);
    expect(JSON.parse(exchange.receiver.requests.at(-1)!.body).routing_key).toBe(KEY);
  });
});
