import type { Knowledge } from "./decision.ts";
import { hash } from "./hash.ts";
import type { Rules, WindowRules } from "./rules.ts";
import { type InstanceRecord, type InstanceState, instanceKey, isOpenTask } from "./state.ts";
import type { Engine, Listing, Window } from "./task.ts";
import { ageSeconds, limitOf } from "./verdict.ts";

/** Beyond now, for clocks that differ: a task must not be left out for being created "later". */
const AHEAD = 60_000;
/** As far as the clocks may differ while nothing is known of it: the gateway refuses a signature that is off by more. */
const UNKNOWN_OFFSET = 15 * 60_000;

export interface Query {
  readonly window: Window;
  /** Asked from `max_lookback`: a first poll or a sweep. */
  readonly deep: boolean;
  /** The stretch, by the cloud's clock, that no poll covers any more; null for none. */
  readonly outage: { readonly from: number; readonly to: number } | null;
}

/**
 * What the next poll asks for, by the cloud's clock: `cloudOffset` is that clock less the local one, as the last
 * answer told it, null before the first: the window then holds every offset that may be. It begins at the earlier of now less `lookback` and the last complete poll less `overlap`, but
 * never before now less `max_lookback`. Both clocks may have jumped since the record was written: the window
 * always holds `lookback` before the later of now and the last complete poll, and is never empty or inverted.
 */
export function queryWindow(
  record: InstanceRecord,
  rules: WindowRules,
  startedAt: number,
  cloudOffset: number | null,
): Query {
  const { baselineAt, lastCompleteAt } = record;
  const deep = baselineAt === null || sweepDue(record, rules.sweep, startedAt);
  const earliest = startedAt - Math.max(rules.maxLookback, rules.lookback);
  const resumed = lastCompleteAt === null ? startedAt : lastCompleteAt - rules.overlap;
  const wanted = Math.min(startedAt - rules.lookback, resumed);
  const from = deep ? earliest : Math.max(earliest, wanted);
  const to = Math.max(startedAt, lastCompleteAt ?? startedAt) + AHEAD;
  const offset = cloudOffset ?? 0;
  const unsure = cloudOffset === null ? UNKNOWN_OFFSET : 0;
  return {
    window: { from: Math.floor(from + offset - unsure), to: Math.ceil(to + offset + unsure) },
    deep,
    outage:
      lastCompleteAt !== null && resumed < earliest
        ? { from: Math.floor(lastCompleteAt + offset), to: Math.floor(earliest + offset) }
        : null,
  };
}

/**
 * Sweeps stand on a grid of their own per instance, shifted by a hash of its key, so that instances that were first
 * polled together do not sweep together. Any change of the slot counts: a clock that went back sweeps once more.
 */
function sweepDue(record: InstanceRecord, sweep: number | null, startedAt: number): boolean {
  // None since the first poll, or since the store lost tasks of the instance: one is due also without a rhythm.
  if (record.lastSweepAt === null) return true;
  if (sweep === null) return false;
  const shift = hash(instanceKey(record.projectId, record.instanceId)) % sweep;
  return Math.floor((startedAt + shift) / sweep) !== Math.floor((record.lastSweepAt + shift) / sweep);
}

/**
 * Ids of the open tasks to read one by one, because the listing does not tell of them. With an incomplete listing
 * only those that it did not ask for: the others may stand in the part that is missing. A task whose row was there
 * but could not be read is not asked for: it is known to be there.
 */
export function followUps(state: InstanceState, listing: Listing): readonly string[] {
  let shown: Set<string> | null = null;
  const ids: string[] = [];
  for (const task of state.tasks.values()) {
    if (!isOpenTask(task)) continue;
    if (shown === null) {
      shown = new Set();
      for (const row of listing.tasks) shown.add(row.id);
      for (const row of listing.malformed) if (row.id !== null) shown.add(row.id);
    }
    if (shown.has(task.id)) continue;
    const { createdAt } = task;
    const asked = createdAt !== null && createdAt >= listing.window.from && createdAt <= listing.window.to;
    if (listing.complete || !asked) ids.push(task.id);
  }
  return ids;
}

/** The API of RabbitMQ has no call for it. */
export const tellsProgress = (engine: Engine): boolean => engine !== "rabbitmq";

/** Ids of the open tasks past half of their limit, to ask for their progress; none while `no_progress_after` is off. */
export function progressAsks(
  state: InstanceState,
  rules: Rules,
  knowledge: Knowledge,
  now: number,
  cloudNow: number,
): readonly string[] {
  if (rules.stuck.noProgressAfter === null || !tellsProgress(rules.instance.engine)) return [];
  const ids: string[] = [];
  for (const task of state.tasks.values()) {
    if (!isOpenTask(task) || task.acknowledged !== null) continue;
    const limit = limitOf(rules.stuck, knowledge, task, knowledge.executed(task.name), now);
    if (ageSeconds(task, { now, cloudNow }) > limit.seconds / 2) ids.push(task.id);
  }
  return ids;
}
