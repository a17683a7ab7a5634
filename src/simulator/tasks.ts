import { z } from "zod";
import { duration, instant } from "./time.ts";

/** How a task goes on by itself. Times are durations in ms; `runsFor` null: it hangs. */
interface TaskPlan {
  readonly queuedFor: number;
  readonly runsFor: number | null;
  /** The status it ends in, or `vanishes`. */
  readonly ends: string;
}

export interface Task {
  readonly id: string;
  name: string;
  userName: string;
  userId: string;
  params: string | null;
  status: string;
  /** Epoch ms; what the time filter and the order go by. */
  readonly createdAt: number;
  updatedAt: number;
  /** Set for a scheduled task: when it is due to start. */
  readonly scheduleAt: number | null;
  /** Of a capacity expansion: a fixed progress in percent, or along the plan. Null for a task of another kind. */
  progress: number | "plan" | null;
  /** Served in place of the regular fields; for answers that are wrong on purpose. */
  fields: Readonly<Record<string, unknown>>;
  /** Dropped when the task is changed by hand: events of the old plan then do nothing. */
  plan: TaskPlan | null;
  /** The task as JSON, kept until it changes. */
  json: string | null;
}

/** The end of a task that leaves the list without a final status. */
export const VANISHES = "vanishes";

export const FINAL_STATUSES: ReadonlySet<string> = new Set(["SUCCESS", "FAILED", "CANCELLED", "DELETED"]);

const fields = {
  name: z.string().optional(),
  user_name: z.string().optional(),
  user_id: z.string().optional(),
  params: z.union([z.string(), z.null(), z.record(z.string(), z.unknown())]).optional(),
  status: z.string().optional(),
  updated_at: instant.optional(),
  progress: z.union([z.number(), z.literal("plan"), z.null()]).optional(),
  fields: z.record(z.string(), z.unknown()).optional(),
};

/** A task to create. With a status and no `queued_for` it stays in that status until its end. Without `queued_for` and `runs_for` it stays in its status until it is changed. */
export const newTask = z.strictObject({
  ...fields,
  id: z.string().optional(),
  created_at: instant.optional(),
  /** Instead of created_at: how long before now. */
  created_ago: duration.optional(),
  /** Time in CREATED before EXECUTING. */
  queued_for: duration.optional(),
  /** Time in EXECUTING before the end; `forever` hangs. */
  runs_for: z.union([z.literal("forever"), duration]).optional(),
  /** SUCCESS, FAILED, CANCELLED, DELETED, any other word, or `vanishes`. Default SUCCESS. */
  ends: z.string().optional(),
  /** Makes it a scheduled task, in the sibling list: due this long after now. */
  scheduled_in: duration.optional(),
});
export type NewTask = z.input<typeof newTask>;

/** What of a task can be changed by hand. */
export const taskChange = z.strictObject(fields);
export type TaskChange = z.input<typeof taskChange>;

/** Builds a task that is created at `now`; chance and ids come from outside. */
export function makeTask(input: z.output<typeof newTask>, now: number, id: string): Task {
  const createdAt = input.created_at ?? now - (input.created_ago ?? 0);
  const scheduled = input.scheduled_in === undefined ? null : now + input.scheduled_in;
  const planned = input.queued_for !== undefined || input.runs_for !== undefined || scheduled !== null;
  const queuedFor = scheduled === null ? (input.queued_for ?? 0) : scheduled - createdAt;
  const runsFor = input.runs_for === undefined || input.runs_for === "forever" ? null : input.runs_for;
  return {
    id: input.id ?? id,
    name: input.name ?? "modifyAutoTopic",
    userName: input.user_name ?? "paas_dms",
    userId: input.user_id ?? "3df5acbc24a54fadb62a043c9000a307",
    params: paramsText(input.params),
    status: input.status ?? (queuedFor > 0 ? "CREATED" : "EXECUTING"),
    createdAt,
    updatedAt: input.updated_at ?? createdAt,
    scheduleAt: scheduled,
    progress: input.progress ?? null,
    fields: input.fields ?? {},
    plan: planned ? { queuedFor, runsFor, ends: input.ends ?? "SUCCESS" } : null,
    json: null,
  };
}

/** When the task goes on by its plan, and to what, in order. */
export function planOf(task: Task): [at: number, status: string][] {
  const { plan } = task;
  if (!plan) return [];
  const starts = task.createdAt + plan.queuedFor;
  const phases: [number, string][] =
    plan.queuedFor > 0 && task.status !== "EXECUTING" ? [[starts, "EXECUTING"]] : [];
  if (plan.runsFor !== null) phases.push([starts + plan.runsFor, plan.ends]);
  return phases;
}

/** Applies a change by hand; the task's plan ends when its status is set. */
export function changeTask(task: Task, change: z.output<typeof taskChange>, now: number): void {
  if (change.name !== undefined) task.name = change.name;
  if (change.user_name !== undefined) task.userName = change.user_name;
  if (change.user_id !== undefined) task.userId = change.user_id;
  if (change.params !== undefined) task.params = paramsText(change.params);
  if (change.progress !== undefined) task.progress = change.progress;
  if (change.fields !== undefined) task.fields = change.fields;
  if (change.status !== undefined) {
    task.status = change.status;
    task.plan = null;
  }
  task.updatedAt = change.updated_at ?? now;
  task.json = null;
}

export function setStatus(task: Task, status: string, at: number): void {
  task.status = status;
  task.updatedAt = at;
  task.json = null;
}

export function taskJson(task: Task): string {
  task.json ??= JSON.stringify({
    id: task.id,
    name: task.name,
    user_name: task.userName,
    user_id: task.userId,
    params: task.params,
    status: task.status,
    created_at: isoTime(task.createdAt),
    updated_at: isoTime(task.updatedAt),
    ...(task.scheduleAt === null ? {} : { schedule_at: isoTime(task.scheduleAt) }),
    ...task.fields,
  });
  return task.json;
}

function paramsText(params: z.output<typeof newTask>["params"]): string | null {
  if (params === undefined) return "{}";
  return params === null || typeof params === "string" ? params : JSON.stringify(params);
}

function isoTime(time: number): string {
  return new Date(time).toISOString();
}
