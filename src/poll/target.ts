import type { Rules } from "../core/rules.ts";
import type { InstanceRecord } from "../core/state.ts";
import type { TaskSource } from "../ports/task-source.ts";
import type { ProjectGate } from "./project-gate.ts";
import type { Schedule } from "./schedule.ts";

/** One project as the poll sees it. Lives as long as a configuration. */
export interface PollProject {
  readonly name: string;
  readonly id: string;
  readonly region: string;
  readonly source: TaskSource;
  readonly gate: ProjectGate;
  /** Rules of the project itself: webhooks and maintenance for its own events. */
  readonly rules: Rules;
}

/** One instance to poll. Lives as long as a configuration, or until discovery says otherwise. */
export interface Target {
  /** `instanceKey()` of project and instance. */
  readonly key: string;
  readonly project: PollProject;
  readonly instanceId: string;
  readonly shard: number;
  /** Place within the interval, 0 to 1: stable, so that a restart changes nothing. */
  readonly share: number;
  readonly schedule: Schedule;
  /** Instead, while open tasks are neither stuck nor acknowledged. */
  readonly activeSchedule: Schedule | null;
  readonly rules: Rules;
  readonly discovered: boolean;
  /** Created after its project was first watched: no baseline. */
  readonly bornWatched: boolean;
}

/** The record of an instance that the store does not know yet. */
export function newRecord(target: Target): InstanceRecord {
  return {
    projectId: target.project.id,
    instanceId: target.instanceId,
    name: target.rules.instance.name,
    engine: target.rules.instance.engine,
    discovered: target.discovered,
    baselineAt: null,
    lastCompleteAt: null,
    lastSweepAt: null,
    prunedBefore: null,
    unreachable: null,
    counts: {},
    ended: [],
  };
}
