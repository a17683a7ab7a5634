import { CAUSES } from "./cause.ts";
import {
  EVENT_TYPES,
  type EventData,
  type EventInstance,
  type EventProject,
  type EventTask,
  type EventType,
  type Resolution,
} from "./event.ts";
import { type Threshold, type ThresholdSource, VERDICTS } from "./state.ts";
import { ENGINES } from "./task.ts";
import { shownTaskFields } from "./task-fields.ts";

type Schema = { readonly [key: string]: unknown };

/*
 * JSON Schemas of the CloudEvents, one per type, for whoever writes a receiver. What each key may hold is said here once;
 * that no key and no word is missing is checked by the compiler, against the types that the events are made of. New keys
 * may be added to events, so none is forbidden.
 */

/** Every word of a closed list: one that is missing, or one too many, is a type error. */
const words = <T extends string>(all: Readonly<Record<T, true>>): Schema => ({ enum: Object.keys(all) });
const text: Schema = { type: "string" };
const time: Schema = { type: "string", format: "date-time" };
const count: Schema = { type: "integer", minimum: 1 };
const none: Schema = { type: "null" };
const orNull = (schema: Schema): Schema => ({ anyOf: [schema, none] });

const record = <T>(properties: { readonly [K in keyof T]-?: Schema }): Schema => ({
  type: "object",
  properties,
  required: Object.keys(properties),
});

const project = record<EventProject>({ name: text, id: text, region: text });

const instance = record<EventInstance>({
  id: text,
  name: text,
  engine: { enum: [...ENGINES] },
  status: orNull(text),
});

const task = record<EventTask>({
  id: text,
  name: text,
  status: text,
  ...shownTaskFields(({ kind }) => orNull(kind === "time" ? time : text)),
});

const threshold = record<Threshold>({
  seconds: { type: "number", minimum: 0 },
  source: words<ThresholdSource>({
    instance_by_task: true,
    instance_running_after: true,
    by_task: true,
    running_after: true,
    queued_after: true,
    no_progress_after: true,
    not_started: true,
    learned: true,
  }),
  samples: { type: "integer", minimum: 0 },
});

const verdict: Schema = { enum: [...VERDICTS] };
const cause: Schema = { enum: [...CAUSES] };
const recovered_from: Schema = { enum: ["failure", "stuck"] };
const resolution = words<Resolution>({
  moved_on: true,
  ended: true,
  later_success: true,
  acknowledged: true,
  expired: true,
  vanished: true,
  instance_removed: true,
});

type Keys = { readonly [K in keyof EventData]-?: Schema };

const DATA: Keys = {
  reason: { ...text, description: "For people; may change." },
  project,
  instance: orNull(instance),
  task: orNull(task),
  previous_status: orNull(text),
  sequence: orNull(count),
  duration_seconds: orNull({ type: "number", minimum: 0 }),
  verdict: orNull(verdict),
  previous_verdict: orNull(verdict),
  threshold: orNull(threshold),
  was_stuck: { type: "boolean" },
  recovered_from: orNull(recovered_from),
  resolution: orNull(resolution),
  resolved_by: orNull({
    anyOf: [record<{ task_id: string }>({ task_id: text }), record<{ user: string }>({ user: text })],
  }),
  progress_ratio: orNull({ type: "number", minimum: 0, maximum: 1 }),
  cause: orNull(cause),
  error_code: { ...orNull(text), description: "Of the cloud's answer that gave the cause." },
  request_id: { ...orNull(text), description: "Of the same answer, for a support case." },
  since: orNull(time),
  muted: { type: "boolean" },
  muted_until: orNull(time),
  silence: none,
  diagnosis: none,
  url: orNull({ type: "string", format: "uri" }),
};

const OF_TASK: Partial<Keys> = { instance, task, sequence: count };
const OF_INSTANCE: Partial<Keys> = { instance, task: none, sequence: none };
const OF_PROJECT: Partial<Keys> = { instance: none, task: none, sequence: none };

/** What an event of some type always or never has. */
function keysOf(type: EventType): Partial<Keys> {
  if (type === "task.stuck") return { ...OF_TASK, verdict, threshold };
  if (type === "task.recovered") return { ...OF_TASK, recovered_from, resolution };
  if (type.startsWith("task.")) return OF_TASK;
  const reach = /reachable$/.test(type) ? { cause } : {};
  return type.startsWith("instance.") ? { ...OF_INSTANCE, ...reach } : { ...OF_PROJECT, ...reach };
}

/** The schema of each type's CloudEvent, as webhooks carry it. */
export function eventSchemas(): ReadonlyMap<EventType, Schema> {
  return new Map(EVENT_TYPES.map((type) => [type, eventSchema(type)]));
}

function eventSchema(type: EventType): Schema {
  const isOfTask = type.startsWith("task.");
  const properties = {
    specversion: { const: "1.0" },
    id: { type: "string", pattern: "^evt_[0-9a-f]{32}$", description: "The same on every attempt." },
    source: { type: "string", pattern: "^/projects/[^/]*(/instances/[^/]*)?$" },
    type: { const: `taskwatch.${type}` },
    ...(isOfTask ? { subject: { ...text, description: "The task's id." } } : {}),
    time: { ...time, description: "When it was committed." },
    datacontenttype: { const: "application/json" },
    data: record<EventData>({ ...DATA, ...keysOf(type) }),
  };
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: `dms-taskwatch event ${type}`,
    type: "object",
    properties,
    required: Object.keys(properties),
    ...(isOfTask ? {} : { not: { required: ["subject"] } }),
  };
}
