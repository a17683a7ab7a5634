import { countOccurrence } from "./counts.ts";
import { instanceData } from "./data.ts";
import type { Decision } from "./decision.ts";
import { type Draft, decisionOf, draftOf, edit, resolveIncident } from "./draft.ts";
import { eventId } from "./event.ts";
import { route } from "./routing.ts";
import type { Rules } from "./rules.ts";
import type { InstanceState } from "./state.ts";

/** An instance that discovery found: `state` is the new, empty one. */
export function discoverInstance(state: InstanceState, rules: Rules, now: number): Decision {
  const draft = draftOf(state, rules, now);
  tellInstance(draft, "discovered", `found ${rules.instance.name}`);
  return decisionOf(draft);
}

/**
 * An instance that leaves: its open failures and verdicts end with it. The store is asked to remove the record and
 * all tasks in the same commit; the decision's record and upserts say what they were at the end.
 */
export function removeInstance(state: InstanceState, rules: Rules, now: number): Decision {
  const draft = draftOf(state, rules, now);
  for (const known of state.tasks.values()) {
    if (known.failedAt === null && known.verdict === null) continue;
    const task = edit(draft, known);
    task.failedAt = null;
    task.verdict = null;
    resolveIncident(
      draft,
      task,
      { from: known.failedAt === null ? "stuck" : "failure", resolution: "instance_removed" },
      {
        reason: "the instance was removed",
        was_stuck: known.verdict !== null,
        previous_verdict: known.verdict?.kind ?? null,
      },
    );
  }
  const informed = state.record.unreachable?.informed ?? [];
  tellInstance(draft, "removed", `${rules.instance.name} is no longer watched`, informed);
  draft.record = { ...draft.record, unreachable: null };
  return decisionOf(draft);
}

function tellInstance(
  draft: Draft,
  word: "discovered" | "removed",
  reason: string,
  informed: readonly string[] = [],
): void {
  const { rules, now, record } = draft;
  const next = countOccurrence(record.counts, `${word}:instance`);
  draft.record = { ...record, counts: next.counts };
  const type = `instance.${word}` as const;
  const data = instanceData(rules, { reason });
  draft.events.push({
    id: eventId(rules.project.id, rules.instance.id, "", next.happening, next.occurrence, record.removals),
    type,
    time: now,
    data,
    webhooks: route(rules.webhooks, { type, data }, informed),
  });
}
