import type { ScheduledTask } from "../core/state.ts";
import type { Engine, Listing, Lookup, TaskProgress, Window } from "../core/task.ts";

/** One project's cloud API. Every method rejects with a `CloudError`, or with the signal's reason when aborted. */
export interface TaskSource {
  /** The cloud's clock less the local one by the latest answer, milliseconds; null before the first. */
  readonly cloudOffset: number | null;
  list(instanceId: string, window: Window, signal: AbortSignal): Promise<Listing>;
  show(instanceId: string, taskId: string, signal: AbortSignal): Promise<Lookup>;
  /** Null where the cloud offers none for this engine or task. */
  progress(instanceId: string, taskId: string, signal: AbortSignal): Promise<TaskProgress | null>;
  /** One page walk over all instances of one engine. */
  instances(engine: Engine, signal: AbortSignal): Promise<readonly ListedInstance[]>;
  /** All of the list, or a rejection: a part of it would not tell what is not there. */
  scheduled(instanceId: string, signal: AbortSignal): Promise<readonly ScheduledTask[]>;
}

export interface ListedInstance {
  readonly id: string;
  readonly name: string;
  readonly engine: Engine;
  /** Epoch milliseconds; null where unreadable. */
  readonly createdAt: number | null;
  readonly status: string;
}
