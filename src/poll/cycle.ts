import { decide } from "../core/decide.ts";
import type { Decision } from "../core/decision.ts";
import type { InstanceState } from "../core/state.ts";
import type { Lookup } from "../core/task.ts";
import { followUps, queryWindow } from "../core/window.ts";
import type { Clock } from "../ports/clock.ts";
import type { Knowledges } from "./knowledge.ts";
import type { Shard } from "./shard.ts";
import { newRecord, type Target } from "./target.ts";
import { commitDecision } from "./writer.ts";

export interface CycleResult {
  /** `fenced`: the shard is another replica's. */
  readonly kind: "ok" | "fenced";
  readonly complete: boolean;
  /** Why the listing is not complete; null if it is. */
  readonly gap: string | null;
  /** Null when nothing was written. */
  readonly decision: Decision | null;
  readonly calls: number;
}

/** A foreign write beside the daemon is rare; twice in a row means that something is wrong. */
const TRIES = 3;

/**
 * One poll of one instance, from the question to the commit. Rejects with the `CloudError` of the listing, the
 * `StoreError` of the commit, or the signal's reason.
 */
export async function pollOnce(
  target: Target,
  shard: Shard,
  knowledge: Knowledges,
  clock: Clock,
  signal: AbortSignal,
): Promise<CycleResult> {
  const startedAt = clock.now();
  const before = await stateOf(target, shard);
  const { window, deep } = queryWindow(
    before.record,
    target.rules.window,
    startedAt,
    target.project.source.cloudOffset,
  );
  const { source } = target.project;
  const listing = await source.list(target.instanceId, window, signal);
  const lookups = new Map<string, Lookup>();
  for (const taskId of followUps(before, listing)) {
    lookups.set(taskId, await source.show(target.instanceId, taskId, signal));
  }
  const observation = { listing, startedAt, deep, lookups, progress: new Map<string, number>() };
  const { complete, gap } = listing;
  for (let tries = 0; tries < TRIES; tries++) {
    signal.throwIfAborted();
    const state = tries === 0 ? before : await stateOf(target, shard);
    const decision = decide({
      state,
      observation,
      rules: target.rules,
      knowledge: knowledge.of(target.project.id, target.rules.stuck.learn),
      now: clock.now(),
      bornWatched: target.bornWatched,
    });
    const calls = 1 + lookups.size;
    if (!decision.changed) {
      if (complete) shard.completed(target.key, decision.record);
      return { kind: "ok", complete, gap, decision: null, calls };
    }
    const written = await commitDecision(shard, target.key, state, decision, knowledge);
    if (written === "fenced") return { kind: "fenced", complete, gap, decision: null, calls };
    if (written === "ok") return { kind: "ok", complete, gap, decision, calls };
  }
  throw new Error(`the state of ${target.key} changed under ${TRIES} commits in a row`);
}

async function stateOf(target: Target, shard: Shard): Promise<InstanceState> {
  const known = await shard.whole(target.key);
  return known ?? { record: newRecord(target), revision: 0, tasks: new Map() };
}
