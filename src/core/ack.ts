import { iso } from "./data.ts";
import type { Decision } from "./decision.ts";
import { decisionOf, draftOf, edit, resolveIncident } from "./draft.ts";
import type { Rules } from "./rules.ts";
import type { Acknowledgement, InstanceState } from "./state.ts";

/** Why there was nothing to acknowledge, as a sentence for whoever asked. */
export interface AckRefusal {
  readonly refused: string;
}

/**
 * Acknowledges an open failure or a stuck task: its incident ends, gauge and repeats stop. The task is still
 * followed: a stuck one gets no further verdict in this run, and a later FAILED is a new incident.
 */
export function acknowledge(
  state: InstanceState,
  taskId: string,
  by: Acknowledgement,
  rules: Rules,
): Decision | AckRefusal {
  const known = state.tasks.get(taskId);
  if (known === undefined) return { refused: `task ${taskId} is not known` };
  if (known.failedAt === null && known.verdict === null) {
    const { acknowledged } = known;
    return {
      refused:
        acknowledged === null
          ? `task ${taskId} is neither an open failure nor stuck: ${known.status}`
          : `task ${taskId} was acknowledged by ${acknowledged.by} at ${iso(acknowledged.at)}`,
    };
  }
  const draft = draftOf(state, rules, by.at);
  const task = edit(draft, known);
  const { verdict } = known;
  task.verdict = null;
  task.failedAt = null;
  task.acknowledged = by;
  resolveIncident(
    draft,
    task,
    { from: known.failedAt === null ? "stuck" : "failure", resolution: "acknowledged" },
    {
      reason: `acknowledged by ${by.by}${by.reason === null ? "" : `: ${by.reason}`}`,
      resolved_by: { user: by.by },
      was_stuck: verdict !== null,
      previous_verdict: verdict?.kind ?? null,
    },
  );
  return decisionOf(draft);
}
