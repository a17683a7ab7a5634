import { setImmediate as nextTurn } from "node:timers/promises";
import type { DeadLetter, DeadLetterPage, DeadLetterQuery, Outbox } from "../../ports/store.ts";
import { letterCursor, letterPlace } from "../letter-place.ts";
import type { Database } from "./database.ts";
import type { EventWriter } from "./events.ts";
import type { ShardRows } from "./leases.ts";

/** Dead letters that one transaction takes: the loop must not stand still for a command over all of them. */
const BATCH = 500;

interface LetterRow {
  readonly shard: number;
  readonly webhook: string;
  readonly seq: number;
  readonly lane: string;
  readonly eventId: string;
}

interface DeadLetterBox extends Pick<Outbox, "replay" | "drop"> {
  list(query: DeadLetterQuery): DeadLetterPage;
}

export function deadLetterBox(db: Database, rows: ShardRows, events: EventWriter): DeadLetterBox {
  const list = db.prepare<DeadLetter & Pick<LetterRow, "shard" | "seq">>(
    `SELECT d.webhook, e.id AS eventId, e.type, d.at, d.since, d.attempts, d.reason, e.body, d.shard, d.seq
     FROM dead_letter d JOIN event e ON e.seq = d.seq
     WHERE (d.at, d.shard, d.seq, d.webhook) > (?, ?, ?, ?)
     ORDER BY d.at, d.shard, d.seq, d.webhook LIMIT ?`,
  );
  const all = db.prepare<LetterRow>(
    `SELECT d.shard, d.webhook, d.seq, d.lane, e.id AS eventId
     FROM dead_letter d JOIN event e ON e.seq = d.seq ORDER BY d.seq, d.webhook`,
  );
  const remove = db.prepare("DELETE FROM dead_letter WHERE shard = ? AND webhook = ? AND seq = ?");

  /** Removes the wanted letters, some per transaction, and does `then` with each in the same transaction. */
  async function take(
    ids: readonly string[] | null,
    from: string | undefined,
    then: (letter: LetterRow) => void,
  ): Promise<string[]> {
    const wanted = ids === null ? null : new Set(ids);
    const letters = db
      .read(() => all.all())
      .filter(({ webhook }) => from === undefined || webhook === from)
      .filter(({ eventId }) => wanted?.has(eventId) ?? true);
    const found = new Set<string>();
    for (let start = 0; start < letters.length; start += BATCH) {
      const taken = await db.write(() =>
        letters.slice(start, start + BATCH).filter((letter) => {
          // Somebody else may have taken it since it was read.
          if (remove.run(letter.shard, letter.webhook, letter.seq).changes === 0) return false;
          then(letter);
          return true;
        }),
      );
      for (const { eventId } of taken) found.add(eventId);
      await nextTurn();
    }
    return [...found];
  }

  return {
    list({ after, limit }) {
      const rows = db.read(() => list.all(...letterPlace(after), limit));
      const last = rows.length < limit ? undefined : rows.at(-1);
      return {
        letters: rows.map(({ shard: _shard, seq: _seq, ...letter }) => letter),
        next: last === undefined ? null : letterCursor([last.at, last.shard, last.seq, last.webhook]),
      };
    },

    replay(ids, now, { from, to } = {}) {
      return take(ids, from, ({ shard, webhook, lane, seq }) => {
        events.replay(shard, to ?? webhook, lane, seq, now);
        // The owner learns from the generation that there is something to deliver.
        rows.advance(shard);
      });
    },

    drop(ids) {
      return take(ids, undefined, ({ seq }) => events.need(seq, -1));
    },
  };
}
