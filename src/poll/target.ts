import { hash } from "../core/hash.ts";
import type { ProjectRules } from "../core/health.ts";
import type { Rules } from "../core/rules.ts";
import { type InstanceRecord, instanceKey } from "../core/state.ts";
import type { Engine } from "../core/task.ts";
import type { TaskSource } from "../ports/task-source.ts";
import type { ProjectGate } from "./project-gate.ts";
import type { Schedule } from "./schedule.ts";

/** One project as the poll sees it. Lives as long as a configuration. */
export interface PollProject {
  readonly name: string;
  readonly id: string;
  readonly region: string;
  readonly gate: ProjectGate;
  /** For events about the project itself. */
  readonly rules: ProjectRules;
}

/** One instance to poll. Lives as long as a configuration, or until discovery says otherwise. */
export interface InstanceTarget {
  /** `instanceKey()` of project and instance. */
  readonly key: string;
  readonly project: PollProject;
  readonly instanceId: string;
  readonly source: TaskSource;
  readonly shard: number;
  /** Place within the interval, 0 to 1: stable, so that a restart changes nothing. */
  readonly share: number;
  readonly schedule: Schedule;
  /** Instead, while open tasks are neither stuck nor acknowledged. */
  readonly activeSchedule: Schedule | null;
  readonly rules: Rules;
  readonly discovered: boolean;
  /** When it is first recorded, an event says that it was discovered. */
  readonly announce: boolean;
  /** Created after its project was first watched: no baseline. */
  readonly bornWatched: boolean;
}

/** Which shard an instance belongs to. The record of a project lives in the shard of the empty instance id. */
export const shardOf = (key: string, shards: number): number => hash(key) % shards;

/** Place within an interval, 0 to 1; not the bits that choose the shard, or a shard's instances would stand together. */
export const shareOf = (key: string): number => hash(`share/${key}`) / 2 ** 32;

/** The key of the record that carries a project's own health. */
export const projectKey = (projectId: string): string => instanceKey(projectId, "");

/** The record of an instance, or with an empty id of a project, that the store does not know yet. */
export function newRecord(
  projectId: string,
  instance: { readonly id: string; readonly name: string; readonly engine: Engine },
  { discovered = false, removals = 0 } = {},
): InstanceRecord {
  return {
    projectId,
    instanceId: instance.id,
    name: instance.name,
    engine: instance.engine,
    discovered,
    baselineAt: null,
    lastCompleteAt: null,
    lastSweepAt: null,
    prunedBefore: null,
    unreachable: null,
    counts: {},
    removals,
    ended: [],
    scheduled: [],
    leftOutSince: null,
  };
}

/** How events of the running program name an instance. */
export const targetNames = (target: InstanceTarget) => ({
  project: target.project.name,
  instanceId: target.instanceId,
  instanceName: target.rules.instance.name,
});
