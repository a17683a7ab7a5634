import { Alerting } from "../alerting/alerting.ts";
import type { InstanceSnapshot } from "../alerting/alerts.ts";
import type { TaskwatchEvent } from "../core/event.ts";
import { instanceKey } from "../core/state.ts";
import type { PolledInstance } from "../poll/polled-instance.ts";
import type { Shard } from "../poll/shard.ts";
import type { ShardKeeper } from "../poll/shard-keeper.ts";
import { shardOf } from "../poll/target.ts";
import type { EngineOptions } from "./engine.ts";

/** Among which an end is looked for that was written and not told. */
const LAST_EVENTS = 500;

export interface Watch {
  readonly shards: number;
  readonly keeper: Pick<ShardKeeper, "owned" | "stillMine">;
  readonly watched: () => Iterable<PolledInstance>;
}

/** Alerts of what is watched here, as the shards that are ours know it. */
export function createAlerting(
  { store, clock, random, emit, version, onUnforeseen }: EngineOptions,
  { shards, keeper, watched }: Watch,
): Alerting {
  return new Alerting({
    snapshots: () => snapshotsOf(watched()),
    isGone: (number, key) => {
      const shard = keeper.owned.get(number);
      return shard !== undefined && !shard.dropped && shard.peek(key) === undefined;
    },
    mine: (number) => {
      const shard = keeper.owned.get(number);
      return shard !== undefined && keeper.stillMine(shard.lease);
    },
    lastEvents: async () => (await store.reader.newestEvents(LAST_EVENTS)).events.toReversed(),
    shardOf: (key) => shardOf(key, shards),
    clock,
    random,
    emit: (fact) => emit({ kind: "outbox", fact }),
    onUnforeseen: (error) => onUnforeseen(error, "alerts"),
    version,
  });
}

/** Everything that is watched here and of which something is known. */
function* snapshotsOf(all: Iterable<PolledInstance>): Generator<InstanceSnapshot, void, undefined> {
  for (const { target, shard, state } of all) {
    if (state === undefined) continue;
    const { key, project, rules } = target;
    yield { key, shard: shard.number, project, instance: rules.instance, state };
  }
}

/** The instances that events are about, as they are after the commit; none of those that are gone. */
export function* snapshotsAfter(
  shard: Shard,
  events: readonly TaskwatchEvent[],
): Generator<InstanceSnapshot, void, undefined> {
  const seen = new Set<string>();
  for (const { data } of events) {
    const { project, instance } = data;
    if (instance === null) continue;
    const key = instanceKey(project.id, instance.id);
    const state = shard.peek(key);
    if (state === undefined || seen.has(key)) continue;
    seen.add(key);
    yield { key, shard: shard.number, project, instance, state };
  }
}
