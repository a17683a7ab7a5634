import { createHmac } from "node:crypto";
import { Ajv } from "ajv";
import { describe, expect, test } from "vitest";
import { FORMATS } from "../../../src/config/config.ts";
import { EVENT_TYPES } from "../../../src/core/event.ts";
import { shownTaskFields } from "../../../src/core/task-fields.ts";
import { formatOf } from "../../../src/outbox/formats/index.ts";
import { webhookConfig } from "../harness.ts";
import { Exchange } from "./exchange.ts";
import { MEDIA } from "./media.ts";
import { BROKEN, event, HOSTILE, having, hostile, many, strings } from "./samples.ts";

const ajv = new Ajv({ strict: true, allErrors: true, allowUnionTypes: true });

describe.each(Object.entries(MEDIA))("%s", (name, medium) => {
  const format = formatOf(webhookConfig("https://h.example.org/hook?key=k", medium.settings));
  const valid = ajv.compile(medium.schema);
  const render = (events: Parameters<typeof format.render>[0]): unknown => {
    const { body } = format.render(events, 0);
    expect(medium.bytes(body)).toBeLessThanOrEqual(medium.most);
    const json: unknown = JSON.parse(body);
    valid(json);
    expect(valid.errors).toBeNull();
    return json;
  };

  test("a message of each type of event keeps to the medium's schema and says what it is about", () => {
    for (const type of EVENT_TYPES) {
      const shown = strings(render([event(type)])).join("\n");
      expect(shown).toContain("modifyAutoTopic");
      expect(shown).toContain("orders");
      expect(shown).toContain("5m 12s");
      expect(shown).toContain("https://tw.example.org/#/tasks/t1");
    }
  });

  test("a failure, a hang and a recovery differ in colour", () => {
    const colours = (["task.failed", "instance.unreachable", "task.recovered"] as const).map(
      (type) =>
        JSON.stringify(render([event(type, { task: null })])).match(
          /"color":"[^"]+"|"style":"[^"]+"|"template":"[^"]+"|color=\\"[^"]+"/,
        )?.[0],
    );
    expect(colours[0]).toBeTruthy();
    expect(colours[2]).not.toBe(colours[0]);
    // WeCom has one colour for all that is bad.
    if (name !== "wecom") expect(new Set(colours).size).toBe(3);
  });

  test("nothing in a value becomes a mention, a link, markup, a line of its own or JSON", () => {
    for (const text of HOSTILE) {
      for (const events of [
        [hostile(text)],
        [hostile(text), hostile(text)],
        many(format.maxEvents).map(() => hostile(text)),
      ]) {
        const json = render(events);
        expect(having(json, "owned")).toEqual([]);
        for (const shown of strings(json)) expect(shown).not.toMatch(/[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Cs}]/u);
        for (const place of medium.markup(json)) {
          expect(place).not.toMatch(medium.never);
        }
      }
    }
  });

  test("what is missing or broken in an event is left out, never said as null or undefined", () => {
    for (const broken of BROKEN) {
      const shown = strings(render([broken])).join("\n");
      expect(shown).not.toMatch(/null|undefined|NaN|javascript:|\[object/);
      expect(shown).toContain("Task failed");
    }
  });

  test("as many events as it takes fit with the longest values, each of them named", () => {
    const long = "界".repeat(5000);
    const events = many(format.maxEvents, () => ({
      reason: long,
      instance: { id: long, name: long, engine: "kafka", status: null },
      url: `https://tw.example.org/${"x".repeat(5000)}`,
    }));
    const shown = strings(render(events)).join("\n");
    for (let n = 0; n < format.maxEvents; n++) expect(shown).toMatch(new RegExp(`task ${n} on`));
    const worst = many(format.maxEvents, () => ({ reason: '"\\'.repeat(3000), ...{ task: hostileTask } }));
    render(worst);
    for (const count of [1, 2, 5, 6]) render(worst.slice(0, count));
  });

  test("says how many there are and where", () => {
    const one = strings(render(many(7))).join("\n");
    expect(one).toContain("7 events on orders: 7 × task failed");
    const two = strings(
      render([
        event(),
        event("task.recovered", { instance: { id: "i2", name: "b", engine: "kafka", status: null } }),
      ]),
    );
    expect(two.join("\n")).toContain("2 events on prod: 1 × task failed, 1 × recovered");
  });
});

const hostileTask = {
  id: '"'.repeat(3000),
  name: "\u{1f4a5}\\".repeat(3000),
  status: "FAILED",
  ...shownTaskFields(() => null),
};

describe("signatures, computed anew from what arrived", () => {
  test("feishu: the time and the secret as key, nothing signed, in the body", async () => {
    await using exchange = await Exchange.open(MEDIA.feishu!.settings);
    const { request } = await exchange.send([event()], { status: 200, body: '{"code":0}' });
    const { timestamp, sign } = JSON.parse(request.body);
    expect(timestamp).toBe(String(Date.parse("2026-11-24T10:00:00Z") / 1000));
    expect(sign).toBe(createHmac("sha256", `${timestamp}\ns3cr3t`).update("").digest("base64"));
  });

  test("dingtalk: the time in milliseconds and the secret, signed with the secret, in the query", async () => {
    await using exchange = await Exchange.open(MEDIA.dingtalk!.settings);
    const { request } = await exchange.send([event()], { status: 200, body: '{"errcode":0}' });
    const query = new URL(request.path, "http://h").searchParams;
    expect(query.get("token")).toBe("s3cr3t-query");
    expect(query.get("timestamp")).toBe(String(Date.parse("2026-11-24T10:00:00Z")));
    const signed = createHmac("sha256", "SECs3cr3t").update(`${query.get("timestamp")}\nSECs3cr3t`);
    expect(query.get("sign")).toBe(signed.digest("base64"));
  });

  test("without a secret nothing is signed", async () => {
    for (const format of ["feishu", "dingtalk"] as const) {
      await using exchange = await Exchange.open({ format });
      const { request } = await exchange.send([event()]);
      expect(`${request.path}${request.body}`).not.toMatch(/"?sign"?[=:]|timestamp/);
    }
  });
});

const answer = (body: string, status = 200) => ({ status, body });

/** What each medium answers, and how it is taken. */
const ANSWERS: readonly (readonly [
  format: string,
  reply: Parameters<Exchange["answered"]>[1],
  taken: string,
])[] = [
  ["slack", answer("ok"), "delivered (HTTP 200)"],
  ["slack", answer('{"success":true}'), "delivered (HTTP 200)"],
  ["slack", answer("invalid_payload"), "refused (HTTP 200, invalid_payload)"],
  ["slack", answer("no_service"), "retry: refused, for refused_for (HTTP 200, no_service)"],
  ["slack", answer("invalid_blocks", 400), "refused (HTTP 400)"],
  ["slack", answer("invalid_token", 403), "retry: refused, for refused_for (HTTP 403)"],
  ["slack", answer("channel_is_archived", 410), "disable (HTTP 410)"],
  [
    "slack",
    { status: 429, headers: { "retry-after": "30" }, body: "rate_limited" },
    "retry: throttled, for for, not before 30 s (HTTP 429)",
  ],
  ["teams", answer("", 202), "delivered (HTTP 202)"],
  ["teams", answer("1"), "delivered (HTTP 200)"],
  [
    "teams",
    answer(
      "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId x",
    ),
    "retry: throttled, for for, not before 10 s (HTTP 200, Teams says 429)",
  ],
  ["teams", answer("… returned HTTP error 413 with …"), "refused (HTTP 200, Teams says 413)"],
  ["teams", answer("… returned HTTP error 502 …"), "retry: server_error, for for (HTTP 200, Teams says 502)"],
  ["feishu", answer('{"code":0,"msg":"success"}'), "delivered (HTTP 200, code 0)"],
  ["feishu", answer('{"StatusCode":0,"StatusMessage":"success"}'), "delivered (HTTP 200, code 0)"],
  ["feishu", answer('{"code":9499,"msg":"Bad Request"}'), "refused (HTTP 200, code 9499)"],
  [
    "feishu",
    answer('{"code":9499,"msg":"too many request"}'),
    "retry: throttled, for for, not before 10 s (HTTP 200, code 9499)",
  ],
  [
    "feishu",
    answer('{"code":11232,"msg":"frequency limited"}', 400),
    "retry: throttled, for for, not before 10 s (HTTP 400, code 11232)",
  ],
  [
    "feishu",
    answer('{"code":19021,"msg":"sign match fail"}'),
    "retry: refused, for refused_for (HTTP 200, code 19021)",
  ],
  ["dingtalk", answer('{"errcode":0,"errmsg":"ok"}'), "delivered (HTTP 200, code 0)"],
  ["dingtalk", answer('{"errcode":"0"}'), "delivered (HTTP 200, code 0)"],
  [
    "dingtalk",
    answer('{"errcode":130101}'),
    "retry: throttled, for for, not before 60 s (HTTP 200, code 130101)",
  ],
  [
    "dingtalk",
    answer('{"errcode":410100}'),
    "retry: throttled, for for, not before 60 s (HTTP 200, code 410100)",
  ],
  ["dingtalk", answer('{"errcode":310000}'), "retry: refused, for refused_for (HTTP 200, code 310000)"],
  ["dingtalk", answer('{"errcode":-1}'), "retry: server_error, for for (HTTP 200, code -1)"],
  ["dingtalk", answer('{"errcode":460101}'), "refused (HTTP 200, code 460101)"],
  ["wecom", answer('{"errcode":0}'), "delivered (HTTP 200, code 0)"],
  ["wecom", answer('{"errcode":45009}'), "retry: throttled, for for, not before 60 s (HTTP 200, code 45009)"],
  ["wecom", answer('{"errcode":93000}'), "retry: refused, for refused_for (HTTP 200, code 93000)"],
  ["wecom", answer('{"errcode":40058}'), "refused (HTTP 200, code 40058)"],
  ["wecom", answer("<html>", 502), "retry: server_error, for for (HTTP 502)"],
  ["wecom", answer("not json"), "delivered (HTTP 200)"],
];

test.each(ANSWERS)("%s: %j is taken as: %s", async (format, reply, taken) => {
  await using exchange = await Exchange.open({ format: FORMATS.find((one) => one === format)! });
  expect(await exchange.answered([event()], reply)).toBe(taken);
});
