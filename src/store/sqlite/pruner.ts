import { FAILED, STUCK } from "../codec.ts";
import type { Database } from "./database.ts";
import type { EventWriter } from "./events.ts";

/** Events that one call looks at, and dead letters of one webhook that it removes. */
const BOUND = 2_000;

type Prune = (
  shard: number,
  eventsBefore: number,
  deadBefore: ReadonlyMap<string, number>,
  removedBefore: number,
) => void;

/**
 * Removes what nobody needs any more. Each call looks at the next stretch of the events and begins anew at the
 * oldest when it met none that is old enough, so that old ones that are still needed do not stop it.
 */
export function sqlitePruner(db: Database, events: EventWriter): Prune {
  const stretch = db.prepare<{ last: number | null; old: number | null }>(
    `SELECT max(seq) AS last, sum(time < ?1) AS old FROM (
       SELECT seq, time FROM event WHERE seq > ?2 ORDER BY seq LIMIT ${BOUND})`,
  );
  const remove = db.prepare(
    `DELETE FROM event WHERE seq > ?1 AND seq <= ?2 AND shard = ?3 AND time < ?4 AND uses = 0
       AND NOT EXISTS (SELECT 1 FROM task t WHERE t.shard = event.shard AND t.instance = event.instance
         AND t.id = event.task_id AND t.flags & ${STUCK | FAILED})`,
  );
  const deadOf = db.prepare<{ seq: number }>(
    `SELECT seq FROM dead_letter WHERE shard = ? AND webhook = ? AND at < ? LIMIT ${BOUND}`,
  );
  const removeDead = db.prepare("DELETE FROM dead_letter WHERE shard = ? AND webhook = ? AND seq = ?");
  const removeRemovals = db.prepare("DELETE FROM removal WHERE shard = ? AND at < ?");
  const reached = new Map<number, number>();

  return (shard, eventsBefore, deadBefore, removedBefore) => {
    removeRemovals.run(shard, Math.floor(removedBefore));
    for (const [webhook, before] of deadBefore) {
      for (const { seq } of deadOf.all(shard, webhook, before)) {
        removeDead.run(shard, webhook, seq);
        events.need(seq, -1);
      }
    }
    const from = reached.get(shard) ?? 0;
    const { last = null, old = null } = stretch.get(eventsBefore, from) ?? {};
    if (last !== null) remove.run(from, last, shard, eventsBefore);
    reached.set(shard, last === null || !old ? 0 : last);
  };
}
