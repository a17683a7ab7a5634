import type { Knowledge } from "../core/decision.ts";
import type { InstanceState, ScheduledTask } from "../core/state.ts";
import type { Listing, Lookup } from "../core/task.ts";
import { followUps, progressAsks } from "../core/window.ts";
import { CloudError } from "../errors.ts";
import type { Operation } from "../ports/call-gate.ts";
import type { InstanceTarget } from "./target.ts";

/**
 * The list of scheduled tasks is read once in so long, at most with every poll. It may be that much later until
 * `not_started` is told, against a limit of 15 minutes; for an idle instance it is a fifth of a call per minute.
 */
export const SCHEDULED_EVERY_MS = 300_000;

/** Calls per second that this costs an instance that is polled at an interval. */
export const scheduledRate = (interval: number): number => 1_000 / Math.max(interval, SCHEDULED_EVERY_MS);

/** An ask beside the listing that got no answer. */
export interface FollowUpFailure {
  readonly operation: Operation;
  readonly error: CloudError;
}

/** What a poll asked beyond the listing. */
export interface FollowUps {
  readonly lookups: ReadonlyMap<string, Lookup>;
  readonly progress: ReadonlyMap<string, number>;
  readonly scheduled: readonly ScheduledTask[] | null;
  /** Calls for lookups and progress. */
  readonly calls: number;
  readonly scheduledAsked: boolean;
  readonly failures: readonly FollowUpFailure[];
  /** Operations that were called, and of which every call was answered. */
  readonly answered: readonly Operation[];
}

const NOTHING: FollowUps = {
  lookups: new Map(),
  progress: new Map(),
  scheduled: null,
  calls: 0,
  scheduledAsked: false,
  failures: [],
  answered: [],
};

/** After these, what is left to ask waits for the next poll: more calls would make it worse, or get no answer. */
const ENOUGH: ReadonlySet<string> = new Set(["throttled", "credentials_rejected", "clock_skew"]);

/** So many tasks of one kind may fail to be read in one poll: more would be the trouble of all. */
const MOST_FAILURES = 3;

/**
 * Asks for what the listing does not tell: open tasks that it does not show, progress, scheduled tasks. A failure
 * costs what the ask would have told, never the listing, nor for long what other tasks have to tell: each poll begins
 * with another one. Rejects with anything that is not a `CloudError`, such as the signal's reason.
 */
export function fetchFollowUps(
  target: InstanceTarget,
  before: InstanceState,
  listing: Listing,
  knowledge: Knowledge,
  now: number,
  withScheduled: boolean,
  signal: AbortSignal,
): Promise<FollowUps> | FollowUps {
  const toShow = followUps(before, listing);
  const toProgress = progressAsks(before, target.rules, knowledge, now, listing.cloudNow);
  // Nearly every poll: nothing is open, or the listing tells of all that is.
  if (toShow.length === 0 && toProgress.length === 0 && !withScheduled) return NOTHING;
  const from = Math.floor(now / TURN_MS);
  return ask(target, turned(toShow, from), turned(toProgress, from), withScheduled, signal);
}

/** A prime number, so that polls at a round interval do not begin with the same task again. */
const TURN_MS = 1_009;

const turned = <T>(list: readonly T[], by: number): readonly T[] => {
  const first = list.length === 0 ? 0 : by % list.length;
  return [...list.slice(first), ...list.slice(0, first)];
};

async function ask(
  { source, instanceId }: InstanceTarget,
  toShow: readonly string[],
  toProgress: readonly string[],
  withScheduled: boolean,
  signal: AbortSignal,
): Promise<FollowUps> {
  const lookups = new Map<string, Lookup>();
  const progress = new Map<string, number>();
  const failures: FollowUpFailure[] = [];
  const answered = new Set<Operation>();
  let scheduled: FollowUps["scheduled"] = null;
  let calls = 0;
  let scheduledAsked = false;
  const attempt = async (operation: Operation, ask: () => Promise<void>): Promise<void> => {
    if (failures.some(({ error }) => ENOUGH.has(error.reason))) return;
    if (failures.filter((failure) => failure.operation === operation).length >= MOST_FAILURES) return;
    try {
      await ask();
      answered.add(operation);
    } catch (error) {
      if (!(error instanceof CloudError)) throw error;
      failures.push({ operation, error });
    }
  };
  for (const taskId of toShow) {
    await attempt("show_task", async () => {
      calls += 1;
      lookups.set(taskId, await source.show(instanceId, taskId, signal));
    });
  }
  for (const taskId of toProgress) {
    await attempt("task_progress", async () => {
      calls += 1;
      const { ratio = null } = (await source.progress(instanceId, taskId, signal)) ?? {};
      if (ratio !== null) progress.set(taskId, ratio);
    });
  }
  if (withScheduled) {
    await attempt("list_scheduled_tasks", async () => {
      scheduledAsked = true;
      scheduled = await source.scheduled(instanceId, signal);
    });
  }
  for (const { operation } of failures) answered.delete(operation);
  return { lookups, progress, scheduled, calls, scheduledAsked, failures, answered: [...answered] };
}
