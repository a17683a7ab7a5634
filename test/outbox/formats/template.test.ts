import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import type { WebhookConfig } from "../../../src/config/config.ts";
import { Secret } from "../../../src/config/secret.ts";
import { formatOf } from "../../../src/outbox/formats/index.ts";
import { TemplateError } from "../../../src/util/mustache.ts";
import { webhookConfig } from "../harness.ts";
import { Exchange } from "./exchange.ts";
import { BROKEN, event, HOSTILE, hostile, many } from "./samples.ts";

const made = (
  template: string,
  content_type: string | null = "text/plain",
  more: Partial<WebhookConfig> = {},
) =>
  formatOf(webhookConfig("https://h.example.org/", { format: "template", template, content_type, ...more }));
const render = (template: string, type?: string | null, events = [event()]) =>
  made(template, type).render(events, 0).body;
const refusal = (template: string, type?: string | null, more?: Partial<WebhookConfig>): string => {
  try {
    made(template, type, more);
  } catch (error) {
    if (error instanceof TemplateError) return error.message;
    throw error;
  }
  return "taken";
};

describe("a template", () => {
  test("puts in values, sections of what is there, and what to show where it is not", () => {
    expect(render("{{type}} {{data.task.name}} {{ data.duration_seconds }}")).toBe(
      "taskwatch.task.failed modifyAutoTopic 312.4",
    );
    expect(render("{{#data.task}}{{name}} on {{data.instance.name}}{{/data.task}}")).toBe(
      "modifyAutoTopic on orders",
    );
    expect(render("{{#data.cause}}c: {{.}}{{/data.cause}}{{^data.cause}}no cause{{/data.cause}}")).toBe(
      "no cause",
    );
    expect(
      render(
        "{{#data.was_stuck}}was{{/data.was_stuck}}{{^data.was_stuck}}was not{{/data.was_stuck}}{{! said }}",
      ),
    ).toBe("was not");
    expect(render("no tags { } }}")).toBe("no tags { } }}");
  });

  test("goes through the events of a group, and knows the first and the last", () => {
    const text = "{{count}}:{{#events}}{{^first}},{{/first}}{{data.task.name}}{{#last}}.{{/last}}{{/events}}";
    expect(render(text, "text/plain", many(3))).toBe("3:task 0,task 1,task 2.");
    expect(made(text).maxEvents).toBeGreaterThan(1);
    expect(made("{{data.task.name}}").maxEvents).toBe(1);
  });

  test("says nothing for what is missing or broken", () => {
    for (const broken of BROKEN)
      expect(render("<{{data.task.name}}{{data.reason}}>", "text/plain", [broken])).toBe("<>");
    expect(
      render("{{#data.task}}{{user_name}}{{/data.task}}", "text/plain", [
        event("task.failed", { task: null }),
      ]),
    ).toBe("");
  });
});

describe("every value is escaped for the content type", () => {
  test("JSON stays JSON and gives the value back", () => {
    for (const text of HOSTILE) {
      const body = render('{"t":"{{data.task.name}}","r":"{{data.reason}}"}', null, [hostile(text)]);
      expect(JSON.parse(body)).toEqual({ t: text.toWellFormed(), r: text.toWellFormed() });
    }
  });

  test("XML and HTML get no tag, no attribute's end and no control character", () => {
    for (const type of ["application/xml; charset=utf-8", "text/html", "application/soap+xml"]) {
      for (const text of HOSTILE) {
        const body = render('<a b="{{data.task.name}}">{{data.reason}}</a>', type, [hostile(text)]);
        expect(body).toMatch(/^<a b="[^"<>\p{Cc}]*">[^"<>\p{Cc}]*<\/a>$/u);
      }
    }
  });

  test("a form keeps its fields, plain text its lines", () => {
    for (const text of HOSTILE) {
      const form = render("a={{data.task.name}}&b=1", "application/x-www-form-urlencoded", [hostile(text)]);
      expect(Object.fromEntries(new URLSearchParams(form))).toEqual({ a: text.toWellFormed(), b: "1" });
      expect(render("{{data.task.name}}\nend", "text/plain", [hostile(text)]).split("\n")).toHaveLength(2);
    }
  });
});

describe("what cannot work is refused at the start, with place, found and allowed", () => {
  const NAMES = "names that an event has";
  test.each([
    ["{{data.tsk.name}}", `found data.tsk.name in line 1, column 1 of it; allowed: ${NAMES}`],
    [
      "a\n  {{data.task}}",
      "found data.task as a value in line 2, column 3 of it; allowed: a section {{#data.task}}, or one of data.task.id, data.task.name, data.task.status, data.task.user_name, data.task.user_id, data.task.created_at, data.task.updated_at, data.task.params",
    ],
    [
      "{{#data.task}}x",
      "found a section data.task without its end in line 1, column 1 of it; allowed: {{/data.task}} after it",
    ],
    [
      "x {{#data.task}}{{/data}}",
      "found {{/data}} in line 1, column 17 of it; allowed: {{/data.task}}, which is open",
    ],
    [
      "{{/data}}",
      "found {{/data}} in line 1, column 1 of it; allowed: {{#data}} before it: no section is open",
    ],
    ["{{data.task.name", "found {{ without }} after it in line 1, column 1 of it; allowed: {{name}}"],
    ["{{#events}}{{data.x}}{{/events}}", `found data.x in line 1, column 12 of it; allowed: ${NAMES}`],
    ["{{constructor}}", `found constructor in line 1, column 1 of it; allowed: ${NAMES}`],
    ["{{__proto__.x}}", `found __proto__.x in line 1, column 1 of it; allowed: ${NAMES}`],
  ])("%j", (template, message) => {
    expect(refusal(template)).toBe(message);
  });

  test("tags of other template languages", () => {
    for (const tag of [
      "{{{data.reason}}}",
      "{{&data.reason}}",
      "{{> part}}",
      "{{=<% %>=}}",
      "{{ if .x }}",
      "{{data.reason | upper}}",
    ])
      expect(refusal(tag)).toMatch(/^found \{\{.* in line 1, column 1 of it; allowed: \{\{name\}\}, /);
  });

  test("JSON that breaks where a value is missing, or between two events", () => {
    expect(refusal('{"d": {{data.duration_seconds}}}', null)).toMatch(
      /a sample event gives what is not JSON .*; allowed: JSON/,
    );
    expect(refusal('[{{#events}}"{{id}}",{{/events}}]', null)).toMatch(/not JSON/);
    expect(refusal('[{{#events}}{{^first}},{{/first}}"{{id}}"{{/events}}]', null)).toBe("taken");
    expect(
      refusal(
        '{"d": {{#data.duration_seconds}}{{.}}{{/data.duration_seconds}}{{^data.duration_seconds}}null{{/data.duration_seconds}}}',
        null,
      ),
    ).toBe("taken");
  });

  test("one that would take all time or memory, in a moment", () => {
    const nested = (depth: number, inner: string) =>
      `${"{{#events}}".repeat(depth)}${inner}${"{{/events}}".repeat(depth)}`;
    expect(refusal(nested(2, "{{data.task.name}}"))).toBe("taken");
    expect(refusal(nested(4, "{{data.reason}} and more text"))).toMatch(/^found more text; allowed: at most/);
    expect(refusal(nested(8, ""))).toMatch(/^found sections that repeat each other; allowed: at most/);
    expect(refusal(nested(10_000, ""))).toMatch(/^found (64|2)\d+ characters; allowed: at most 64000$/);
    expect(refusal(nested(21, ""))).toMatch(/; allowed: at most 20 sections within each other$/);
    expect(refusal("{{id}} ".repeat(20_000))).toMatch(/^found 140000 characters; allowed: at most 64000$/);
  });

  test("a group whose template would show one event of many", () => {
    const group = { by: ["instance" as const], wait: 1, interval: 1 };
    expect(refusal("{{id}}", "text/plain", { group })).toMatch(/found no \{\{#events\}\}/);
    expect(refusal("{{#events}}{{id}}{{/events}}", "text/plain", { group })).toBe("taken");
  });
});

test("whatever stands in a template, it is refused or renders any event, within its limits", () => {
  const name = fc.constantFrom(
    "id",
    "data.task",
    "data.task.name",
    "name",
    "events",
    "count",
    "first",
    ".",
    "data.x",
  );
  const tag = fc
    .tuple(fc.constantFrom("", "#", "^", "/", "!", "&", ">"), name)
    .map((parts) => `{{${parts.join("")}}}`);
  const section = fc
    .tuple(fc.constantFrom("#", "^"), name, fc.string({ maxLength: 5 }))
    .map(([sign, path, text]) => `{{${sign}${path}}}${text}{{/${path}}}`);
  const text = fc
    .array(fc.oneof(tag, section, section, fc.string()), { maxLength: 8 })
    .map((parts) => parts.join(""));
  let taken = 0;
  fc.assert(
    fc.property(text, fc.constantFrom("text/plain", "text/html", null), (template, type) => {
      if (refusal(template, type) !== "taken") return;
      taken++;
      const format = made(template, type);
      for (const events of [[event()], BROKEN.slice(0, 1), many(format.maxEvents), [hostile(HOSTILE[0])]])
        expect(typeof format.render(events.slice(0, format.maxEvents), 0).body).toBe("string");
    }),
    { numRuns: 2_000 },
  );
  expect(taken).toBeGreaterThan(100);
});

test("the body is signed like any other", async () => {
  const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  await using exchange = await Exchange.open({
    format: "template",
    template: "<p>{{data.task.name}}</p>",
    content_type: "text/html",
    secrets: [new Secret(secret)],
  });
  const { request, attempt } = await exchange.send([event()]);
  expect(attempt.verdict.kind).toBe("delivered");
  expect(request.headers["content-type"]).toBe("text/html");
  const at = new Date(Number(request.headers["webhook-timestamp"]) * 1000);
  const signature = new Webhook(secret).sign("evt_1", at, request.body);
  expect(request.headers["webhook-signature"]).toBe(signature);
  expect(await exchange.answered([event()], 422)).toBe("refused (HTTP 422)");
});
