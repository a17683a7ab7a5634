import type { Salvaged } from "../core/anew.ts";
import { CAUSES, type CloudAnswer } from "../core/cause.ts";
import { isSketch } from "../core/sketch.ts";
import {
  type Acknowledgement,
  CONDITIONS,
  type InstanceRecord,
  isOpenTask,
  type MutedOpening,
  type NameEnds,
  type ScheduledTask,
  type TaskState,
  type Threshold,
  type ThresholdSource,
  type Unreachable,
  VERDICTS,
  type Verdict,
} from "../core/state.ts";
import { ENGINES } from "../core/task.ts";
import { withFields } from "../core/task-fields.ts";
import { MalformedText, NewerText } from "./unreadable.ts";

/**
 * State as the stores keep it: JSON that leaves out what is null, false or without content, because most tasks are over
 * and most fields are then. What a store must address by itself stays outside: the id of a task, and the two
 * poll times of an instance, which are flushed without the record.
 */
const VERSION = 1;

const SOURCES: readonly ThresholdSource[] = [
  "instance_by_task",
  "instance_running_after",
  "by_task",
  "running_after",
  "queued_after",
  "no_progress_after",
  "not_started",
  "learned",
];

/** Which lists a task belongs to. */
export const OPEN = 1;
export const STUCK = 2;
export const FAILED = 4;

/** A task with any flag is part of what `load` returns. */
export function taskFlags(task: TaskState): number {
  return (
    (isOpenTask(task) ? OPEN : 0) |
    (task.verdict === null ? 0 : STUCK) |
    (task.failedAt === null ? 0 : FAILED)
  );
}

export const encodeTask = (task: TaskState): string => compact(task, "id");

export function decodeTask(id: string, text: string): TaskState {
  return decode(text, (fields) => ({
    id,
    name: textOf(fields, "name"),
    status: textOf(fields, "status"),
    ...withFields({}, ({ name, kind }) =>
      orNull<string | number>(fields, name, kind === "time" ? numberOf : textOf),
    ),
    seenAt: numberOf(fields, "seenAt"),
    sequence: numberOf(fields, "sequence"),
    counts: countsOf(fields),
    verdict: orNull(fields, "verdict", verdictOf),
    failedAt: orNull(fields, "failedAt", numberOf),
    acknowledged: orNull(fields, "acknowledged", acknowledgementOf),
    informed: textsOf(fields, "informed"),
    executed: flagOf(fields, "executed"),
    unlisted: flagOf(fields, "unlisted"),
    progress: orNull(fields, "progress", progressOf),
    muted: orNull(fields, "muted", mutedOf),
    scheduleAt: orNull(fields, "scheduleAt", numberOf),
  }));
}

export interface RecordTimes {
  readonly lastCompleteAt: number | null;
  readonly lastSweepAt: number | null;
}

export const encodeRecord = (record: InstanceRecord): string =>
  compact(record, "lastCompleteAt", "lastSweepAt", record.removals === 0 ? "removals" : "");

export function decodeRecord(text: string, times: RecordTimes): InstanceRecord {
  return decode(text, (fields) => ({
    projectId: textOf(fields, "projectId"),
    instanceId: textOf(fields, "instanceId"),
    name: textOf(fields, "name"),
    engine: oneOf(fields, "engine", ENGINES),
    discovered: flagOf(fields, "discovered"),
    baselineAt: orNull(fields, "baselineAt", numberOf),
    lastCompleteAt: times.lastCompleteAt,
    lastSweepAt: times.lastSweepAt,
    prunedBefore: orNull(fields, "prunedBefore", numberOf),
    unreachable: orNull(fields, "unreachable", unreachableOf),
    counts: countsOf(fields),
    removals: orNull(fields, "removals", numberOf) ?? 0,
    ended: listOf(fields, "ended").map(endsOf),
    scheduled: listOf(fields, "scheduled").map(scheduledOf),
    leftOutSince: orNull(fields, "leftOutSince", numberOf),
  }));
}

type Fields = Readonly<Record<string, unknown>>;

/** Runs for every task and record that is written: no arrays of entries here. */
function compact(fields: object, ...outside: readonly string[]): string {
  const kept: Record<string, unknown> = { v: VERSION };
  for (const key in fields) {
    const value = (fields as Fields)[key];
    if (!isDefault(value) && !outside.includes(key)) kept[key] = value;
  }
  return JSON.stringify(kept);
}

function isDefault(value: unknown): boolean {
  if (value === null || value === false) return true;
  if (typeof value !== "object") return false;
  for (const _ in value) return false;
  return true;
}

/** What of a record can be told although the whole cannot be read: it was written by a newer version, say. */
export function salvage(text: string): Salvaged {
  try {
    const fields = fieldsOf(JSON.parse(text), "the whole");
    const name = get(fields, "name");
    const engine = ENGINES.find((each) => each === get(fields, "engine"));
    const removals = get(fields, "removals");
    return {
      ...(typeof name === "string" ? { name } : {}),
      ...(engine === undefined ? {} : { engine }),
      ...(Number.isSafeInteger(removals) ? { removals: Number(removals) } : {}),
      discovered: get(fields, "discovered") === true,
    };
  } catch {
    return {};
  }
}

/** Throws for a sketch that `core/sketch.ts` would take for an empty one. */
export function mustBeSketch(text: string | null): string | null {
  if (text === null || isSketch(text)) return text;
  throw new MalformedText("its durations are not a sketch of this version");
}

function decode<T>(text: string, build: (fields: Fields) => T): T {
  const fields = fieldsOf(JSON.parse(text), "the whole");
  if (typeof fields.v === "number" && fields.v > VERSION) throw new NewerText(fields.v, VERSION);
  if (fields.v !== VERSION) throw new MalformedText("v is not a known format");
  return build(fields);
}

function fieldsOf(value: unknown, where: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new MalformedText(`${where} is not an object`);
  }
  return value as Fields;
}

/** Own properties only: a stored object has no `constructor` or `toString` unless it was written there. */
function get(fields: Fields, key: string): unknown {
  return Object.hasOwn(fields, key) ? fields[key] : undefined;
}

function orNull<T>(fields: Fields, key: string, read: (fields: Fields, key: string) => T): T | null {
  const value = get(fields, key);
  return value === undefined || value === null ? null : read(fields, key);
}

function textOf(fields: Fields, key: string): string {
  const value = get(fields, key);
  if (typeof value !== "string") throw new MalformedText(`${key} is not a text`);
  return value;
}

function numberOf(fields: Fields, key: string): number {
  const value = get(fields, key);
  if (typeof value !== "number") throw new MalformedText(`${key} is not a number`);
  return value;
}

function flagOf(fields: Fields, key: string): boolean {
  const value = get(fields, key) ?? false;
  if (typeof value !== "boolean") throw new MalformedText(`${key} is not true or false`);
  return value;
}

function listOf(fields: Fields, key: string): readonly unknown[] {
  const value = get(fields, key) ?? [];
  if (!Array.isArray(value)) throw new MalformedText(`${key} is not a list`);
  return value;
}

function textsOf(fields: Fields, key: string): readonly string[] {
  const list = listOf(fields, key);
  if (!list.every((item) => typeof item === "string"))
    throw new MalformedText(`${key} is not a list of texts`);
  return list;
}

function oneOf<T extends string>(fields: Fields, key: string, allowed: readonly T[]): T {
  const value = get(fields, key);
  const found = allowed.find((item) => item === value);
  if (found === undefined) throw new MalformedText(`${key} is not one of ${allowed.join(", ")}`);
  return found;
}

/** JSON.parse makes an own property even of `__proto__`; the object is handed on as it is, for a copy would not. */
function countsOf(fields: Fields): Readonly<Record<string, number>> {
  const counts = fieldsOf(get(fields, "counts") ?? {}, "counts");
  for (const value of Object.values(counts)) {
    if (typeof value !== "number") throw new MalformedText("counts holds something that is not a number");
  }
  return counts as Readonly<Record<string, number>>;
}

function verdictOf(fields: Fields, key: string): Verdict {
  const verdict = fieldsOf(get(fields, key), key);
  return {
    kind: oneOf(verdict, "kind", VERDICTS),
    since: numberOf(verdict, "since"),
    threshold: thresholdOf(verdict, "threshold"),
    announcedAt: numberOf(verdict, "announcedAt"),
  };
}

function thresholdOf(fields: Fields, key: string): Threshold {
  const threshold = fieldsOf(get(fields, key), key);
  return {
    seconds: numberOf(threshold, "seconds"),
    source: oneOf(threshold, "source", SOURCES),
    samples: numberOf(threshold, "samples"),
  };
}

function acknowledgementOf(fields: Fields, key: string): Acknowledgement {
  const acknowledged = fieldsOf(get(fields, key), key);
  return {
    by: textOf(acknowledged, "by"),
    at: numberOf(acknowledged, "at"),
    reason: orNull(acknowledged, "reason", textOf),
  };
}

function progressOf(fields: Fields, key: string): NonNullable<TaskState["progress"]> {
  const progress = fieldsOf(get(fields, key), key);
  return { ratio: numberOf(progress, "ratio"), since: numberOf(progress, "since") };
}

function mutedOf(fields: Fields, key: string): MutedOpening {
  const muted = fieldsOf(get(fields, key), key);
  return {
    eventId: textOf(muted, "eventId"),
    sequence: numberOf(muted, "sequence"),
    until: numberOf(muted, "until"),
    announced: announcedOf(muted, textsOf(fields, "informed")),
  };
}

/** Version 1 did not keep it: whoever was informed in a window had heard of a verdict before it. */
function announcedOf(muted: Fields, informed: readonly string[]): MutedOpening["announced"] {
  if (get(muted, "announced") !== undefined) return orNull(muted, "announced", conditionOf);
  return informed.length > 0 ? "stuck" : null;
}

const conditionOf = (fields: Fields, key: string) => oneOf(fields, key, CONDITIONS);

function unreachableOf(fields: Fields, key: string): Unreachable {
  const unreachable = fieldsOf(get(fields, key), key);
  return {
    since: numberOf(unreachable, "since"),
    // Records that were written before this was kept.
    at: orNull(unreachable, "at", numberOf) ?? numberOf(unreachable, "since"),
    cause: oneOf(unreachable, "cause", CAUSES),
    answer: orNull(unreachable, "answer", answerOf),
    informed: textsOf(unreachable, "informed"),
    muted: orNull(unreachable, "muted", mutedOf),
  };
}

function answerOf(fields: Fields, key: string): CloudAnswer {
  const answer = fieldsOf(get(fields, key), key);
  return { errorCode: orNull(answer, "errorCode", textOf), requestId: orNull(answer, "requestId", textOf) };
}

function scheduledOf(item: unknown): ScheduledTask {
  const row = fieldsOf(item, "scheduled");
  return {
    id: textOf(row, "id"),
    name: textOf(row, "name"),
    status: textOf(row, "status"),
    scheduleAt: orNull(row, "scheduleAt", numberOf),
    createdAt: orNull(row, "createdAt", numberOf),
  };
}

function endsOf(item: unknown): NameEnds {
  const ends = fieldsOf(item, "ended");
  return {
    name: textOf(ends, "name"),
    successAt: orNull(ends, "successAt", numberOf),
    failureAt: orNull(ends, "failureAt", numberOf),
  };
}
