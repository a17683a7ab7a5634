import type { Knowledge } from "../core/decision.ts";
import { humanDuration, SOURCE_TEXT } from "../core/reason.ts";
import type { StuckRules } from "../core/rules.ts";
import type { TaskState, Threshold } from "../core/state.ts";
import { isFinal } from "../core/task.ts";
import { TRUSTED_AFTER_MS } from "../core/thresholds.ts";
import { ageSeconds, limitOf } from "../core/verdict.ts";
import { timeText } from "./text.ts";

export interface Why {
  /** One sentence. */
  readonly why: string;
  /** The limit that holds, or for a stuck task the one that it is over; null for a task that ended. */
  readonly limit: Threshold | null;
  /** What else bears on the limit, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Why a task is, or is not, stuck.
 * @param runs finished runs of its name that are known
 * @param now epoch milliseconds
 */
export function whyOf(
  task: TaskState,
  stuck: StuckRules,
  knowledge: Knowledge,
  runs: number,
  now: number,
): Why {
  if (isFinal(task.status)) return { why: whyEnded(task), limit: null, notes: [] };
  const { age, state, limit, notes } =
    task.scheduleAt === null
      ? ofRun(task, stuck, knowledge, runs, now)
      : ofPlan(task, task.scheduleAt, stuck, now);
  const { verdict, acknowledged } = task;
  if (verdict !== null) {
    const why = `stuck since ${timeText(verdict.since)}: ${verdict.kind}: ${state}, over the limit of ${limitText(verdict.threshold)}`;
    return { why, limit: verdict.threshold, notes };
  }
  if (acknowledged !== null) {
    const { by, at, reason } = acknowledged;
    const because = reason === null ? "" : ` (${reason})`;
    const why = `not stuck: acknowledged by ${by} at ${timeText(at)}${because}; still followed, and alerts again if it fails`;
    return { why, limit, notes };
  }
  const over = age > limit.seconds;
  const why = over
    ? `over the limit of ${limitText(limit)}: ${state}; the next poll will say that it is stuck`
    : `not stuck: ${state}, within the limit of ${limitText(limit)}`;
  return { why, limit, notes };
}

interface Measured {
  /** Seconds, to be held against the limit. */
  readonly age: number;
  readonly state: string;
  readonly limit: Threshold;
  readonly notes: readonly string[];
}

function ofRun(
  task: TaskState,
  stuck: StuckRules,
  knowledge: Knowledge,
  runs: number,
  now: number,
): Measured {
  const executed = task.executed || knowledge.executed(task.name);
  const limit = limitOf(stuck, knowledge, task, executed, now);
  const age = ageSeconds(task, { now, cloudNow: now });
  const state = `${task.status}, age ${humanDuration(age)}`;
  return { age, state, limit, notes: notesOn(task, limit, stuck, knowledge, executed, runs) };
}

/** A scheduled task that did not start. */
function ofPlan(
  { status }: TaskState,
  scheduleAt: number,
  { queuedAfter }: StuckRules,
  now: number,
): Measured {
  const age = Math.max(0, now - scheduleAt) / 1000;
  const state = `planned for ${timeText(scheduleAt)}, still ${status} ${humanDuration(age)} later`;
  return { age, state, limit: { seconds: queuedAfter / 1000, source: "not_started", samples: 0 }, notes: [] };
}

function whyEnded({ status, failedAt, acknowledged, unlisted }: TaskState): string {
  if (unlisted) return "not stuck: it vanished, gone from the list and by its id";
  const ended = `not stuck: it ended ${status}`;
  if (failedAt !== null) return `${ended}, an open failure since ${timeText(failedAt)}`;
  if (acknowledged === null) return ended;
  const { by, at, reason } = acknowledged;
  return `${ended}, acknowledged by ${by} at ${timeText(at)}${reason === null ? "" : ` (${reason})`}`;
}

const limitText = ({ seconds, source, samples }: Threshold): string =>
  `${humanDuration(seconds)} (${SOURCE_TEXT[source]}${samples > 0 ? `, ${samples} of them` : ""})`;

function notesOn(
  task: TaskState,
  { source }: Threshold,
  { learn, noProgressAfter }: StuckRules,
  knowledge: Knowledge,
  executed: boolean,
  runs: number,
): readonly string[] {
  const notes: string[] = [];
  const queued = task.status === "CREATED" || task.status === "WAITING";
  if (queued && !executed) {
    notes.push(`${task.name} was never seen to go on to EXECUTING, so the limit of a run holds`);
  }
  if (source === "learned") {
    const { quantile, factor, floor, ceiling } = learn;
    notes.push(
      `learned: the ${quantile} quantile of ${runs} runs times ${factor}, between ${humanDuration(floor / 1000)} and ${humanDuration(ceiling / 1000)}`,
    );
  } else if (source === "running_after" && learn.enabled) {
    const young = knowledge.learned(task.name);
    notes.push(
      young === null
        ? `${runs} of the ${learn.minSamples} runs that a learned limit needs are known`
        : `a limit of ${humanDuration(young.threshold.seconds)} was learned from ${young.threshold.samples} runs; it counts from ${timeText(young.knownSince + TRUSTED_AFTER_MS)}, a day after most of them were first read`,
    );
  }
  if (task.progress !== null) {
    const { ratio, since } = task.progress;
    const limit = noProgressAfter === null ? "" : `, limit ${humanDuration(noProgressAfter / 1000)}`;
    notes.push(`at ${Math.round(ratio * 100)} % since ${timeText(since)}${limit}`);
  }
  return notes;
}
