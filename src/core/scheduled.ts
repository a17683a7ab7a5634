import type { DecisionInput } from "./decision.ts";
import { current, type Draft, type Editable, edit, tasksOf } from "./draft.ts";
import type { ScheduledTask, TaskState, Threshold } from "./state.ts";
import { isOpen } from "./task.ts";
import { enter, newTask, vanish } from "./transitions.ts";
import { applyVerdict, type StuckVerdict } from "./verdict.ts";

/*
 * Scheduled tasks stand in a list of their own until they start. One that is late without having started becomes a
 * task of the instance, with the verdict `not_started`, and is followed to its end: through the scheduled list, or
 * through the task list once that shows its id. The others are only counted.
 */

/** Most that are kept, and judged, of one instance: those that are to start first. */
export const SCHEDULED_CAP = 500;

/** A task may be created this much before the planned start that it belongs to: clocks differ. */
const EARLY = 60_000;

/** Whatever its status is called: it does not run, and did not end. */
const isWaiting = ({ status }: { readonly status: string }): boolean =>
  isOpen(status) && status !== "EXECUTING";

/** True only if `watchScheduled` would find nothing to do. */
export function scheduledQuiet({ state, observation, rules }: DecisionInput): boolean {
  const rows = rules.scheduledTasks ? observation.scheduled : [];
  if (rows === null) return true;
  if (rows.length > 0 || state.record.scheduled.length > 0) return false;
  for (const task of state.tasks.values()) if (isFollowed(task)) return false;
  return true;
}

const isFollowed = (task: TaskState): boolean => task.scheduleAt !== null && isOpen(task.status);

/**
 * Takes what the list of scheduled tasks tells. A list that was not read says nothing, and nothing new is said, and
 * nothing is missed, while the task list is incomplete: the task may have started in the part that is not there.
 */
export function watchScheduled(
  draft: Draft,
  { observation, rules }: DecisionInput,
  seen: ReadonlyMap<string, unknown>,
): void {
  if (!rules.scheduledTasks) {
    forget(draft);
    return;
  }
  const rows = observation.scheduled;
  if (rows === null) return;
  const { complete } = observation.listing;
  const reach = Math.max((draft.record.prunedBefore ?? 0) + EARLY, draft.cloudNow - rules.window.maxLookback);
  const waiting = keep(draft, rows, reach);
  const begun = latestStarts(draft);
  const listed = new Map(rows.map((row) => [row.id, row]));
  const unread = new Set(observation.listing.malformed.map(({ id }) => id));
  const inTaskList = (id: string): boolean => seen.has(id) || unread.has(id);
  for (const task of [...tasksOf(draft)]) {
    if (task.scheduleAt === null) continue;
    const row = listed.get(task.id);
    if (row !== undefined) follow(draft, task, row, begun);
    else if (isOpen(task.status)) leave(draft, task, begun, complete && !inTaskList(task.id));
  }
  if (!complete) return;
  for (const row of waiting) {
    if (row.scheduleAt === null || inTaskList(row.id)) continue;
    if (draft.state.tasks.has(row.id) || draft.edits.has(row.id)) continue;
    const task: Editable<TaskState> = newTask(row.id, row.name, row.status, draft.now);
    task.createdAt = row.createdAt;
    task.scheduleAt = row.scheduleAt;
    const judgement = judgeStart(draft, task, begun);
    if (judgement === null) continue;
    draft.edits.set(task.id, task);
    applyVerdict(draft, task, judgement);
  }
}

/**
 * What waits for its start, in the order of it. One that was planned before anything that is remembered of the task
 * list may have run long ago: it is passed over.
 */
function keep(draft: Draft, rows: readonly ScheduledTask[], reach: number): readonly ScheduledTask[] {
  const waiting = rows
    .filter((row) => isWaiting(row) && (row.scheduleAt === null || row.scheduleAt >= reach))
    .sort((a, b) => (a.scheduleAt ?? Infinity) - (b.scheduleAt ?? Infinity) || (a.id < b.id ? -1 : 1))
    .slice(0, SCHEDULED_CAP)
    .map(({ id, name, status, scheduleAt, createdAt }) => ({ id, name, status, scheduleAt, createdAt }));
  if (JSON.stringify(waiting) !== JSON.stringify(draft.record.scheduled)) {
    draft.record = { ...draft.record, scheduled: waiting };
  }
  return waiting;
}

/** When the latest task of each name was created. */
function latestStarts(draft: Draft): ReadonlyMap<string, number> {
  const latest = new Map<string, number>();
  for (const task of tasksOf(draft)) {
    if (task.scheduleAt !== null) continue;
    const at = task.createdAt ?? task.seenAt;
    if (at > (latest.get(task.name) ?? -Infinity)) latest.set(task.name, at);
  }
  return latest;
}

const BEGUN = "a task of its name began since";

type Starts = ReadonlyMap<string, number>;

/** The cloud does not tell which task came of which plan: any of the name, created since, is taken for it. */
const hasBegun = ({ name, scheduleAt }: TaskState, begun: Starts): boolean =>
  scheduleAt !== null && (begun.get(name) ?? -Infinity) >= scheduleAt - EARLY;

function judgeStart(draft: Draft, task: TaskState, begun: Starts, replanned = false): StuckVerdict | null {
  const { scheduleAt, verdict } = task;
  if (scheduleAt === null || task.acknowledged !== null || !isWaiting(task) || hasBegun(task, begun))
    return null;
  const seconds = draft.rules.stuck.queuedAfter / 1000;
  const threshold: Threshold = { seconds, source: "not_started", samples: 0 };
  const late = (draft.cloudNow - scheduleAt) / 1000;
  if (late > seconds) return { kind: "not_started", threshold };
  // A clock that went back takes nothing back; a new plan or a longer limit does.
  if (verdict !== null && !replanned && seconds <= verdict.threshold.seconds) {
    return { kind: "not_started", threshold: verdict.threshold };
  }
  return null;
}

/** A late one that is still in the list of scheduled tasks. */
function follow(draft: Draft, known: TaskState, row: ScheduledTask, begun: Starts): void {
  const planned = row.scheduleAt ?? known.scheduleAt;
  const replanned = planned !== known.scheduleAt;
  if (row.status !== known.status || row.name !== known.name || replanned || known.unlisted) {
    const task = edit(draft, known);
    const from = known.status;
    task.name = row.name;
    task.scheduleAt = planned;
    task.unlisted = false;
    task.status = row.status;
    if (replanned) task.acknowledged = null;
    if (from !== row.status) enter(draft, task, from, `status ${from} -> ${row.status}`);
  }
  const task = current(draft, known);
  if (!isOpen(task.status)) return;
  const why = hasBegun(task, begun) ? BEGUN : replanned ? "planned for another time" : task.status;
  applyVerdict(draft, task, judgeStart(draft, task, begun, replanned), why);
}

/** A late one that left the list of scheduled tasks. What is over without a word said of it goes without one. `gone`: the task list does not show it either. */
function leave(draft: Draft, task: TaskState, begun: Starts, gone: boolean): void {
  if (task.verdict !== null && hasBegun(task, begun)) {
    applyVerdict(draft, task, null, BEGUN);
  } else if (task.verdict !== null) {
    if (gone) vanish(draft, task, "gone from the list of scheduled tasks");
    return;
  }
  const copy = edit(draft, task);
  copy.status = "DELETED";
  copy.unlisted = true;
}

/** The configuration does not watch scheduled tasks any more. */
function forget(draft: Draft): void {
  if (draft.record.scheduled.length > 0) draft.record = { ...draft.record, scheduled: [] };
  for (const task of [...tasksOf(draft)]) {
    if (!isFollowed(task)) continue;
    applyVerdict(draft, task, null, "scheduled tasks are not watched any more");
    const copy = edit(draft, task);
    copy.status = "DELETED";
    copy.unlisted = true;
  }
}
