import { keyPart } from "./counts.ts";
import { durationSeconds, iso } from "./data.ts";
import { type Draft, type Editable, edit, emit, openIncident, resolveIncident } from "./draft.ts";
import { recordEnd } from "./ends.ts";
import type { EventType } from "./event.ts";
import type { TaskState } from "./state.ts";
import { isFinal, isKnownStatus, isOpen, type ObservedTask } from "./task.ts";
import { fieldsDiffer, mergeFields, NO_FIELDS, type Privacy } from "./task-fields.ts";

const FINAL_EVENTS: ReadonlyMap<string, EventType> = new Map([
  ["SUCCESS", "task.succeeded"],
  ["FAILED", "task.failed"],
  ["CANCELLED", "task.cancelled"],
  ["DELETED", "task.deleted"],
]);

/** Seen running: in EXECUTING or in a status that is not known. */
const isExecution = (status: string): boolean => status === "EXECUTING" || !isKnownStatus(status);

/**
 * Does this sighting tell anything that is not known? Compares only, and keeps what is known where the sighting
 * is silent.
 */
export function differs(known: TaskState, seen: ObservedTask, privacy: Privacy): boolean {
  return (
    known.status !== seen.status ||
    known.unlisted ||
    known.scheduleAt !== null ||
    known.name !== seen.name ||
    fieldsDiffer(known, seen, privacy)
  );
}

/**
 * A task that is known to have ended and is shown open with an older updated_at: the reader got an old copy, the
 * task did not come back. Everything else that differs is a transition, also backwards and also without dates:
 * to miss a failure is worse than to tell of a change too many.
 */
export const isStale = (known: TaskState, seen: ObservedTask): boolean =>
  isFinal(known.status) &&
  isOpen(seen.status) &&
  known.updatedAt !== null &&
  seen.updatedAt !== null &&
  seen.updatedAt < known.updatedAt;

/**
 * A task whose failure is closed and whose updated_at moved while the row says FAILED again: it ran and failed between
 * two polls. An open failure needs no second event.
 */
const failedAgain = (known: TaskState, seen: ObservedTask): boolean =>
  known.status === "FAILED" &&
  seen.status === "FAILED" &&
  known.failedAt === null &&
  known.updatedAt !== null &&
  seen.updatedAt !== null &&
  seen.updatedAt > known.updatedAt;

/** Takes what a sighting of a known task tells, and tells of a change of its status. */
export function observe(draft: Draft, known: TaskState, seen: ObservedTask): void {
  if (!differs(known, seen, draft.rules.privacy)) return;
  if (known.scheduleAt !== null) {
    begin(draft, known, seen);
    return;
  }
  if (isStale(known, seen)) {
    const reason = `shown as ${seen.status} with an older updated_at than ${known.status}`;
    draft.facts.push({ kind: "stale_sighting", taskId: known.id, reason });
    return;
  }
  const task = edit(draft, known);
  const from = known.status;
  const moved = from !== seen.status;
  copySighting(draft, task, seen, moved);
  if (moved) enter(draft, task, from, `status ${from} -> ${seen.status}`);
  else if (failedAgain(known, seen)) {
    enter(draft, task, from, `failed again: updated_at moved to ${iso(seen.updatedAt)}`);
  } else if (isFinal(task.status)) recordEnd(draft, task);
}

/** A scheduled task that did not start in time has started after all: from now on it is a task like any. */
function begin(draft: Draft, known: TaskState, seen: ObservedTask): void {
  const task = edit(draft, known);
  task.scheduleAt = null;
  task.acknowledged = null;
  copySighting(draft, task, seen, true);
  enter(draft, task, null, `a scheduled task, first seen as ${seen.status}`);
}

/** A task of which nothing is known yet but what every row tells. */
export const newTask = (id: string, name: string, status: string, now: number): Editable<TaskState> => ({
  id,
  name,
  status,
  ...NO_FIELDS,
  seenAt: now,
  sequence: 0,
  counts: {},
  verdict: null,
  failedAt: null,
  acknowledged: null,
  informed: [],
  executed: false,
  unlisted: false,
  progress: null,
  muted: null,
  scheduleAt: null,
});

/**
 * Records a task that was not known. `silent` for what had ended before the instance was first polled: recorded,
 * and learned from, but nobody is told.
 */
export function discover(draft: Draft, seen: ObservedTask, silent: boolean): void {
  const task = newTask(seen.id, seen.name, seen.status, draft.now);
  draft.edits.set(task.id, task);
  copySighting(draft, task, seen, true);
  if (!silent) {
    enter(draft, task, null, `first seen as ${seen.status}`);
    return;
  }
  recordEnd(draft, task);
  learnRun(draft, task);
}

function copySighting(draft: Draft, task: Editable<TaskState>, seen: ObservedTask, moved: boolean): void {
  task.name = seen.name;
  task.status = seen.status;
  task.unlisted = false;
  Object.assign(task, mergeFields(task, seen, moved, draft.rules.privacy));
}

/** The task entered its status from `from`, or was first seen in it: what that tells, ends and begins. */
export function enter(draft: Draft, task: Editable<TaskState>, from: string | null, reason: string): void {
  const { status } = task;
  const verdict = task.verdict;
  if (isFinal(status)) task.verdict = null;
  if (from !== null && isFinal(from) && isOpen(status)) {
    // A new run: what was acknowledged and how far it had come belong to the old one.
    task.acknowledged = null;
    task.progress = null;
  }

  const wasStuck = verdict !== null;
  const type = FINAL_EVENTS.get(status) ?? (from === null ? "task.started" : "task.status_changed");
  const detail = {
    reason,
    previous_status: from,
    was_stuck: wasStuck,
    ...(wasStuck && isFinal(status) ? { previous_verdict: verdict.kind } : {}),
  };
  const happening = `${type.slice("task.".length)}:${keyPart(status)}`;
  if (status === "FAILED") {
    // A stuck task that fails goes on with its incident: whoever was told of the verdict stays informed.
    const before = task.failedAt !== null ? "failure" : wasStuck ? "stuck" : null;
    task.failedAt = draft.now;
    task.acknowledged = null;
    openIncident(draft, task, before, { type, happening, detail });
  } else {
    emit(draft, task, { type, happening, detail });
  }
  tellTransition(draft, task, from, reason);

  if (wasStuck && isFinal(status) && status !== "FAILED") {
    resolveIncident(
      draft,
      task,
      { from: "stuck", resolution: "ended" },
      { reason: `ended ${status}`, previous_status: from, previous_verdict: verdict.kind, was_stuck: true },
    );
  }
  // Only a success or a new run undoes a failure. A row that turns DELETED or CANCELLED was tidied up.
  if (task.failedAt !== null && (isOpen(status) || status === "SUCCESS")) {
    task.failedAt = null;
    resolveIncident(
      draft,
      task,
      { from: "failure", resolution: "moved_on" },
      { reason: `no longer failed: ${status}`, previous_status: from },
    );
  }

  if (isExecution(status) && !task.executed && task.scheduleAt === null) {
    task.executed = true;
    draft.learned.push({
      name: task.name,
      executed: true,
      seconds: null,
      at: draft.cloudNow,
      seenAt: draft.now,
    });
  }
  recordEnd(draft, task);
  learnRun(draft, task);
}

function tellTransition(draft: Draft, task: TaskState, from: string | null, reason: string): void {
  const delay = task.updatedAt === null ? -1 : draft.cloudNow - task.updatedAt;
  draft.facts.push({
    kind: "transition",
    taskId: task.id,
    taskName: task.name,
    from,
    status: task.status,
    reason,
    delaySeconds: delay < 0 ? null : delay / 1000,
    durationSeconds: isFinal(task.status) ? durationSeconds(task, draft.cloudNow) : null,
  });
  if (!isKnownStatus(task.status)) {
    draft.facts.push({ kind: "unknown_status", taskId: task.id, status: task.status });
  }
}

function learnRun(draft: Draft, task: TaskState): void {
  if (task.status !== "SUCCESS") return;
  const seconds = durationSeconds(task, draft.cloudNow);
  if (seconds === null || task.updatedAt === null) return;
  // An end that lies ahead would age all that is known.
  const at = Math.min(task.updatedAt, draft.cloudNow);
  draft.learned.push({ name: task.name, executed: task.executed, seconds, at, seenAt: draft.now });
}

/**
 * An open task that a complete listing does not show and that is not there by its id. The state says DELETED from
 * now on; the event tells the status that it had. If it is shown again after all, that is a transition like any.
 */
export function vanish(
  draft: Draft,
  known: TaskState,
  how = "gone from the list and not found by its id",
): void {
  const task = edit(draft, known);
  const { status, verdict } = task;
  const reason = `${status}, ${how}`;
  emit(draft, task, {
    type: "task.vanished",
    happening: `vanished:${keyPart(status)}`,
    detail: { reason, was_stuck: verdict !== null, previous_verdict: verdict?.kind ?? null },
  });
  if (verdict !== null) {
    task.verdict = null;
    resolveIncident(
      draft,
      task,
      { from: "stuck", resolution: "vanished" },
      { reason, previous_verdict: verdict.kind, was_stuck: true },
    );
  }
  task.status = "DELETED";
  task.unlisted = true;
  draft.facts.push({
    kind: "transition",
    taskId: task.id,
    taskName: task.name,
    from: status,
    status: "DELETED",
    reason,
    delaySeconds: null,
    durationSeconds: null,
  });
}
