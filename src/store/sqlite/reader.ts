import { setImmediate as nextTurn } from "node:timers/promises";
import type { EventType } from "../../core/event.ts";
import type { TaskState } from "../../core/state.ts";
import type { EventPage, EventQuery, Reader, StoredEvent, TaskFilter } from "../../ports/store.ts";
import { decodeTask, FAILED, OPEN, STUCK } from "../codec.ts";
import { nameRecordKey, PassedOver, RecordReader, taskRecordKey } from "../unreadable.ts";
import type { Database } from "./database.ts";
import { nameOf, recordOf } from "./rows.ts";
import type { Aside } from "./set-aside.ts";

/** Rows that are read before other work gets its turn. */
const SLICE = 1_000;
/** Instances whose tasks are read before other work gets its turn. */
const INSTANCES_SLICE = 64;

const FLAGS: Readonly<Record<TaskFilter["state"], number>> = {
  open: OPEN,
  stuck: STUCK,
  failed: FAILED,
  live: OPEN | STUCK | FAILED,
  all: 0,
};

interface TaskRow {
  readonly shard: number;
  readonly instance: string;
  readonly id: string;
  readonly state: string;
}

export function sqliteReader(db: Database, aside: Aside): Reader {
  const instances = db.prepare<{
    shard: number;
    key: string;
    revision: number;
    last_complete_at: number | null;
    last_sweep_at: number | null;
    record: string;
  }>(
    `SELECT shard, key, revision, last_complete_at, last_sweep_at, record FROM instance
     WHERE (shard, key) > (?, ?) ORDER BY shard, key LIMIT ${SLICE}`,
  );
  const tasks = db.prepare<TaskRow>(
    `SELECT shard, instance, id, state FROM task
     WHERE (shard, instance, id) > (?, ?, ?) ORDER BY shard, instance, id LIMIT ${SLICE}`,
  );
  const live = db.prepare<TaskRow>(
    `SELECT shard, instance, id, state FROM task WHERE flags > 0 AND flags & ?
       AND (shard, instance, id) > (?, ?, ?) ORDER BY shard, instance, id LIMIT ${SLICE}`,
  );
  const ofInstance = db.prepare<TaskRow>(
    "SELECT shard, instance, id, state FROM task WHERE shard = ? AND instance = ?",
  );
  const liveOfInstance = db.prepare<TaskRow>(
    "SELECT shard, instance, id, state FROM task WHERE shard = ? AND instance = ? AND flags & ?",
  );
  const task = db.prepare<TaskRow>(
    "SELECT shard, instance, id, state FROM task WHERE shard = ? AND instance = ? AND id = ?",
  );
  const keys = db.prepare<{ shard: number; key: string }>(
    `SELECT shard, key FROM instance WHERE (shard, key) > (?, ?) ORDER BY shard, key LIMIT ${SLICE}`,
  );
  const names = db.prepare<{
    shard: number;
    project_id: string;
    name: string;
    executed: number;
    sketch: string | null;
  }>("SELECT shard, project_id, name, executed, sketch FROM name ORDER BY project_id, name, shard");

  const places = placesIn(db);
  const passedOver = new PassedOver();

  return {
    async instances() {
      const reader = new RecordReader();
      const found: Awaited<ReturnType<Reader["instances"]>>[number][] = [];
      for await (const row of slices((last: { shard: number; key: string } | null) =>
        db.read(() => instances.all(last?.shard ?? -1, last?.key ?? "")),
      )) {
        const { shard, key, revision } = row;
        const record = reader.read(shard, "instance", key, () => recordOf(row));
        if (record !== undefined) found.push({ key, shard, revision, record });
      }
      passedOver.set("instances", reader.unreadable);
      return found;
    },

    async tasks({ state, instances: only }) {
      const flag = FLAGS[state];
      const reader = new RecordReader();
      const rows: { key: string; task: TaskState }[] = [];
      for (const [index, { shard, key }] of (only ?? []).entries()) {
        if (index > 0 && index % INSTANCES_SLICE === 0) await nextTurn();
        const own = db.read(() =>
          flag === 0 ? ofInstance.all(shard, key) : liveOfInstance.all(shard, key, flag),
        );
        for (const row of own) rows.push(...found(reader, row));
      }
      if (only !== undefined) {
        passedOver.set("tasks of instances", reader.unreadable);
        return rows;
      }
      const read = (last: TaskRow | null): TaskRow[] => {
        const after = [last?.shard ?? -1, last?.instance ?? "", last?.id ?? ""] as const;
        return db.read(() => (flag === 0 ? tasks.all(...after) : live.all(flag, ...after)));
      };
      for await (const row of slices(read)) rows.push(...found(reader, row));
      passedOver.set(`tasks ${state}`, reader.unreadable);
      return rows;
    },

    async task(taskId) {
      const reader = new RecordReader();
      const rows: { key: string; task: TaskState }[] = [];
      for await (const { shard, key } of slices((last: { shard: number; key: string } | null) =>
        db.read(() => keys.all(last?.shard ?? -1, last?.key ?? "")),
      )) {
        const row = task.get(shard, key, taskId);
        if (row !== undefined) rows.push(...found(reader, row));
      }
      passedOver.set("task", reader.unreadable);
      return rows;
    },

    events: eventReader(db, places),
    newestEvents: newestReader(db, places),

    async names() {
      const reader = new RecordReader();
      const known = db
        .read(() => names.all())
        .flatMap((row) => {
          const key = nameRecordKey(row.project_id, row.name);
          const name = reader.read(row.shard, "name", key, () => nameOf(row));
          return name === undefined ? [] : [{ ...name, shard: row.shard }];
        });
      passedOver.set("names", reader.unreadable);
      return known;
    },

    async unreadable() {
      return passedOver.with(aside.all());
    },
  };
}

/** The task of a row, or nothing. */
function found(reader: RecordReader, { shard, instance, id, state }: TaskRow) {
  const task = reader.read(shard, "task", taskRecordKey(instance, id), () => decodeTask(id, state));
  return task === undefined ? [] : [{ key: instance, task }];
}

/** All rows in the order of their key, read slice by slice with a turn of the event loop in between. */
async function* slices<Row>(read: (last: Row | null) => readonly Row[]): AsyncGenerator<Row, void, void> {
  let last: Row | null = null;
  for (;;) {
    const rows: readonly Row[] = read(last);
    yield* rows;
    if (rows.length < SLICE) return;
    last = rows.at(-1) ?? null;
    await nextTurn();
  }
}

/** Where an event stands in the log, as a cursor says it: which log, and the number of the event. */
function placesIn(db: Database) {
  const own = db.prepare<{ id: string }>("SELECT id FROM origin");
  const last = db.prepare<{ seq: number }>("SELECT seq FROM sqlite_sequence WHERE name = 'event'");
  const origin = db.read(() => own.get()?.id ?? "");
  /** Of the last event that ever was: it counts on when that one was pruned. */
  const end = (): number => last.get()?.seq ?? 0;
  return {
    cursor: (seq: number): string => `${origin}.${seq}`,
    end,
    /**
     * A cursor that this log did not give, or that is past its end, as when the file is an older copy, begins at the
     * oldest: the caller gets too much, never too little.
     */
    after(cursor: string | undefined): number {
      const [of, text] = (cursor ?? "").split(".");
      const seq = Number(text);
      return of === origin && Number.isSafeInteger(seq) && seq > 0 && seq <= end() ? seq : 0;
    },
  };
}

function eventReader(db: Database, places: ReturnType<typeof placesIn>): Reader["events"] {
  const columns = "seq, id, type, time";
  const ofTask = db.prepare<StoredEvent & { seq: number }>(
    `SELECT ${columns}, body FROM event WHERE task_id = ? AND seq > ? ORDER BY seq LIMIT ?`,
  );
  const any = db.prepare<{ seq: number; type: EventType }>(
    "SELECT seq, type FROM event WHERE seq > ? ORDER BY seq LIMIT ?",
  );
  const one = db.prepare<StoredEvent>("SELECT id, type, time, body FROM event WHERE seq = ?");

  return async ({ after, limit, types, taskId }: EventQuery) => {
    const wanted = types === undefined ? null : new Set<string>(types);
    const events: EventPage["events"][number][] = [];
    let seq = places.after(after);
    while (events.length < limit) {
      const rows = db.read(() =>
        taskId === undefined ? any.all(seq, SLICE) : ofTask.all(taskId, seq, SLICE),
      );
      for (const row of rows) {
        if (events.length === limit) break;
        seq = row.seq;
        if (wanted !== null && !wanted.has(row.type)) continue;
        const event = one.get(row.seq);
        if (event !== undefined) events.push({ ...event, cursor: places.cursor(seq) });
      }
      if (rows.length < SLICE) break;
      await nextTurn();
    }
    return { events, cursor: places.cursor(seq) };
  };
}

function newestReader(db: Database, places: ReturnType<typeof placesIn>): Reader["newestEvents"] {
  const newest = db.prepare<StoredEvent & { seq: number }>(
    "SELECT seq, id, type, time, body FROM event ORDER BY seq DESC LIMIT ?",
  );
  return async (limit) =>
    db.read(() => {
      const rows = newest.all(limit).reverse();
      const events = rows.map(({ seq, ...event }) => ({ ...event, cursor: places.cursor(seq) }));
      return { events, cursor: places.cursor(places.end()) };
    });
}
