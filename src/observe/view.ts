import type { InstanceRecord, ScheduledTask, TaskState } from "../core/state.ts";

/** One instance as `/metrics` sees it: filled from the owner's memory, read within one turn of the event loop. */
export interface InstanceView {
  /** Names of the configuration: the labels `project` and `cloud_region`. */
  readonly project: { readonly name: string; readonly region: string };
  readonly record: InstanceRecord;
  /** Tasks that are open, stuck or open failures; others do no harm. */
  readonly tasks: Iterable<TaskState>;
  /** Result of the last poll; false also while the project's calls are stopped; null before the first poll ended. */
  readonly up: boolean | null;
  /** When the last poll ended, or the takeover. Epoch milliseconds; null while the instance is not polled. */
  readonly lastPollAt: number | null;
  /** When the last complete listing was read, epoch milliseconds; null if there was none. */
  readonly lastCompleteAt: number | null;
  /** Of the schedule in force; null where it cannot be told. */
  readonly intervalSeconds: number | null;
  /** Transitions into FAILED that this process committed: `Recorder.failures()`. */
  readonly failures: number;
  readonly maintenance: boolean;
  /** Null where scheduled tasks are not watched or not known yet. */
  readonly scheduled: readonly ScheduledTask[] | null;
  /** When it left, epoch milliseconds; null while it is watched. Such a view may be dropped after 15 minutes. */
  readonly removedAt: number | null;
}
