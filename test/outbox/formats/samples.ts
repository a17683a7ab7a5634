import { cloudEvent } from "../../../src/core/cloudevent.ts";
import { NOTHING } from "../../../src/core/data.ts";
import type { EventData, EventType } from "../../../src/core/event.ts";
import { shownTaskFields } from "../../../src/core/task-fields.ts";
import type { FormattedEvent } from "../../../src/outbox/format.ts";

export const NOW = Date.parse("2026-11-24T10:00:00.000Z");

const DATA: EventData = {
  reason: "status EXECUTING -> FAILED",
  project: { name: "prod", id: "p1", region: "eu-west-101" },
  instance: { id: "i1", name: "orders", engine: "kafka", status: null },
  task: {
    id: "t1",
    name: "modifyAutoTopic",
    status: "FAILED",
    ...shownTaskFields(() => null),
    user_name: "paas_dms",
  },
  ...NOTHING,
  previous_status: "EXECUTING",
  sequence: 2,
  duration_seconds: 312.4,
  url: "https://tw.example.org/#/tasks/t1",
};

/** An event as the outbox has it; `data` overrides what is in it. */
export function event(
  type: EventType = "task.failed",
  data: Partial<EventData> = {},
  id = "evt_1",
): FormattedEvent {
  const body = cloudEvent({ id, type, time: NOW, webhooks: [], data: { ...DATA, ...data } });
  return { id, type, body };
}

export const taskNamed = (name: string, id = "t1") => ({ task: { ...DATA.task!, name, id } });

export const many = (count: number, data: (n: number) => Partial<EventData> = () => ({})): FormattedEvent[] =>
  Array.from({ length: count }, (_, n) =>
    event("task.failed", { ...taskNamed(`task ${n}`, `t${n}`), ...data(n) }, `evt_${n}`),
  );

/** Names that try to be something else in one medium or another. */
export const HOSTILE = [
  "<!channel> <!here> <@U123> <#C1>",
  "@all @everyone @channel",
  '<at id=all></at> <at user_id="all">x</at>',
  "[x](http://evil.example/) ![y](http://evil.example/z.png)",
  "<http://evil.example/|click>",
  '","text":"owned","x":"',
  '</font><font color="info">fine</font>',
  "line\nbreak\r\n# head\u2028\u0000\u001b[31m\u202eevil",
  "`code` *bold* ~strike~ > quote | pipe",
  "&lt;!channel&gt; &amp;",
  "{{data.task.id}} ${x} %s",
  "\ud800 lone",
] as const;

/** An event in which every text is hostile and as long as it can be. */
export const hostile = (text: string, type: EventType = "task.failed"): FormattedEvent =>
  event(type, {
    reason: text,
    project: { name: text, id: text, region: text },
    instance: { id: text, name: text, engine: "kafka", status: null },
    task: { ...DATA.task!, id: text, name: text, status: text },
    url: `https://tw.example.org/#/tasks/${encodeURIComponent(text.toWellFormed())}`,
  });

/** What was stored by an older version, by hand, or broken: anything may be missing. */
export const BROKEN: readonly FormattedEvent[] = [
  "",
  "{}",
  "null",
  "[1]",
  "not json",
  '{"data":null}',
  '{"data":{"task":{},"instance":{},"project":{}}}',
  '{"data":{"task":"x","instance":[],"project":7,"reason":{},"duration_seconds":"1","url":"javascript:alert(1)"}}',
  '{"data":{"duration_seconds":1e999,"url":"http://u:p@h/"}}',
].map((body, n) => ({ id: `evt_broken_${n}`, type: "task.failed", body }));

/** Every string in a JSON value. */
export function strings(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(strings);
}

/** Every map in a JSON value that has this key with this value. */
export function having(value: unknown, key: string, wanted?: unknown): Record<string, unknown>[] {
  if (typeof value !== "object" || value === null) return [];
  const own =
    Object.hasOwn(value, key) && (wanted === undefined || (value as Record<string, unknown>)[key] === wanted);
  return [
    ...(own ? [value as Record<string, unknown>] : []),
    ...Object.values(value).flatMap((inner) => having(inner, key, wanted)),
  ];
}
