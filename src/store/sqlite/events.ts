import type { EventWrite } from "../../ports/store.ts";
import type { Database } from "./database.ts";

/** A replayed dead letter goes by a lane of its own, so that it neither waits for the task's later events nor holds them up. */
const REPLAY = "replay:";
const replayLane = (lane: string): string => REPLAY + ownLane(lane);
const ownLane = (lane: string): string => (lane.startsWith(REPLAY) ? lane.slice(REPLAY.length) : lane);

/** Due at once, whatever the clock says. */
const NEVER_TRIED = 0;

/** Events and what still needs them. All of it runs inside a transaction of the caller. */
export interface EventWriter {
  put(shard: number, instance: string, events: readonly EventWrite[]): void;
  /**
   * Makes a delivery of a dead letter that was just removed, by the lane beside its old one. Where the webhook has the
   * event already, it gets it once.
   */
  replay(shard: number, webhook: string, lane: string, seq: number, since: number): void;
  /** `change` deliveries or dead letters more need the event. */
  need(seq: number, change: number): void;
}

export function sqliteEvents(db: Database): EventWriter {
  const find = db.prepare<{ seq: number; uses: number }>(
    "SELECT seq, uses FROM event WHERE task_id = ? AND id = ?",
  );
  const insert = db.prepare(
    `INSERT INTO event (shard, instance, task_id, id, type, time, uses, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (task_id, id) DO NOTHING`,
  );
  const remove = db.prepare("DELETE FROM event WHERE seq = ?");
  const use = db.prepare("UPDATE event SET uses = uses + ? WHERE seq = ?");
  const isPending = db.prepare<{ seq: number }>(
    "SELECT seq FROM delivery WHERE shard = ? AND webhook = ? AND lane IN (?, ?) AND seq = ?",
  );
  const removeDead = db.prepare("DELETE FROM dead_letter WHERE shard = ? AND webhook = ? AND seq = ?");
  const insertDelivery = db.prepare(
    `INSERT INTO delivery (shard, webhook, lane, seq, due_at, attempts, since)
     SELECT ?1, ?2, ?3, ?4, iif(EXISTS (SELECT 1 FROM delivery WHERE shard = ?1 AND webhook = ?2 AND lane = ?3), NULL, ?5), 0, ?6`,
  );

  /** Puts one delivery at its place in a lane; the first one of a lane is its head. */
  function enqueue(shard: number, webhook: string, lane: string, seq: number, since: number): void {
    insertDelivery.run(shard, webhook, lane, seq, NEVER_TRIED, Math.floor(since));
  }

  function putOne(shard: number, instance: string, { event, body, lane }: EventWrite): void {
    const taskId = event.data.task?.id ?? "";
    const webhooks = new Set(event.webhooks);
    const time = Math.floor(event.time);
    const add = () => insert.run(shard, instance, taskId, event.id, event.type, time, webhooks.size, body);
    let added = add();
    // Nearly every event is new: only one that is not is looked for.
    const known = added.changes === 0 ? find.get(taskId, event.id) : undefined;
    if (known !== undefined && known.uses > 0) {
      let more = 0;
      for (const webhook of webhooks) {
        if (isPending.get(shard, webhook, lane, replayLane(lane), known.seq) !== undefined) continue;
        more += 1 - Number(removeDead.run(shard, webhook, known.seq).changes);
        enqueue(shard, webhook, lane, known.seq, time);
      }
      use.run(more, known.seq);
      return;
    }
    if (known !== undefined) {
      remove.run(known.seq);
      added = add();
    }
    for (const webhook of webhooks) enqueue(shard, webhook, lane, Number(added.lastInsertRowid), time);
  }

  return {
    put(shard, instance, events) {
      for (const write of events) putOne(shard, instance, write);
    },
    replay(shard, webhook, lane, seq, since) {
      const own = ownLane(lane);
      const beside = replayLane(lane);
      if (isPending.get(shard, webhook, own, beside, seq) !== undefined) {
        use.run(-1, seq);
        return;
      }
      use.run(-Number(removeDead.run(shard, webhook, seq).changes), seq);
      enqueue(shard, webhook, beside, seq, since);
    },
    need(seq, change) {
      use.run(change, seq);
    },
  };
}
