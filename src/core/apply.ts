import type { Decision } from "./decision.ts";
import type { InstanceState } from "./state.ts";

/** The state after a decision was committed (or, where it changed nothing, with the times that it moved). */
export function apply(state: InstanceState, decision: Decision): InstanceState {
  const { record, upserts, removals } = decision;
  let { tasks } = state;
  if (upserts.length > 0 || removals.length > 0) {
    const next = new Map(tasks);
    for (const task of upserts) next.set(task.id, task);
    for (const id of removals) next.delete(id);
    tasks = next;
  }
  return { record, revision: decision.changed ? state.revision + 1 : state.revision, tasks };
}
