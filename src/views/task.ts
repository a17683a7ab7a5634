import type { PrivacyConfig } from "../config/config.ts";
import { durationSeconds, iso, visibleTask } from "../core/data.ts";
import type { EventTask, InstanceName } from "../core/event.ts";
import {
  type InstanceRecord,
  isMuted,
  type TaskState,
  type Threshold,
  type VerdictKind,
} from "../core/state.ts";
import type { Privacy } from "../core/task-fields.ts";

/** A task in the store, with the instance that it belongs to. */
export interface KnownTask {
  readonly key: string;
  readonly shard: number;
  readonly record: InstanceRecord;
  readonly task: TaskState;
}

/** A task as the store has it, for `--json` of the commands and for the HTTP API. Public interface. */
export interface TaskJson {
  readonly project: { readonly name: string; readonly id: string };
  readonly instance: InstanceName;
  readonly task: EventTask;
  /** Of a task that ended; the age of one that is open. */
  readonly duration_seconds: number | null;
  readonly verdict: VerdictKind | null;
  readonly stuck_since: string | null;
  /** That the verdict is about; null without one. */
  readonly threshold: Threshold | null;
  /** Set while it is an open failure. */
  readonly failed_since: string | null;
  /** When the maintenance window ends that holds back that it failed or is stuck; null when nothing is held back. */
  readonly muted_until: string | null;
  readonly acknowledged: {
    readonly by: string;
    readonly at: string | null;
    readonly reason: string | null;
  } | null;
  readonly progress_ratio: number | null;
}

export const privacyOf = ({ task_params, user_names }: PrivacyConfig): Privacy => ({
  taskParams: task_params,
  userNames: user_names,
});

/**
 * Privacy applied.
 * @param project its name in the configuration
 * @param now epoch milliseconds
 */
export function taskJson(
  { record, task }: KnownTask,
  project: string,
  privacy: PrivacyConfig,
  now: number,
): TaskJson {
  const { verdict, acknowledged } = task;
  return {
    project: { name: project, id: record.projectId },
    instance: { id: record.instanceId, name: record.name, engine: record.engine },
    task: visibleTask(task, privacyOf(privacy)),
    duration_seconds: durationSeconds(task, now),
    verdict: verdict?.kind ?? null,
    stuck_since: iso(verdict?.since ?? null),
    threshold: verdict?.threshold ?? null,
    failed_since: iso(task.failedAt),
    muted_until: isMuted(task) ? iso(task.muted?.until ?? null) : null,
    acknowledged: acknowledged && { ...acknowledged, at: iso(acknowledged.at) },
    progress_ratio: task.progress?.ratio ?? null,
  };
}
