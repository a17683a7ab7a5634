import type { EventType } from "../core/event.ts";
import type { Threshold } from "../core/state.ts";
import type { EventJson } from "./event.ts";
import type { InstanceJson } from "./instance.ts";
import type { Lanes } from "./lane.ts";
import type { StatusJson } from "./status.ts";
import type { TaskJson } from "./task.ts";
import type { WebhookJson } from "./webhook.ts";

/** A task with the limit that holds for it: for a stuck one that it is over, null for one that ended. */
export interface JudgedTaskJson extends TaskJson {
  readonly limit: Threshold | null;
}

export interface ExplainedTaskJson extends JudgedTaskJson {
  readonly why: string;
  readonly notes: readonly string[];
  /** Finished runs of its name that thresholds are learned from. */
  readonly runs_known: number;
  readonly events: readonly EventJson[];
}

/** Globs; `project` and `instance` fit by name or by id. */
export interface Scope {
  readonly project: string | null;
  readonly instance: string | null;
}

export const TASK_STATES = ["open", "stuck", "failed", "all"] as const;

/** The place of a task in the list: by instance, the newest first. It does not change while the task is known. */
export interface TaskPlace {
  readonly key: string;
  readonly createdAt: number | null;
  readonly id: string;
}

export interface TaskQuery extends Scope {
  /** `live`: open, stuck or failed. */
  readonly state: (typeof TASK_STATES)[number] | "live";
  readonly after: TaskPlace | null;
  readonly limit: number;
}

export interface EventsJson {
  readonly events: readonly { readonly event: EventJson; readonly cursor: string }[];
  readonly cursor: string;
}

export type Acknowledged =
  | { readonly kind: "acknowledged"; readonly task: JudgedTaskJson }
  /** There is nothing to acknowledge: why. */
  | { readonly kind: "refused"; readonly why: string }
  /** No task of this id is known, or several are: the instances that they stand on. */
  | { readonly kind: "not_one"; readonly instances: readonly string[] };

/**
 * What the HTTP API and the status page show. It is read from the store and from the configuration, so that any
 * replica shows the whole. All but `status` reject with `StoreError` `unavailable` while the store does not answer.
 */
export interface Api {
  status(): Promise<StatusJson>;
  /** In the order of their keys. `after` is a key. */
  instances(
    query: Scope & { readonly after: string | null; readonly limit: number },
  ): Promise<{ readonly instances: readonly InstanceJson[]; readonly next: string | null }>;
  tasks(
    query: TaskQuery,
  ): Promise<{ readonly tasks: readonly JudgedTaskJson[]; readonly next: TaskPlace | null }>;
  /** An id may stand on several instances. */
  task(id: string, scope: Scope): Promise<readonly ExplainedTaskJson[]>;
  /** Of these types, or of all. `after` is a cursor of an earlier answer; null begins at the oldest kept. */
  events(after: string | null, limit: number, types: readonly EventType[] | null): Promise<EventsJson>;
  newestEvents(limit: number): Promise<EventsJson>;
  webhooks(): Promise<readonly WebhookJson[]>;
  /**
   * The tasks of the instances in which something goes on or went on since then, epoch milliseconds: those first where
   * something failed or is stuck, then those where something runs, then by what ended last. At most so many.
   */
  lanes(since: number, most: number): Promise<Lanes>;
  /** The one task of this id. One that was acknowledged before stays as it is. */
  acknowledge(id: string, scope: Scope, by: string, reason: string | null): Promise<Acknowledged>;
}
