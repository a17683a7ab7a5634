import { cloudEvent } from "../core/cloudevent.ts";
import type { Decision } from "../core/decision.ts";
import { incidentKey, type TaskwatchEvent } from "../core/event.ts";
import { learnNames } from "../core/names.ts";
import type { InstanceState } from "../core/state.ts";
import type { EventWrite, Removal, WriteResult } from "../ports/store.ts";
import type { Shard } from "./shard.ts";

/** What a decision writes; `record` null removes the instance. */
export type Outcome = Pick<Decision, "upserts" | "removals" | "events" | "learned"> & {
  readonly record: Decision["record"] | null;
  readonly removal?: Removal;
};

/** Commits a decision that was made on `state`, whole or not at all. */
export function commitDecision(
  shard: Shard,
  key: string,
  state: InstanceState,
  decision: Outcome,
): Promise<WriteResult["kind"]> {
  return shard.commit({
    key,
    expectRevision: state.revision,
    record: decision.record,
    ...(decision.removal === undefined ? {} : { removal: decision.removal }),
    upserts: decision.upserts,
    removals: decision.removals,
    events: decision.events.map(eventWrite),
    names: learnNames(shard.names(state.record.projectId), state.record.projectId, decision.learned),
  });
}

export function eventWrite(event: TaskwatchEvent): EventWrite {
  const { project, instance, task } = event.data;
  return {
    event,
    body: cloudEvent(event),
    lane: incidentKey(project.id, instance?.id ?? "", task?.id ?? ""),
  };
}
