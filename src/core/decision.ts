import type { TaskwatchEvent } from "./event.ts";
import type { Rules } from "./rules.ts";
import type { InstanceRecord, InstanceState, ScheduledTask, TaskState, Threshold } from "./state.ts";
import type { Listing, Lookup } from "./task.ts";

/** What one poll of one instance saw. */
export interface Observation {
  readonly listing: Listing;
  /** Local time at which the poll began: the listing shows nothing that was added later. */
  readonly startedAt: number;
  /** Was it asked from `max_lookback`, as a first poll or a sweep? */
  readonly deep: boolean;
  /** Answers for the tasks that were asked for by id, by task id. */
  readonly lookups: ReadonlyMap<string, Lookup>;
  /** Progress ratios 0 to 1 of the tasks that were asked for it, by task id. */
  readonly progress: ReadonlyMap<string, number>;
  /** The whole list of scheduled tasks; null where it was not asked for or not read. */
  readonly scheduled: readonly ScheduledTask[] | null;
}

/** What the decision knows beyond the instance: the names' history, over all shards. */
export interface Knowledge {
  /** Was a task of this name ever seen to go on to EXECUTING? */
  executed(taskName: string): boolean;
  /** The learned running limit, null while there are too few samples or learning is off. */
  learned(taskName: string): LearnedLimit | null;
}

export interface LearnedLimit {
  readonly threshold: Threshold;
  /** Local time since which the runs are known that it was learned from; epoch milliseconds. */
  readonly knownSince: number;
}

export interface DecisionInput {
  /** With all its tasks: one that the store has and the state lacks would be announced again. */
  readonly state: InstanceState;
  readonly observation: Observation;
  readonly rules: Rules;
  readonly knowledge: Knowledge;
  /** Local time, epoch milliseconds. The commit's time. */
  readonly now: number;
  /** An instance created after its project was first watched has no baseline. */
  readonly bornWatched: boolean;
}

/**
 * All that one atomic commit writes, and what to tell of it. `changed` is false when there is nothing to commit.
 * The record is the one to go on with in any case: an unchanged poll still moves the times of the last complete
 * poll, which are flushed apart. Facts are told in any case too: what lasts, such as a malformed row, is a fact at
 * every poll.
 */
export interface Decision {
  readonly changed: boolean;
  readonly record: InstanceRecord;
  readonly upserts: readonly TaskState[];
  readonly removals: readonly string[];
  readonly events: readonly TaskwatchEvent[];
  /** Runs that ended, for the thresholds that learn, and names that were seen to execute. */
  readonly learned: readonly Learned[];
  readonly facts: readonly Fact[];
}

export interface Learned {
  readonly name: string;
  readonly executed: boolean;
  /** Duration of a run that ended in SUCCESS; null when only `executed` is news. */
  readonly seconds: number | null;
  /** When the run ended, by the cloud's clock; when it was seen, where `seconds` is null. */
  readonly at: number;
  /** Local time of the commit. */
  readonly seenAt: number;
}

/** Something for the log and the counters. Emitted after the commit, and lost with a crash: events are not. */
export type Fact =
  | {
      readonly kind: "transition";
      readonly taskId: string;
      readonly taskName: string;
      readonly from: string | null;
      readonly status: string;
      readonly reason: string;
      /** Commit time less the task's updated_at; null where that is unknown or negative. */
      readonly delaySeconds: number | null;
      /** Of a task that ended; null where a date is missing or the result is negative. */
      readonly durationSeconds: number | null;
    }
  | {
      readonly kind: "verdict";
      readonly taskId: string;
      readonly taskName: string;
      readonly verdict: string;
      readonly reason: string;
    }
  | {
      readonly kind: "recovered";
      readonly taskId: string;
      readonly taskName: string;
      readonly resolution: string;
      readonly reason: string;
    }
  | { readonly kind: "baseline"; readonly tasks: number; readonly open: number }
  | { readonly kind: "unknown_status"; readonly taskId: string; readonly status: string }
  /** `taskId` null where not even that could be read. */
  | { readonly kind: "malformed"; readonly taskId: string | null; readonly problem: string }
  | { readonly kind: "outage"; readonly from: number; readonly to: number }
  | { readonly kind: "stale_sighting"; readonly taskId: string; readonly reason: string }
  /** Open tasks of the listing were not recorded, because so many of the instance are known already. */
  | { readonly kind: "too_many_open"; readonly cap: number };
