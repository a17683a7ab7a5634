import { type Draft, tasksOf } from "./draft.ts";
import type { WindowRules } from "./rules.ts";
import type { InstanceRecord, TaskState } from "./state.ts";
import { isFinal, type ObservedTask } from "./task.ts";

/** Most ended tasks that are kept of one instance. */
export const SETTLED_CAP = 2000;
/** What is left after the cap was hit, so that not every further task is a write for another one. */
const SETTLED_KEPT = 1800;

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** Removals wait until there is something this much past the horizon, and then take all that is past it. */
const SLACK = 6 * HOUR;

/** Ended, and neither an open failure nor an opening that maintenance holds back: kept only to be recognised. */
export const isSettled = (task: TaskState): boolean =>
  task.failedAt === null && task.muted === null && isFinal(task.status);

/** An ended task that is not known because it was pruned, or because it was older than the first poll asked. */
export const isPruned = (record: InstanceRecord, seen: ObservedTask): boolean =>
  record.prunedBefore !== null &&
  seen.createdAt !== null &&
  seen.createdAt < record.prunedBefore &&
  isFinal(seen.status);

/** Before this, by the cloud's clock, no listing asks. */
const horizon = (window: WindowRules, cloudNow: number): number => cloudNow - window.maxLookback - HOUR;

/** A date to prune by. One far ahead is no date: raising `prunedBefore` to it would hide every task to come. */
const dated = (task: TaskState, cloudNow: number): number | null =>
  task.createdAt !== null && task.createdAt <= cloudNow + DAY ? task.createdAt : null;

export interface Coverage {
  readonly window: WindowRules;
  readonly cloudNow: number;
  readonly complete: boolean;
  readonly deep: boolean;
}

/** An incomplete listing may hide older tasks that nobody has seen, so the cap then waits as long as it can. */
const cap = (coverage: Coverage): number => (coverage.complete ? SETTLED_CAP : 2 * SETTLED_CAP);

/** Does `prune` have work? Looks only, for the poll in which nothing changed. */
export function pruneDue(tasks: ReadonlyMap<string, TaskState>, coverage: Coverage): boolean {
  const line = horizon(coverage.window, coverage.cloudNow) - SLACK;
  let settled = 0;
  for (const task of tasks.values()) {
    if (!isSettled(task)) continue;
    settled += 1;
    const date = dated(task, coverage.cloudNow);
    if (date === null ? coverage.deep && coverage.complete : date < line) return true;
  }
  return settled > cap(coverage);
}

/** Ids that are still shown somewhere. */
interface Listed {
  has(id: string): boolean;
}

/**
 * Keeps the state bounded. Ended tasks go when no listing can show them any more: dated ones past `max_lookback`,
 * undated ones when a complete listing from `max_lookback` does not show them. Past the cap the oldest go too, shown
 * or not.
 * `prunedBefore` is raised over each dated one, so that it is not news if it is shown again: every task of the
 * window that is older was recorded first, in this commit or an earlier one.
 */
export function prune(draft: Draft, listed: Listed, coverage: Coverage): void {
  const line = horizon(coverage.window, coverage.cloudNow);
  const settled: TaskState[] = [];
  let overdue = false;
  for (const task of tasksOf(draft)) {
    if (!isSettled(task)) continue;
    settled.push(task);
    const date = dated(task, coverage.cloudNow);
    if (date !== null && date < line - SLACK && !listed.has(task.id)) overdue = true;
  }
  const crowded = settled.length > cap(coverage);
  const sweeps = coverage.deep && coverage.complete;
  if (!crowded && !overdue && !sweeps) return;

  let before = draft.record.prunedBefore;
  const left: TaskState[] = [];
  for (const task of settled) {
    const date = dated(task, coverage.cloudNow);
    // What is still shown stays, whatever its date: an old copy of it, shown as open, must find it known.
    const gone = !listed.has(task.id) && (date === null ? sweeps : overdue && date < line);
    if (!gone) {
      left.push(task);
      continue;
    }
    draft.removals.add(task.id);
    if (date !== null) before = Math.max(before ?? 0, date + 1);
  }
  if (left.length > cap(coverage)) before = crowdOut(draft, left, listed, coverage.cloudNow, before);
  if (before !== draft.record.prunedBefore) draft.record = { ...draft.record, prunedBefore: before };
}

/** Removes the oldest by creation, all of one time together; of undated ones those that are not listed, oldest sighting first. */
function crowdOut(
  draft: Draft,
  tasks: readonly TaskState[],
  listed: Listed,
  cloudNow: number,
  before: number | null,
): number | null {
  let excess = tasks.length - SETTLED_KEPT;
  const undated = tasks
    .filter((task) => dated(task, cloudNow) === null && !listed.has(task.id))
    .sort((a, b) => a.seenAt - b.seenAt || (a.id < b.id ? -1 : 1));
  for (const task of undated.slice(0, excess)) draft.removals.add(task.id);
  excess -= Math.min(excess, undated.length);

  const dates = tasks.flatMap((task) => dated(task, cloudNow) ?? []).sort((a, b) => a - b);
  const cut = dates[Math.min(excess, dates.length) - 1];
  if (excess <= 0 || cut === undefined) return before;
  for (const task of tasks) {
    const date = dated(task, cloudNow);
    if (date !== null && date <= cut) draft.removals.add(task.id);
  }
  return Math.max(before ?? 0, cut + 1);
}
