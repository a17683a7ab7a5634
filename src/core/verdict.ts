import { iso } from "./data.ts";
import type { Knowledge } from "./decision.ts";
import { type Draft, edit, openIncident, resolveIncident } from "./draft.ts";
import { humanDuration, SOURCE_TEXT } from "./reason.ts";
import type { StuckRules } from "./rules.ts";
import type { TaskState, Threshold, VerdictKind } from "./state.ts";
import { isFinal } from "./task.ts";
import { queuedThreshold, runningThreshold } from "./thresholds.ts";

export interface StuckVerdict {
  readonly kind: VerdictKind;
  readonly threshold: Threshold;
}

export interface Times {
  readonly now: number;
  readonly cloudNow: number;
}

/** CREATED and WAITING are queued; an unknown status counts as running. */
const isQueued = (status: string): boolean => status === "CREATED" || status === "WAITING";

/**
 * Age in seconds by the cloud's clock. Where created_at is missing or lies ahead, the time since the task was
 * first recorded: it can only be shorter than the age, so nothing is judged early, and nothing hangs unjudged.
 */
export function ageSeconds(task: Pick<TaskState, "createdAt" | "seenAt">, { now, cloudNow }: Times): number {
  const age = task.createdAt === null ? -1 : cloudNow - task.createdAt;
  return (age >= 0 ? age : Math.max(0, now - task.seenAt)) / 1000;
}

/** The limit that holds for an open task in its present status. `executed`: was its name seen to go on to EXECUTING? */
export const limitOf = (
  stuck: StuckRules,
  knowledge: Knowledge,
  task: Pick<TaskState, "name" | "status">,
  executed: boolean,
  now: number,
): Threshold =>
  isQueued(task.status)
    ? queuedThreshold(stuck, knowledge, task.name, executed, now)
    : runningThreshold(stuck, knowledge, task.name, now);

/**
 * Does the limit that a task was judged by still hold, where `limit` is what is found now? A learned one moves, and
 * is not known for a while when runs fade or another replica's knowledge is not read yet.
 */
const stillHolds = (before: Threshold, limit: Threshold, stuck: StuckRules): boolean =>
  limit.source === "learned" ||
  limit.seconds <= before.seconds ||
  (before.source === "learned" && limit.source === "running_after" && stuck.learn.enabled);

/**
 * The verdict that an open task deserves now, null for none. One that it has is not taken back while the same
 * limit holds, although a clock may have gone back; nor because a learned limit moved, which would flap.
 * Age comes before progress: a task has one verdict at a time, and over its limit is the plainer one.
 * `told`: did this poll hear of its progress? Only then is it said to have none.
 */
export function evaluateStuck(
  task: TaskState,
  stuck: StuckRules,
  knowledge: Knowledge,
  executed: (name: string) => boolean,
  times: Times,
  told: boolean,
): StuckVerdict | null {
  if (isFinal(task.status) || task.acknowledged !== null) return null;
  const { verdict } = task;
  const queued = isQueued(task.status);
  const kind = queued ? "queued_too_long" : "running_too_long";
  // A task that was judged by `queued_after` has a name that was seen to go on, whatever is known of it now.
  const goesOn = !queued || verdict?.threshold.source === "queued_after" || executed(task.name);
  const limit = limitOf(stuck, knowledge, task, goesOn, times.now);
  if (ageSeconds(task, times) > limit.seconds) return { kind, threshold: limit };
  if (verdict?.kind === kind && stillHolds(verdict.threshold, limit, stuck)) {
    return { kind, threshold: verdict.threshold };
  }
  if (
    stuck.noProgressAfter !== null &&
    task.progress !== null &&
    (told || verdict?.kind === "no_progress") &&
    times.now - task.progress.since > stuck.noProgressAfter
  ) {
    const seconds = stuck.noProgressAfter / 1000;
    return { kind: "no_progress", threshold: { seconds, source: "no_progress_after", samples: 0 } };
  }
  return null;
}

/** Is it time to send the verdict again? A clock that jumped far either way must not silence the repeats. */
export const repeatDue = (task: TaskState, repeat: number | null, now: number): boolean =>
  repeat !== null && task.verdict !== null && Math.abs(now - task.verdict.announcedAt) >= repeat;

/** Commits the judgement of an open task, `why` with its end: once per task and verdict, again on a change, and as `stuck.repeat` asks. */
export function applyVerdict(
  draft: Draft,
  task: TaskState,
  judgement: StuckVerdict | null,
  why = task.status,
): void {
  const before = task.verdict;
  if (judgement === null) {
    if (before === null) return;
    const copy = edit(draft, task);
    copy.verdict = null;
    resolveIncident(
      draft,
      copy,
      { from: "stuck", resolution: "moved_on" },
      { reason: `no longer ${before.kind}: ${why}`, previous_verdict: before.kind, was_stuck: true },
    );
    return;
  }
  const { kind, threshold } = judgement;
  if (before?.kind === kind) {
    if (!repeatDue(task, draft.rules.stuck.repeat, draft.now)) return;
    // A repeat under maintenance would tell nobody; the first poll after it sends one.
    if (task.muted !== null || draft.rules.mutedUntil(draft.now, task) !== null) return;
    const copy = edit(draft, task);
    copy.verdict = { ...before, announcedAt: draft.now };
    openIncident(draft, copy, "stuck", {
      type: "task.stuck",
      happening: `stuck:${kind}`,
      detail: {
        reason: `still ${kind}: ${explain(task, before, draft)}`,
        verdict: kind,
        threshold: before.threshold,
        was_stuck: true,
      },
    });
    return;
  }
  const copy = edit(draft, task);
  copy.verdict = { kind, since: draft.now, threshold, announcedAt: draft.now };
  const reason = `${kind}: ${explain(task, judgement, draft)}`;
  openIncident(draft, copy, before === null ? null : "stuck", {
    type: "task.stuck",
    happening: `stuck:${kind}`,
    detail: {
      reason,
      verdict: kind,
      previous_verdict: before?.kind ?? null,
      threshold,
      was_stuck: before !== null,
    },
  });
  draft.facts.push({ kind: "verdict", taskId: task.id, taskName: task.name, verdict: kind, reason });
}

function explain(task: TaskState, { kind, threshold }: StuckVerdict, times: Times): string {
  const limit = `limit ${humanDuration(threshold.seconds)} (${SOURCE_TEXT[threshold.source]}${
    threshold.samples > 0 ? `, ${threshold.samples} runs` : ""
  })`;
  if (kind === "no_progress" && task.progress !== null) {
    const idle = humanDuration((times.now - task.progress.since) / 1000);
    return `at ${Math.round(task.progress.ratio * 100)} % for ${idle}, ${limit}`;
  }
  if (kind === "not_started" && task.scheduleAt !== null) {
    const late = humanDuration((times.cloudNow - task.scheduleAt) / 1000);
    return `planned for ${iso(task.scheduleAt)}, still ${task.status} ${late} later, ${limit}`;
  }
  return `${task.status}, age ${humanDuration(ageSeconds(task, times))}, ${limit}`;
}
