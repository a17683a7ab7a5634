import type { Task } from "./tasks.ts";

/** Share of an expansion that its first step takes. */
const FIRST_SHARE = 0.1;
/** Of a task that hangs. */
const FIRST_STEP_MS = 10_000;

type StepState = "COMPLETED" | "IN_PROGRESS" | "FAILED" | "WAITING";

/** The answer for the progress of a capacity expansion, in the documented shape. */
export function progressBody(task: Task, now: number): Record<string, unknown> {
  const began = task.createdAt + (task.plan?.queuedFor ?? 0);
  const total = task.plan?.runsFor ?? null;
  const percent = percentOf(task, now - began, total);
  const middle = began + (total === null ? FIRST_STEP_MS : total * FIRST_SHARE);
  const first = stateOf(task, percent, 0, FIRST_SHARE * 100);
  const second = stateOf(task, percent, FIRST_SHARE * 100, 100);
  const running = task.status === "EXECUTING" && total !== null;
  return {
    progress_percentage: percent,
    remain_time: running ? Math.ceil(Math.max(0, began + total - now) / 1000) : 0,
    step_list: [
      step("pre_check", first, began, first === "FAILED" ? task.updatedAt : middle),
      step("disk_expansion", second, middle, task.updatedAt),
    ],
  };
}

/** A task that hangs stops at 60, and none is at 100 before it succeeded. */
function percentOf({ status, progress }: Task, ran: number, total: number | null): number {
  if (status === "SUCCESS") return 100;
  if (typeof progress === "number") return progress;
  const done = total === null ? Math.min(60, ran / 1000) : (ran / Math.max(1, total)) * 100;
  return Math.floor(Math.min(99, Math.max(0, done)));
}

/** Of the step that takes the task from one percentage to another. */
function stateOf({ status }: Task, percent: number, from: number, to: number): StepState {
  if (status === "SUCCESS" || percent >= to) return "COMPLETED";
  if (percent < from || status === "CREATED") return "WAITING";
  return status === "EXECUTING" ? "IN_PROGRESS" : "FAILED";
}

/** Times are epoch milliseconds, as numbers; a time that has not come is left out. */
function step(name: string, statue: StepState, from: number, to: number): Record<string, unknown> {
  return {
    name,
    statue,
    ...(statue === "WAITING" ? {} : { start_time: from }),
    ...(statue === "COMPLETED" || statue === "FAILED" ? { end_time: to } : {}),
  };
}
