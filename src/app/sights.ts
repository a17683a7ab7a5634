import type { Sight } from "../alerting/alerts.ts";
import type { TaskwatchEvent } from "../core/event.ts";
import { instanceKey } from "../core/state.ts";
import type { Shard } from "../poll/shard.ts";
import type { Watched } from "../poll/watched.ts";

/** Everything that is watched here and of which something is known. */
export function* sightsOf(all: Iterable<Watched>): Generator<Sight, void, undefined> {
  for (const { target, shard, state } of all) {
    if (state === undefined) continue;
    const { key, project, rules } = target;
    yield { key, shard: shard.number, project, instance: rules.instance, state };
  }
}

/** The instances that events are about, as they are after the commit; none of those that are gone. */
export function* sightsAfter(
  shard: Shard,
  events: readonly TaskwatchEvent[],
): Generator<Sight, void, undefined> {
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
