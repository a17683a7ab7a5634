import { durationSeconds } from "../core/data.ts";
import { decide } from "../core/decide.ts";
import type { Knowledge } from "../core/decision.ts";
import type { Rules } from "../core/rules.ts";
import type { ScheduledTask, Threshold, VerdictKind } from "../core/state.ts";
import type { Listing, ObservedTask } from "../core/task.ts";
import { NO_FIELDS } from "../core/task-fields.ts";
import { newRecord } from "../poll/target.ts";

/** One task, as the daemon would judge it if it saw it first now. */
export interface JudgedTask {
  readonly task: ObservedTask;
  /** Planned start of one that waits for it; null for what is no scheduled task. */
  readonly scheduleAt: number | null;
  /** Since its creation; null where that is unknown or lies ahead. */
  readonly ageSeconds: number | null;
  readonly durationSeconds: number | null;
  /** `later_success`: it failed, and a later task of its name made that good. */
  readonly verdict: VerdictKind | "failed" | "later_success" | null;
  /** The limit of a stuck task. */
  readonly threshold: Threshold | null;
}

/** Without a store nothing is known of earlier runs. */
const NOTHING_LEARNED: Knowledge = { executed: () => false, learned: () => null };

/**
 * The newest first.
 * @param scheduled the list of scheduled tasks; null where it was not read
 * @param now local time, epoch milliseconds
 */
export function judgeListing(
  rules: Rules,
  listing: Listing,
  scheduled: readonly ScheduledTask[] | null,
  now: number,
): readonly JudgedTask[] {
  const { project, instance } = rules;
  // One that was planned before what is listed may have run then.
  const planned = ({ scheduleAt }: ScheduledTask) => scheduleAt === null || scheduleAt >= listing.window.from;
  const decision = decide({
    state: { record: newRecord(project.id, instance), revision: 0, tasks: new Map() },
    observation: {
      listing,
      startedAt: now,
      deep: true,
      lookups: new Map(),
      progress: new Map(),
      scheduled: scheduled?.filter(planned) ?? null,
    },
    rules: {
      ...rules,
      // Everything that is listed is to be judged, however old, and nobody is told.
      window: { ...rules.window, firstPoll: "emit", maxLookback: Number.MAX_SAFE_INTEGER },
      webhooks: [],
      mutedUntil: () => null,
    },
    knowledge: NOTHING_LEARNED,
    now,
    bornWatched: true,
  });
  const stuck = new Map(decision.upserts.map((task) => [task.id, task.verdict]));
  const madeGood = new Set(
    decision.facts.flatMap((fact) =>
      fact.kind === "recovered" && fact.resolution === "later_success" ? [fact.taskId] : [],
    ),
  );
  const listed = new Set(listing.tasks.map(({ id }) => id));
  const waiting = decision.record.scheduled.filter(({ id }) => !listed.has(id));
  return [...listing.tasks.map((task) => ({ task, scheduleAt: null })), ...waiting.map(asTask)]
    .map(({ task, scheduleAt }): JudgedTask => {
      const verdict = stuck.get(task.id) ?? null;
      const failure = task.status === "FAILED" ? (madeGood.has(task.id) ? "later_success" : "failed") : null;
      const cloudNow = notBefore(task.createdAt, listing.cloudNow);
      const age = task.createdAt === null ? -1 : (cloudNow - task.createdAt) / 1000;
      return {
        task,
        scheduleAt,
        ageSeconds: age >= 0 ? age : null,
        durationSeconds: scheduleAt === null ? durationSeconds(task, cloudNow) : null,
        verdict: verdict?.kind ?? failure,
        threshold: verdict?.threshold ?? null,
      };
    })
    .sort((a, b) => (b.task.createdAt ?? 0) - (a.task.createdAt ?? 0) || (a.task.id < b.task.id ? -1 : 1));
}

const asTask = ({ id, name, status, createdAt, scheduleAt }: ScheduledTask) => ({
  task: { id, name, status, ...NO_FIELDS, createdAt },
  scheduleAt,
});

/** The cloud tells its time to the second: a task may be up to one younger than that. */
const notBefore = (createdAt: number | null, cloudNow: number): number =>
  createdAt !== null && createdAt > cloudNow && createdAt < cloudNow + 1000 ? createdAt : cloudNow;

/** Does somebody have to look at it? */
export const alerts = ({ verdict }: Pick<JudgedTask, "verdict">): boolean =>
  verdict !== null && verdict !== "later_success";
