import type { EventType } from "../../core/event.ts";
import type { Delivery, Lease, Outbox, OutboxCount, Settlement } from "../../ports/store.ts";
import type { Database } from "./database.ts";
import { deadLetterBox } from "./dead-letters.ts";
import type { EventWriter } from "./events.ts";
import { Holds } from "./holds.ts";
import type { ShardRows } from "./leases.ts";
import { sqlitePruner } from "./pruner.ts";
import type { Aside } from "./set-aside.ts";

interface HeadRow {
  readonly lane: string;
  readonly seq: number;
  readonly due_at: number;
  readonly attempts: number;
  readonly since: number;
}

export function sqliteOutbox(db: Database, rows: ShardRows, events: EventWriter, aside: Aside): Outbox {
  const heads = (which: string) =>
    db.prepare<HeadRow>(
      `SELECT lane, seq, due_at, attempts, since FROM delivery WHERE shard = ? AND webhook = ? AND ${which}`,
    );
  const neverTried = heads("due_at = 0 ORDER BY seq");
  const toTryAgain = heads("due_at > 0 ORDER BY due_at, seq");
  const old = heads("due_at IS NOT NULL AND since <= ? ORDER BY since");
  const content = db.prepare<{ id: string; type: EventType; body: string }>(
    "SELECT id, type, body FROM event WHERE seq = ?",
  );
  const counts = db.prepare<OutboxCount>(
    `SELECT webhook, sum(pending) AS pending, min(since) AS oldestAt, sum(dead) AS dead FROM (
       SELECT webhook, 1 AS pending, since, 0 AS dead FROM delivery WHERE shard = ?1
       UNION ALL SELECT webhook, 0, NULL, 1 FROM dead_letter WHERE shard = ?1
     ) GROUP BY webhook ORDER BY webhook`,
  );
  const settle = settler(db, events);
  const dead = deadLetterBox(db, rows, events);
  const prune = sqlitePruner(db, events);
  const holds = new Holds();

  /** Takes of the heads until `ends` says so of one; gives what it took, and the one at which it ended. */
  function take(
    lease: Lease,
    webhook: string,
    rows: Iterable<HeadRow>,
    ends: (head: HeadRow, taken: number) => boolean,
  ): { readonly deliveries: readonly Delivery[]; readonly next: HeadRow | null } {
    const held = holds.of(lease, webhook);
    const deliveries: Delivery[] = [];
    for (const head of rows) {
      const { lane, seq, attempts, since } = head;
      if (held.has(lane)) continue;
      if (ends(head, deliveries.length)) return { deliveries, next: head };
      const event = content.get(seq);
      if (event === undefined) continue;
      const { id: eventId, type, body } = event;
      deliveries.push({ shard: lease.shard, webhook, lane, eventId, type, body, attempts, since });
      held.set(lane, { seq, eventId });
    }
    return { deliveries, next: null };
  }

  return {
    async claim(lease, webhook, limit, now) {
      return db.read(() => {
        if (!rows.holds(lease)) return "fenced";
        const { shard } = lease;
        const inTurn = longestDueFirst(
          neverTried.iterate(shard, webhook),
          toTryAgain.iterate(shard, webhook),
          now,
        );
        const ends = ({ due_at }: HeadRow, taken: number) => due_at > now || taken >= limit;
        const { deliveries, next } = take(lease, webhook, inTurn, ends);
        return { deliveries, nextDueAt: next?.due_at ?? null };
      });
    },

    async claimOld(lease, webhook, limit, until) {
      return db.read(() => {
        if (!rows.holds(lease)) return "fenced";
        const rowsUntil = old.iterate(lease.shard, webhook, until);
        return take(lease, webhook, rowsUntil, (_, taken) => taken >= limit).deliveries;
      });
    },

    async settle(lease, webhook, deliveries, settlement, now) {
      const held = holds.of(lease, webhook);
      const mine = deliveries.flatMap(({ lane, eventId }) => {
        const hold = held.get(lane);
        return hold?.eventId === eventId ? [{ lane, seq: hold.seq }] : [];
      });
      const answer = await db.write(() => {
        if (!rows.holds(lease)) return "fenced";
        for (const { lane, seq } of mine) settle(lease.shard, webhook, lane, seq, settlement, now);
        return "ok";
      });
      if (answer === "ok") for (const { lane } of mine) held.delete(lane);
      return answer;
    },

    async counts(shard) {
      return counts.all(shard).map((row) => ({ ...row }));
    },

    deadLetters: async (query) => dead.list(query),
    replay: (ids, now, route) => dead.replay(ids, now, route),
    drop: (ids) => dead.drop(ids),

    prune(lease, eventsBefore, deadBefore, removedBefore) {
      return db.write(() => {
        if (!rows.holds(lease)) return "fenced";
        prune(lease.shard, eventsBefore, deadBefore, removedBefore);
        aside.prune(lease.shard);
        return "ok";
      });
    },
  };
}

/** One that was never tried is due since it was put in, whatever `now` is: before all that is not due yet. */
function* longestDueFirst(
  neverTried: Iterable<HeadRow>,
  toTryAgain: Iterable<HeadRow>,
  now: number,
): Generator<HeadRow> {
  const [fresh, again] = [neverTried[Symbol.iterator](), toTryAgain[Symbol.iterator]()];
  try {
    let [first, second] = [fresh.next(), again.next()];
    while (!first.done || !second.done) {
      if (
        second.done ||
        (!first.done && (second.value.due_at > now || first.value.since < second.value.due_at))
      ) {
        yield first.value;
        first = fresh.next();
      } else {
        yield second.value;
        second = again.next();
      }
    }
  } finally {
    fresh.return?.();
    again.return?.();
  }
}

type Settle = (
  shard: number,
  webhook: string,
  lane: string,
  seq: number,
  settlement: Settlement,
  now: number,
) => void;

/** Writes what became of one delivery, and makes the next one of its lane the head. */
function settler(db: Database, events: EventWriter): Settle {
  const retry = db.prepare(
    `UPDATE delivery SET due_at = ?, reason = ?, attempts = attempts + 1
     WHERE shard = ? AND webhook = ? AND lane = ? AND seq = ?`,
  );
  const remove = db.prepare("DELETE FROM delivery WHERE shard = ? AND webhook = ? AND lane = ? AND seq = ?");
  const bury = db.prepare(
    `INSERT INTO dead_letter (shard, webhook, seq, lane, at, since, attempts, reason)
     SELECT shard, webhook, seq, lane, ?, since, attempts + 1, ? FROM delivery
     WHERE shard = ? AND webhook = ? AND lane = ? AND seq = ?`,
  );
  const advance = db.prepare(
    `UPDATE delivery SET due_at = 0 WHERE shard = ?1 AND webhook = ?2 AND lane = ?3
       AND seq = (SELECT min(seq) FROM delivery WHERE shard = ?1 AND webhook = ?2 AND lane = ?3)`,
  );

  return (shard, webhook, lane, seq, settlement, now) => {
    const place = [shard, webhook, lane, seq] as const;
    switch (settlement.kind) {
      case "retry":
        retry.run(Math.ceil(settlement.at), settlement.reason, ...place);
        return;
      case "dead":
        bury.run(Math.floor(now), settlement.reason, ...place);
        if (remove.run(...place).changes !== 0) advance.run(shard, webhook, lane);
        return;
      case "delivered":
        if (remove.run(...place).changes === 0) return;
        events.need(seq, -1);
        advance.run(shard, webhook, lane);
    }
  };
}
