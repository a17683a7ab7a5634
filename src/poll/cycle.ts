import { decide } from "../core/decide.ts";
import type { Decision, Knowledge } from "../core/decision.ts";
import type { InstanceState } from "../core/state.ts";
import type { Listing } from "../core/task.ts";
import { type Query, queryWindow } from "../core/window.ts";
import type { Clock } from "../ports/clock.ts";
import { type FollowUps, fetchFollowUps } from "./follow-up.ts";
import type { Shard } from "./shard.ts";
import { type InstanceTarget, newRecord } from "./target.ts";
import { commitDecision } from "./writer.ts";

export interface CycleResult {
  /** `fenced`: the shard is another replica's, and nothing was written. */
  readonly kind: "ok" | "fenced";
  readonly listing: Listing;
  /** Null when fenced. */
  readonly decision: Decision | null;
  /** The stretch of time that no poll covers any more; null for none. */
  readonly outage: Query["outage"];
  /** What was asked beside the listing. */
  readonly asked: FollowUps;
}

/** A foreign write beside the daemon is rare; twice in a row means that something is wrong. */
const TRIES = 3;

/**
 * One poll of one instance, with the list of scheduled tasks where that is due, from the question to the commit.
 * Rejects with the `CloudError` of the first page, the `StoreError` of the commit, or the signal's reason.
 */
export async function pollOnce(
  target: InstanceTarget,
  shard: Shard,
  knowledge: Knowledge,
  clock: Clock,
  withScheduled: boolean,
  signal: AbortSignal,
): Promise<CycleResult> {
  const startedAt = clock.now();
  const { source, rules } = target;
  const before = shard.wholeInMemory(target.key) ?? (await stateOf(target, shard));
  const { window, deep, outage } = queryWindow(before.record, rules.window, startedAt, source.cloudOffset);
  const listing = await source.list(target.instanceId, window, signal);
  const asking = fetchFollowUps(target, before, listing, knowledge, clock.now(), withScheduled, signal);
  const asked = asking instanceof Promise ? await asking : asking;
  const { lookups, progress, scheduled } = asked;
  const observation = { listing, startedAt, deep, lookups, progress, scheduled };
  const seen = { outage, listing, asked };
  for (let tries = 0; tries < TRIES; tries++) {
    signal.throwIfAborted();
    const state = tries === 0 ? before : await stateOf(target, shard);
    const decision = decide({
      state,
      observation,
      rules,
      knowledge,
      now: clock.now(),
      bornWatched: target.bornWatched,
    });
    if (!decision.changed) {
      shard.completed(target.key, state.revision, decision.record);
      return { ...seen, kind: "ok", decision };
    }
    const written = await commitDecision(shard, target.key, state, decision);
    if (written === "fenced") return { ...seen, kind: "fenced", decision: null };
    if (written === "ok") return { ...seen, kind: "ok", decision };
  }
  throw new Error(`the state of ${target.key} changed under ${TRIES} commits in a row`);
}

async function stateOf(target: InstanceTarget, shard: Shard): Promise<InstanceState> {
  const known = await shard.whole(target.key);
  if (known) return known;
  const record = newRecord(target.project.id, target.rules.instance, {
    discovered: target.discovered,
    removals: await shard.removals(target.key),
  });
  return { record, revision: 0, tasks: new Map() };
}
