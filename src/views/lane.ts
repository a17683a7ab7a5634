import { iso } from "../core/data.ts";
import type { InstanceName } from "../core/event.ts";
import type { TaskState } from "../core/state.ts";
import { isFinal } from "../core/task.ts";

/** What became of a task, or is going on with it: one thing, the most pressing first. */
export type BarKind = "failed" | "stuck" | "open" | "succeeded" | "ended";

/** A task as one bar in the picture of a day. Epoch milliseconds; `to` is null while it runs. */
export interface Bar {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly kind: BarKind;
  readonly from: number;
  readonly to: number | null;
}

/** The tasks of one instance, the oldest first. */
export interface Lane {
  readonly project: string;
  readonly instance: InstanceName;
  readonly bars: readonly Bar[];
}

export interface Lanes {
  readonly lanes: readonly Lane[];
  /** Instances that have something to show as well, and those that have nothing. */
  readonly more: number;
  readonly idle: number;
}

/** Null for a task without a date, or one that ended before. */
export function barOf(task: TaskState, since: number): Bar | null {
  const { id, name, status, createdAt, updatedAt } = task;
  if (iso(createdAt) === null || createdAt === null) return null;
  const to = isFinal(status) ? Math.max(createdAt, updatedAt ?? createdAt) : null;
  return to !== null && to < since ? null : { id, name, status, kind: kindOf(task), from: createdAt, to };
}

function kindOf({ status, verdict, failedAt }: TaskState): BarKind {
  if (failedAt !== null || status === "FAILED") return "failed";
  if (verdict !== null) return "stuck";
  if (!isFinal(status)) return "open";
  return status === "SUCCESS" ? "succeeded" : "ended";
}
