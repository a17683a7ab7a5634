import { countOccurrence } from "./counts.ts";
import { type EventDetail, iso, taskData } from "./data.ts";
import type { Decision, Fact, Learned } from "./decision.ts";
import { type EventType, eventId, type Resolution, type TaskwatchEvent } from "./event.ts";
import { humanDuration } from "./reason.ts";
import { inform, route } from "./routing.ts";
import type { Rules } from "./rules.ts";
import type { Condition, InstanceRecord, InstanceState, MutedOpening, TaskState } from "./state.ts";

export type Editable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * A decision in the making. Tasks are copied when they are first touched; the state that was given in stays as
 * it is, so that a commit that fails leaves nothing behind.
 */
export interface Draft {
  readonly state: InstanceState;
  readonly rules: Rules;
  /** Local time of the commit. */
  readonly now: number;
  /** The same moment by the cloud's clock. */
  readonly cloudNow: number;
  record: InstanceRecord;
  readonly edits: Map<string, Editable<TaskState>>;
  readonly removals: Set<string>;
  readonly events: TaskwatchEvent[];
  readonly learned: Learned[];
  readonly facts: Fact[];
}

export const draftOf = (state: InstanceState, rules: Rules, now: number, cloudNow = now): Draft => ({
  state,
  rules,
  now,
  cloudNow,
  record: state.record,
  edits: new Map(),
  removals: new Set(),
  events: [],
  learned: [],
  facts: [],
});

/** `record` is the one to go on with; only what differs in `draft.record` counts as a change. */
export const decisionOf = (draft: Draft, record: InstanceRecord = draft.record): Decision => {
  for (const id of draft.removals) draft.edits.delete(id);
  return {
    changed:
      draft.record !== draft.state.record ||
      draft.edits.size > 0 ||
      draft.removals.size > 0 ||
      draft.events.length > 0 ||
      draft.learned.length > 0,
    record,
    upserts: [...draft.edits.values()],
    // One that the store never had need not be removed from it.
    removals: [...draft.removals].filter((id) => draft.state.tasks.has(id)),
    events: draft.events,
    learned: draft.learned,
    facts: draft.facts,
  };
};

/** The task to change. Write only what differs: a task that was asked for here is written. */
export function edit(draft: Draft, task: TaskState): Editable<TaskState> {
  const known = draft.edits.get(task.id);
  if (known !== undefined) return known;
  const copy = { ...task };
  draft.edits.set(task.id, copy);
  return copy;
}

/** The task as this decision has it so far. */
export const current = (draft: Draft, task: TaskState): TaskState => draft.edits.get(task.id) ?? task;

/** Every task as this decision has it so far, the new ones last. */
export function* tasksOf(draft: Draft): Generator<TaskState> {
  for (const task of draft.state.tasks.values()) yield draft.edits.get(task.id) ?? task;
  for (const task of draft.edits.values()) if (!draft.state.tasks.has(task.id)) yield task;
}

interface Telling {
  readonly type: EventType;
  /** Content key that the id is made from; see `TaskState.counts`. */
  readonly happening: string;
  readonly detail: EventDetail;
  /** Also to these, whatever they want. */
  readonly informed?: readonly string[];
}

/** One more event of this task. */
export function emit(draft: Draft, task: Editable<TaskState>, telling: Telling): TaskwatchEvent {
  const { rules } = draft;
  const next = countOccurrence(task.counts, telling.happening);
  task.counts = next.counts;
  task.sequence += 1;
  const data = taskData(rules, task, task.sequence, draft.cloudNow, telling.detail);
  const event: TaskwatchEvent = {
    id: eventId(
      rules.project.id,
      rules.instance.id,
      task.id,
      next.happening,
      next.occurrence,
      draft.record.removals,
    ),
    type: telling.type,
    time: draft.now,
    data,
    webhooks: route(rules.webhooks, { type: telling.type, data }, telling.informed),
  };
  draft.events.push(event);
  return event;
}

/**
 * Tells the beginning of an incident, or its next stage (a change of verdict, a stuck task that failed).
 * Under maintenance it is recorded only, and remembered: it is sent when the window ends, if it still holds.
 * @param before The condition that the incident was open for until now; null where it begins.
 */
export function openIncident(
  draft: Draft,
  task: Editable<TaskState>,
  before: Condition | null,
  telling: Telling,
): void {
  const until = draft.rules.mutedUntil(draft.now, task);
  const detail = until === null ? telling.detail : { ...telling.detail, muted: true };
  const event = emit(draft, task, { ...telling, detail });
  const announced = task.muted === null ? before : task.muted.announced;
  task.muted = until === null ? null : { eventId: event.id, sequence: task.sequence, until, announced };
  task.informed = inform(task.informed, event.webhooks);
}

export interface Closing {
  readonly from: Condition;
  readonly resolution: Resolution;
}

/**
 * Tells the end of an incident, to whoever wants it and to whoever was sent the beginning. One that began and
 * ended inside maintenance was never announced: its end is recorded only. The caller sets what it ends.
 */
export function resolveIncident(
  draft: Draft,
  task: Editable<TaskState>,
  closing: Closing,
  detail: EventDetail,
): void {
  const unannounced = task.muted !== null && task.muted.announced === null;
  emit(draft, task, {
    type: "task.recovered",
    happening: `recovered:${closing.from}:${closing.resolution}`,
    detail: {
      ...detail,
      recovered_from: closing.from,
      resolution: closing.resolution,
      ...(unannounced ? { muted: true } : {}),
    },
    informed: task.informed,
  });
  task.informed = [];
  task.muted = null;
  draft.facts.push({
    kind: "recovered",
    taskId: task.id,
    taskName: task.name,
    resolution: closing.resolution,
    reason: detail.reason,
  });
}

/** When the maintenance ended that held an opening back: as planned, or before, where the window was taken away. */
export const mutedUntilOf = ({ until }: MutedOpening, now: number): string | null =>
  iso(Math.min(until, now));

/** Sends the opening that maintenance held back, under its own id and sequence, once the window is over. */
export function announceAfterMaintenance(draft: Draft, task: TaskState): void {
  const { muted } = task;
  if (muted === null) return;
  const until = draft.rules.mutedUntil(draft.now, task);
  if (until !== null) {
    if (until > muted.until) edit(draft, task).muted = { ...muted, until };
    return;
  }
  const copy = edit(draft, task);
  copy.muted = null;
  const { verdict } = copy;
  if (copy.failedAt === null && verdict === null) return;
  const type = copy.failedAt === null ? "task.stuck" : "task.failed";
  const began = copy.failedAt ?? verdict?.since ?? draft.now;
  const data = taskData(draft.rules, copy, muted.sequence, draft.cloudNow, {
    reason: `still ${type === "task.failed" ? "failed" : `stuck (${verdict?.kind})`} after maintenance, ${humanDuration((draft.now - began) / 1000)} after it began`,
    verdict: verdict?.kind ?? null,
    threshold: verdict?.threshold ?? null,
    muted_until: mutedUntilOf(muted, draft.now),
  });
  const webhooks = route(draft.rules.webhooks, { type, data });
  draft.events.push({ id: muted.eventId, type, time: draft.now, data, webhooks });
  copy.informed = inform(copy.informed, webhooks);
  // Repeats count from when people were told.
  if (verdict !== null) copy.verdict = { ...verdict, announcedAt: draft.now };
}
