import type { Cause } from "../core/cause.ts";
import { iso } from "../core/data.ts";
import type { InstanceName } from "../core/event.ts";
import { type InstanceRecord, isOpenTask, type TaskState, type Unreachable } from "../core/state.ts";

export interface TaskCounts {
  readonly open: number;
  readonly stuck: number;
  /** Open failures. */
  readonly failed: number;
}

/** Of an instance or a project: since when, why, and the cloud's answer that said so. Public interface. */
export interface UnreachableJson {
  readonly since: string | null;
  readonly cause: Cause;
  readonly error_code: string | null;
  readonly request_id: string | null;
}

export const unreachableJson = ({ since, cause, answer }: Unreachable): UnreachableJson => ({
  since: iso(since),
  cause,
  error_code: answer?.errorCode ?? null,
  request_id: answer?.requestId ?? null,
});

/** Public interface. */
export interface InstanceJson {
  readonly project: { readonly name: string; readonly id: string };
  readonly region: string | null;
  readonly instance: InstanceName;
  /** False for one that the store still has though the configuration does not name it. */
  readonly watched: boolean;
  readonly discovered: boolean;
  /** Null before the first poll was complete or failed for good. */
  readonly reachable: boolean | null;
  readonly unreachable: UnreachableJson | null;
  /** When the last complete poll began, as far as its owner has written it down: every ten seconds. */
  readonly last_complete_poll_at: string | null;
  /** Of the schedule in force; null where nobody polls it. */
  readonly poll_interval_seconds: number | null;
  /** End of the maintenance window that is open; null when none is. */
  readonly maintenance_until: string | null;
  readonly tasks: TaskCounts;
  /** Scheduled tasks that wait for their start, the next one first. */
  readonly scheduled: readonly {
    readonly id: string;
    readonly name: string;
    readonly status: string;
    readonly schedule_at: string | null;
  }[];
}

/** What the configuration knows of an instance; null where it does not name it. */
export interface InstanceSettings {
  readonly region: string;
  readonly discovered: boolean;
  readonly intervalSeconds: number | null;
  readonly maintenanceUntil: number | null;
}

/** @param project its name in the configuration */
export function instanceJson(
  record: InstanceRecord,
  live: Iterable<TaskState>,
  project: string,
  settings: InstanceSettings | null,
): InstanceJson {
  const { projectId, instanceId, name, engine, unreachable, lastCompleteAt, baselineAt } = record;
  return {
    project: { name: project, id: projectId },
    region: settings?.region ?? null,
    instance: { id: instanceId, name, engine },
    watched: settings !== null,
    discovered: settings?.discovered ?? record.discovered,
    reachable: unreachable !== null ? false : baselineAt === null ? null : true,
    unreachable: unreachable && unreachableJson(unreachable),
    last_complete_poll_at: iso(lastCompleteAt),
    poll_interval_seconds: settings?.intervalSeconds ?? null,
    maintenance_until: iso(settings?.maintenanceUntil ?? null),
    tasks: countTasks(live),
    scheduled: record.scheduled.map((task) => ({
      id: task.id,
      name: task.name,
      status: task.status,
      schedule_at: iso(task.scheduleAt),
    })),
  };
}

export function countTasks(live: Iterable<TaskState>): TaskCounts {
  const counts = { open: 0, stuck: 0, failed: 0 };
  for (const task of live) {
    if (isOpenTask(task)) counts.open += 1;
    if (task.verdict !== null) counts.stuck += 1;
    if (task.failedAt !== null) counts.failed += 1;
  }
  return counts;
}
