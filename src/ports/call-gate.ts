import type { CloudError } from "../errors.ts";

export const OPERATIONS = [
  "list_tasks",
  "show_task",
  "task_progress",
  "list_instances",
  "list_projects",
  "list_scheduled_tasks",
  "token",
] as const;

export type Operation = (typeof OPERATIONS)[number];

export interface CallOutcome {
  /** The HTTP status, or `error` when there was no answer. */
  readonly status: number | "error";
  readonly seconds: number;
  /** Null when the answer is good. */
  readonly error: CloudError | null;
}

/**
 * What every single call to the cloud passes before it starts: the project's budget and the lock of its
 * credentials. Resolves when the call may start, or answers at once where it may start at once; the caller then
 * reports how it went, exactly once. Rejects with a `CloudError` when no call may be made, or with the signal's reason.
 */
export interface CallGate {
  enter(operation: Operation, signal: AbortSignal): Promise<Report> | Report;
}

export interface Report {
  (outcome: CallOutcome): void;
  /** At most this many milliseconds for the call, where others wait for its answer; absent: the caller's own limit. */
  readonly limitMs?: number;
}
