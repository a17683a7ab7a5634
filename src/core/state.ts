import type { Cause, CloudAnswer } from "./cause.ts";
import { type Engine, isOpen } from "./task.ts";
import type { TaskFields } from "./task-fields.ts";

/** What the store keeps, and what the owner of a shard holds in memory. All times are epoch milliseconds. */

export const VERDICTS = ["queued_too_long", "running_too_long", "no_progress", "not_started"] as const;
export type VerdictKind = (typeof VERDICTS)[number];

export type ThresholdSource =
  | "instance_by_task"
  | "instance_running_after"
  | "by_task"
  | "running_after"
  | "queued_after"
  | "no_progress_after"
  | "not_started"
  | "learned";

export interface Threshold {
  readonly seconds: number;
  readonly source: ThresholdSource;
  /** How many finished runs it was learned from; 0 unless `source` is `learned`. */
  readonly samples: number;
}

export interface Verdict {
  readonly kind: VerdictKind;
  /** Local time of the commit that gave it. */
  readonly since: number;
  readonly threshold: Threshold;
  /** When it was last announced; for `stuck.repeat`. */
  readonly announcedAt: number;
}

export interface Acknowledgement {
  readonly by: string;
  readonly at: number;
  readonly reason: string | null;
}

export interface TaskState extends TaskFields {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  /** Local time of the commit that first recorded it. */
  readonly seenAt: number;
  /** Events of this task so far; the next one gets `sequence + 1`. */
  readonly sequence: number;
  /**
   * How often each kind of happening occurred, by its content key (`failed:FAILED`, `stuck:queued_too_long`).
   * Event ids are made from it, so it must never count by time or by attempt. Keys always hold a colon.
   */
  readonly counts: Readonly<Record<string, number>>;
  readonly verdict: Verdict | null;
  /** Set while the task is an open failure: when the failure was committed. */
  readonly failedAt: number | null;
  /** Of the incident that was open last; null again when a new one opens or a task that ended starts anew. */
  readonly acknowledged: Acknowledgement | null;
  /** Webhooks that were sent the beginning of the incident that is open now; they also get its end. */
  readonly informed: readonly string[];
  /** Seen EXECUTING (or in an unknown status) at least once. */
  readonly executed: boolean;
  /**
   * Vanished: gone from a complete listing, and by its id answered 404. The state then says DELETED, so that whoever
   * counts open tasks need not know of this; `task.vanished` told the status that it had.
   */
  readonly unlisted: boolean;
  /** The most that was seen, 0 to 1, and when it last grew, where the engine tells progress. */
  readonly progress: { readonly ratio: number; readonly since: number } | null;
  /** The incident's opening event was held back by maintenance: what to send when the window ends. */
  readonly muted: MutedOpening | null;
  /**
   * Planned start of a scheduled task that did not start in time: such a one is known by the scheduled list alone,
   * and followed there. Null for every task of the task list, also for one that was scheduled before.
   */
  readonly scheduleAt: number | null;
}

/** Open in the task list; a scheduled task that waits for its start is not, nor one that is only seen as scheduled. */
export const isOpenTask = (task: Pick<TaskState, "status" | "scheduleAt">): boolean =>
  task.scheduleAt === null && isOpen(task.status);

/**
 * Does maintenance hold back what the task is now, failed or stuck? If so, no webhook, no Alertmanager and no gauge that
 * an alert rule reads shows it. A condition that was announced before the window is not muted by it.
 */
export function isMuted({
  failedAt,
  verdict,
  muted,
}: Pick<TaskState, "failedAt" | "verdict" | "muted">): boolean {
  const condition: Condition | null = failedAt !== null ? "failure" : verdict !== null ? "stuck" : null;
  return muted !== null && condition !== null && muted.announced !== condition;
}

/** One row of the list of scheduled tasks, which is a list beside the task list. */
export interface ScheduledTask {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  /** Planned start by the cloud's clock; null where unreadable. */
  readonly scheduleAt: number | null;
  readonly createdAt: number | null;
}

/** What opens an incident of a task and lasts until it is resolved. */
export const CONDITIONS = ["failure", "stuck"] as const;
export type Condition = (typeof CONDITIONS)[number];

/** An opening that happened in a maintenance window. It is sent under the same id if it still holds afterwards. */
export interface MutedOpening {
  readonly eventId: string;
  readonly sequence: number;
  readonly until: number;
  /** What the incident was announced as before the window, which then holds back its later stages alone; null: nothing. */
  readonly announced: Condition | null;
}

export interface Unreachable {
  /** Local time of the first poll that failed, of a project that of the commit. */
  readonly since: number;
  /** Local time of the commit that said so. */
  readonly at: number;
  readonly cause: Cause;
  /** That gave the cause; null where there was none, and in records of version 1. */
  readonly answer: CloudAnswer | null;
  readonly informed: readonly string[];
  readonly muted: MutedOpening | null;
}

/** One instance without its tasks. The pseudo-instance with an empty id carries the health of its project. */
export interface InstanceRecord {
  readonly projectId: string;
  /** Empty for the record of the project itself. */
  readonly instanceId: string;
  readonly name: string;
  readonly engine: Engine;
  readonly discovered: boolean;
  /** When the first complete listing was committed; null until then. */
  readonly baselineAt: number | null;
  /** Local time at which the last complete poll started. Flushed now and then: an older value is always safe. */
  readonly lastCompleteAt: number | null;
  readonly lastSweepAt: number | null;
  /** An unknown task in a final status created before this is one that was pruned; it is not announced again. */
  readonly prunedBefore: number | null;
  readonly unreachable: Unreachable | null;
  /** As in TaskState, for `instance.*` and `project.*` events. */
  readonly counts: Readonly<Record<string, number>>;
  /** How often the instance was removed before. All counts began anew then, so event ids are made from this too. */
  readonly removals: number;
  /** Per task name, the updated_at of the last task that ended SUCCESS and FAILED. */
  readonly ended: readonly NameEnds[];
  /** Those that wait for their start, the next one first, as they were last read; none where they are not watched. */
  readonly scheduled: readonly ScheduledTask[];
  /** Local time since which nothing wants the instance watched; null while something does. */
  readonly leftOutSince: number | null;
}

export interface NameEnds {
  readonly name: string;
  readonly successAt: number | null;
  readonly failureAt: number | null;
}

/** An instance with all that is known of it. `revision` is the store's, and grows by one with each commit. */
export interface InstanceState {
  readonly record: InstanceRecord;
  readonly revision: number;
  readonly tasks: ReadonlyMap<string, TaskState>;
}

/** What a shard knows of one task name in one project. Shards are merged by whoever reads. */
export interface NameKnowledge {
  readonly projectId: string;
  readonly name: string;
  /** A task of this name was seen to go on to EXECUTING. */
  readonly executed: boolean;
  /** Durations of finished runs, serialised by `core/sketch.ts`; null before the first. */
  readonly sketch: string | null;
}

/** `project id/instance id`: the key of an instance in the store and in memory. */
export const instanceKey = (projectId: string, instanceId: string): string => `${projectId}/${instanceId}`;
