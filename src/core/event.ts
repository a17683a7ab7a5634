import { createHash } from "node:crypto";
import type { Cause } from "./cause.ts";
import type { Threshold, VerdictKind } from "./state.ts";
import type { Engine } from "./task.ts";
import type { ShownTaskFields } from "./task-fields.ts";

export const EVENT_TYPES = [
  "task.started",
  "task.succeeded",
  "task.failed",
  "task.cancelled",
  "task.deleted",
  "task.status_changed",
  "task.stuck",
  "task.recovered",
  "task.vanished",
  "instance.unreachable",
  "instance.reachable",
  "instance.discovered",
  "instance.removed",
  "project.unreachable",
  "project.reachable",
  "test",
] as const;

export type EventType = (typeof EVENT_TYPES)[number];

export type Resolution =
  | "moved_on"
  | "ended"
  | "later_success"
  | "acknowledged"
  | "expired"
  | "vanished"
  | "instance_removed";

export interface EventProject {
  readonly name: string;
  readonly id: string;
  readonly region: string;
}

export interface InstanceName {
  readonly id: string;
  readonly name: string;
  readonly engine: Engine;
}

export interface EventInstance extends InstanceName {
  /** As the instance list gives it; null where nobody read it. */
  readonly status: string | null;
}

/** Privacy applied. */
export interface EventTask extends ShownTaskFields {
  readonly id: string;
  readonly name: string;
  readonly status: string;
}

/** `data` of the CloudEvent. Every key is always there, null where it does not apply. Public interface. */
export interface EventData {
  readonly reason: string;
  readonly project: EventProject;
  readonly instance: EventInstance | null;
  readonly task: EventTask | null;
  readonly previous_status: string | null;
  readonly sequence: number | null;
  readonly duration_seconds: number | null;
  readonly verdict: VerdictKind | null;
  readonly previous_verdict: VerdictKind | null;
  readonly threshold: Threshold | null;
  readonly was_stuck: boolean;
  readonly recovered_from: "failure" | "stuck" | null;
  readonly resolution: Resolution | null;
  readonly resolved_by: { readonly task_id: string } | { readonly user: string } | null;
  readonly progress_ratio: number | null;
  readonly cause: Cause | null;
  /** Of the cloud's answer that gave the cause; null where there was no answer, or nothing of the kind in it. */
  readonly error_code: string | null;
  readonly request_id: string | null;
  readonly since: string | null;
  readonly muted: boolean;
  readonly muted_until: string | null;
  /** Reserved: the silence that muted it. */
  readonly silence: null;
  /** Reserved: what the daemon found out about the incident. */
  readonly diagnosis: null;
  readonly url: string | null;
}

/** The durable record of something that happened. `webhooks` are the ones that it goes to. */
export interface TaskwatchEvent {
  readonly id: string;
  readonly type: EventType;
  /** Epoch milliseconds of the commit. */
  readonly time: number;
  readonly data: EventData;
  readonly webhooks: readonly string[];
}

/**
 * The id follows from what happened: the same transition found again, after a restart, by another replica or
 * after the store lost a write, gets the same id. `occurrence` counts equal happenings from 1, and from 1 again after
 * the instance was removed, `removals` times so far: what happens then is not what happened before.
 */
export function eventId(
  projectId: string,
  instanceId: string,
  taskId: string,
  happening: string,
  occurrence: number,
  removals: number,
): string {
  const again = removals === 0 ? [] : [removals];
  const content = JSON.stringify([projectId, instanceId, taskId, happening, occurrence, ...again]);
  return `evt_${createHash("sha256").update(content).digest("hex").slice(0, 32)}`;
}

/** What one task's failure or verdict opens and its resolution ends; also the delivery lane that keeps its events in order. */
export const incidentKey = (projectId: string, instanceId: string, taskId: string): string =>
  `dms-taskwatch/${projectId}/${instanceId}/${taskId}`;
