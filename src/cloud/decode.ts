import type { ScheduledTask } from "../core/state.ts";
import {
  type Engine,
  isKnownStatus,
  type ObservedTask,
  type TaskProgress,
  type TaskStep,
} from "../core/task.ts";
import { type TaskField, withFields } from "../core/task-fields.ts";
import type { ListedInstance } from "../ports/task-source.ts";
import { boundedId, boundedName } from "./bounded.ts";
import { type Fields, isFields } from "./json.ts";

/** One row of a list: what it says, or what is wrong with it. A bad row never costs the others. */
export type Row<T> =
  | { readonly kind: "item"; readonly item: T }
  | { readonly kind: "malformed"; readonly id: string | null; readonly problem: string };

/** One page of a list, rows in the order that the cloud gave them. */
export interface RowPage<T> {
  readonly rows: readonly Row<T>[];
  /** What the cloud says that the list holds in all. A hint: it was seen to be wrong. */
  readonly total: number | null;
}

/** `{ task_count, tasks }`: the answer for a list, and for one task. Undefined when it is none. */
export const decodeTasks = (body: unknown): RowPage<ObservedTask> | undefined =>
  decodePage(body, "tasks", "task_count", decodeTask);

/** `{ job_count, jobs }`. Undefined when it is none. */
export const decodeScheduled = (body: unknown): RowPage<ScheduledTask> | undefined =>
  decodePage<ScheduledTask>(body, "jobs", "job_count", (fields) => {
    const row = decodeTask(fields);
    if (row.kind === "malformed") return row;
    const { id, name, status, createdAt } = row.item;
    return {
      kind: "item",
      item: { id, name, status, createdAt, scheduleAt: instant(fields.schedule_at) },
    };
  });

/** `{ instance_num, instances }`. Undefined when it is none. */
export const decodeInstances = (body: unknown, engine: Engine): RowPage<ListedInstance> | undefined =>
  decodePage<ListedInstance>(body, "instances", "instance_num", (fields) => {
    const id = idOf(fields.instance_id);
    if (id === null) return malformed(null, "instance_id is missing or not a text");
    const name = boundedName(text(fields.name) ?? "");
    return {
      kind: "item",
      item: {
        id,
        name: name === "" ? id : name,
        engine,
        createdAt: instant(fields.created_at),
        status: (text(fields.status) ?? "").trim().toUpperCase(),
      },
    };
  });

const MOST_STEPS = 100;

/**
 * A progress answer, in whichever of the services' spellings: Kafka writes `step_list` with `statue` (before 2026
 * `status`), DCS `step_details` with `step_status`. Null where it tells neither a figure nor a step.
 */
export function decodeProgress(body: unknown): TaskProgress | null {
  if (!isFields(body)) return null;
  const percent = numberOf(body.progress_percentage) ?? numberOf(body.progress);
  const steps = [body.step_list, body.step_details].find(Array.isArray) ?? [];
  const progress = {
    ratio: percent === null ? null : Math.min(1, Math.max(0, percent / 100)),
    remainTime: numberOf(body.remain_time),
    steps: steps.slice(0, MOST_STEPS).flatMap(decodeStep),
  };
  return progress.ratio === null && progress.steps.length === 0 ? null : progress;
}

function decodeStep(step: unknown): readonly TaskStep[] {
  if (!isFields(step)) return [];
  const name = shortText(step.name ?? step.step_name);
  const state = capitals(step.statue ?? step.status ?? step.step_status);
  if (name === null && state === "") return [];
  return [
    {
      name: name ?? "",
      state: state === "" ? null : state,
      startedAt: instant(step.start_time ?? step.begin_time),
      endedAt: instant(step.end_time),
    },
  ];
}

/** `{ projects: [{ id, name, enabled }] }`. Undefined when it is none. */
export function decodeProjects(
  body: unknown,
): readonly { readonly id: string; readonly name: string }[] | undefined {
  if (!isFields(body) || !Array.isArray(body.projects)) return undefined;
  const projects: { id: string; name: string }[] = [];
  for (const entry of body.projects as readonly unknown[]) {
    if (!isFields(entry) || entry.enabled === false) continue;
    const id = idOf(entry.id);
    if (id !== null) projects.push({ id, name: text(entry.name) ?? "" });
  }
  return projects;
}

/**
 * Epoch milliseconds of what the services write as a time: ISO 8601 with zone (without one it is UTC), epoch
 * milliseconds or seconds as a number or a text. Null for anything else.
 */
export function instant(value: unknown): number | null {
  if (typeof value === "number") return epoch(value);
  if (typeof value !== "string") return null;
  const plain = plainInstant(value);
  if (plain !== null) return plain;
  const trimmed = value.trim();
  if (/^\d{9,16}$/.test(trimmed)) return epoch(Number(trimmed));
  const match =
    /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,9})?\s?(Z|[+-]\d\d:?\d\d)?(?:\s?\(UTC([+-]\d\d:\d\d)\))?$/i.exec(
      trimmed,
    );
  if (!match) return null;
  const zone = (match[4] ?? match[5] ?? "Z").toUpperCase();
  const fraction = (match[3] ?? "").slice(0, 4);
  const time = Date.parse(`${match[1]}T${match[2]}${fraction}${zone === "Z" ? zone : withColon(zone)}`);
  return finite(time);
}

/**
 * `2020-05-15T03:19:04.707Z`, what the services write nearly always: read by hand, because there are two in each
 * row of each poll. Null for any other form, and for a date that no calendar has.
 */
function plainInstant(text: string): number | null {
  if (text.length !== 24 || text[10] !== "T" || text[19] !== "." || text[23] !== "Z") return null;
  if (text[4] !== "-" || text[7] !== "-" || text[13] !== ":" || text[16] !== ":") return null;
  const year = digits(text, 0, 4);
  const month = digits(text, 5, 7);
  const day = digits(text, 8, 10);
  const hour = digits(text, 11, 13);
  const minute = digits(text, 14, 16);
  const second = digits(text, 17, 19);
  const time = Date.UTC(year, month - 1, day, hour, minute, second, digits(text, 20, 23));
  const fits = month >= 1 && month <= 12 && day >= 1 && day <= 28 && hour < 24 && minute < 60 && second < 60;
  return fits && year >= 1970 ? finite(time) : null;
}

/** NaN where one is no digit. */
function digits(text: string, from: number, to: number): number {
  let value = 0;
  for (let index = from; index < to; index++) {
    const digit = text.charCodeAt(index) - 48;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

/** Below this a number of milliseconds would be before 1973, so seconds are meant. */
const SMALLEST_MS = 100_000_000_000;
const LARGEST_MS = 253_402_300_800_000;

function finite(time: number): number | null {
  return Number.isNaN(time) ? null : time;
}

function epoch(value: number): number | null {
  if (!Number.isFinite(value) || value <= 0) return null;
  const ms = value < SMALLEST_MS ? value * 1000 : value;
  return ms < LARGEST_MS ? Math.floor(ms) : null;
}

function withColon(zone: string): string {
  return zone.includes(":") ? zone : `${zone.slice(0, 3)}:${zone.slice(3)}`;
}

function decodePage<T>(
  body: unknown,
  rowsKey: string,
  countKey: string,
  decodeRow: (fields: Fields) => Row<T>,
): RowPage<T> | undefined {
  if (!isFields(body)) return undefined;
  const list = body[rowsKey];
  const total = numberOf(body[countKey]);
  if (list === undefined || list === null) {
    // An empty list may be left out, but something must show that it is this answer, and that it is empty.
    return total === 0 || (list === null && total === null) ? { rows: [], total } : undefined;
  }
  if (!Array.isArray(list)) return undefined;
  const rows = (list as readonly unknown[]).map((entry) =>
    isFields(entry) ? decodeRow(entry) : malformed(null, "a row is not an object"),
  );
  return { rows, total };
}

function decodeTask(fields: Fields): Row<ObservedTask> {
  const id = boundedId(text(fields.id)?.trim() ?? "");
  if (id === "") return malformed(null, "id is missing or not a text");
  const status = statusOf(fields.status);
  if (status === "") return malformed(id, "status is missing or not a text");
  const task = { id, name: boundedName(text(fields.name) ?? ""), status };
  return { kind: "item", item: withFields(task, ({ key, kind }) => READ[kind](fields[key])) };
}

const READ: Readonly<Record<TaskField["kind"], (value: unknown) => string | number | null>> = {
  time: instant,
  name: shortText,
  params: paramsOf,
};

/** Null also for what is nested too deeply to be written. */
function paramsOf(value: unknown): string | null {
  if (typeof value !== "object" || value === null) return text(value);
  try {
    return JSON.stringify(value);
  } catch {
    return null;
  }
}

const LONGEST_STATUS = 64;

/** In capitals and in one spelling; empty where there is none. */
function statusOf(value: unknown): string {
  if (typeof value === "string" && isKnownStatus(value)) return value;
  const status = capitals(value);
  return status === "CANCELED" ? "CANCELLED" : status;
}

/** A word of an open set in one spelling; empty where there is none. */
function capitals(value: unknown): string {
  return (text(value) ?? "").trim().toUpperCase().slice(0, LONGEST_STATUS).toWellFormed();
}

function shortText(value: unknown): string | null {
  const name = text(value);
  return name === null ? null : boundedName(name);
}

/** Of what is asked for by its id, for which a stand-in would not do; null where there is none. */
function idOf(value: unknown): string | null {
  const id = text(value)?.trim() ?? "";
  return id === "" || boundedId(id) !== id ? null : id;
}

/** A text, or a number written as one. */
function text(value: unknown): string | null {
  if (typeof value === "string") return value;
  return typeof value === "number" && Number.isFinite(value) ? String(value) : null;
}

function numberOf(value: unknown): number | null {
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (typeof value !== "string" || !/^\s*\d{1,12}(\.\d+)?\s*$/.test(value)) return null;
  return Number(value);
}

function malformed(id: string | null, problem: string): Row<never> {
  return { kind: "malformed", id, problem };
}
