import type { Decision } from "./decision.ts";
import {
  announceAfterMaintenance,
  current,
  type Draft,
  decisionOf,
  draftOf,
  edit,
  resolveIncident,
  tasksOf,
} from "./draft.ts";
import { humanDuration } from "./reason.ts";
import type { Rules } from "./rules.ts";
import type { InstanceState, TaskState } from "./state.ts";

/** Most open failures of one instance: the oldest expire, so that `keep_open: off` does not grow without end. */
export const OPEN_FAILURES_CAP = 2000;

/** Is this open failure past `keep_open`? Both times are local: `keep_open` counts from when people were told. */
export const isExpired = (task: TaskState, keepOpen: number | null, now: number): boolean =>
  task.failedAt !== null && keepOpen !== null && now - task.failedAt >= keepOpen;

/** Ends the open failures that are past their time, or over the cap. */
export function expireFailures(draft: Draft): void {
  const { keepOpen } = draft.rules.failures;
  const open: TaskState[] = [];
  for (const task of tasksOf(draft)) if (task.failedAt !== null) open.push(task);
  open.sort((a, b) => (a.failedAt ?? 0) - (b.failedAt ?? 0) || (a.id < b.id ? -1 : 1));
  open.forEach((task, index) => {
    const crowded = open.length - index > OPEN_FAILURES_CAP;
    if (!crowded && !isExpired(task, keepOpen, draft.now)) return;
    const reason = crowded
      ? `more than ${OPEN_FAILURES_CAP} open failures on this instance`
      : `open for ${humanDuration((draft.now - (task.failedAt ?? 0)) / 1000)}, kept for ${humanDuration((keepOpen ?? 0) / 1000)}`;
    closeFailure(draft, task, { resolution: "expired", reason });
  });
}

/**
 * Ends the failures that a later success makes good: a task of the same name on this instance that was created
 * later and reached SUCCESS. Without both creation times nothing is proven, and the failure stays open. A task
 * that failed again is made good only by a success after its last failure. Of several successes the one created
 * last is named, so that the order of the list does not matter.
 */
export function resolveByLaterSuccess(draft: Draft): void {
  const failures: TaskState[] = [];
  for (const task of tasksOf(draft)) if (task.failedAt !== null) failures.push(task);
  if (failures.length === 0) return;

  const names = new Set(failures.map(({ name }) => name));
  const successes = new Map<string, TaskState[]>();
  for (const task of tasksOf(draft)) {
    if (task.status !== "SUCCESS" || task.createdAt === null || !names.has(task.name)) continue;
    const list = successes.get(task.name);
    if (list === undefined) successes.set(task.name, [task]);
    else list.push(task);
  }
  for (const failure of failures) {
    let best: TaskState | null = null;
    for (const success of successes.get(failure.name) ?? []) {
      if (makesGood(success, failure) && (best === null || isLater(success, best))) best = success;
    }
    if (best === null) continue;
    closeFailure(draft, failure, {
      resolution: "later_success",
      reason: `${best.id} of the same name succeeded later`,
      resolvedBy: { task_id: best.id },
    });
  }
}

function makesGood(success: TaskState, failure: TaskState): boolean {
  if (success.createdAt === null || failure.createdAt === null) return false;
  if (success.createdAt <= failure.createdAt) return false;
  if ((failure.counts["failed:FAILED"] ?? 0) <= 1) return true;
  return success.updatedAt !== null && failure.updatedAt !== null && success.updatedAt > failure.updatedAt;
}

const isLater = (a: TaskState, b: TaskState): boolean =>
  (a.createdAt ?? 0) > (b.createdAt ?? 0) || (a.createdAt === b.createdAt && a.id > b.id);

function closeFailure(
  draft: Draft,
  task: TaskState,
  end: {
    readonly resolution: "expired" | "later_success";
    readonly reason: string;
    readonly resolvedBy?: { readonly task_id: string };
  },
): void {
  const copy = edit(draft, task);
  copy.failedAt = null;
  resolveIncident(
    draft,
    copy,
    { from: "failure", resolution: end.resolution },
    { reason: end.reason, resolved_by: end.resolvedBy ?? null },
  );
}

/** What time alone brings, without a listing: failures expire and maintenance ends while an instance does not answer. */
export function expireFailuresByTime(state: InstanceState, rules: Rules, now: number): Decision {
  const draft = draftOf(state, rules, now);
  if (needsTime(state, rules, now)) {
    expireFailures(draft);
    for (const task of state.tasks.values()) announceAfterMaintenance(draft, current(draft, task));
  }
  return decisionOf(draft);
}

function needsTime(state: InstanceState, rules: Rules, now: number): boolean {
  for (const task of state.tasks.values()) {
    if (task.muted !== null || isExpired(task, rules.failures.keepOpen, now)) return true;
  }
  return false;
}
