import type { InstanceRecord } from "./state.ts";
import type { Engine } from "./task.ts";

/** The cloud's clock may differ from ours by so much, and a task may appear late. */
const MARGIN_MS = 15 * 60_000;

/** What could be read of a record that as a whole cannot be read. */
export interface Salvaged {
  readonly name?: string;
  readonly engine?: Engine;
  readonly discovered?: boolean;
  readonly removals?: number;
}

/**
 * Returns the record that takes the place of one that cannot be read. The next poll asks from `max_lookback`, as a
 * first poll does. The counts begin anew, so `removals` grows by one: later events of the instance get ids of their
 * own. What had ended before the last complete poll was told then, and is not told again.
 * @param removed how often the instance was removed, as far as the store knows beside the record
 */
export function blankRecord(
  key: string,
  salvaged: Salvaged,
  { lastCompleteAt }: Pick<InstanceRecord, "lastCompleteAt">,
  removed: number,
): InstanceRecord {
  const slash = key.indexOf("/");
  const [projectId, instanceId] = [key.slice(0, slash), key.slice(slash + 1)];
  const blank: InstanceRecord = {
    projectId,
    instanceId,
    name: salvaged.name ?? instanceId,
    engine: salvaged.engine ?? "kafka",
    discovered: salvaged.discovered ?? false,
    baselineAt: lastCompleteAt,
    lastCompleteAt,
    lastSweepAt: null,
    prunedBefore: null,
    unreachable: null,
    counts: {},
    removals: Math.max(salvaged.removals ?? 0, removed) + 1,
    ended: [],
    scheduled: [],
    leftOutSince: null,
  };
  return quietBefore(blank);
}

/**
 * Returns the record of an instance that lost tasks. The next poll asks from `max_lookback`. A lost task that was open
 * is told whatever became of it; one that had ended is not told again.
 */
export const recordAfterLoss = (record: InstanceRecord, lostOpenTask: boolean): InstanceRecord => ({
  ...(lostOpenTask ? record : quietBefore(record)),
  lastSweepAt: null,
});

function quietBefore(record: InstanceRecord): InstanceRecord {
  const { lastCompleteAt, prunedBefore } = record;
  if (lastCompleteAt === null) return record;
  return { ...record, prunedBefore: Math.max(prunedBefore ?? -Infinity, lastCompleteAt - MARGIN_MS) };
}
