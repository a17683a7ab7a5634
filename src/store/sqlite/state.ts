import type { InstanceRecord, InstanceState, NameKnowledge, TaskState } from "../../core/state.ts";
import { StoreError } from "../../errors.ts";
import type { Batch, Lease, ShardState, StateStore } from "../../ports/store.ts";
import { decodeTask, encodeRecord, encodeTask, taskFlags } from "../codec.ts";
import { nameRecordKey, RecordReader, taskRecordKey } from "../unreadable.ts";
import type { Database, Statement } from "./database.ts";
import type { EventWriter } from "./events.ts";
import type { ShardRows } from "./leases.ts";
import { type InstanceRow, type NameRow, nameOf, recordOf, type TaskRow } from "./rows.ts";
import type { Aside, Lost } from "./set-aside.ts";

export function sqliteState(db: Database, rows: ShardRows, events: EventWriter, aside: Aside): StateStore {
  const instances = db.prepare<InstanceRow>(
    "SELECT key, revision, last_complete_at, last_sweep_at, record FROM instance WHERE shard = ?",
  );
  const instance = db.prepare<InstanceRow>(
    "SELECT key, revision, last_complete_at, last_sweep_at, record FROM instance WHERE shard = ? AND key = ?",
  );
  const revision = db.prepare<{ revision: number }>(
    "SELECT revision FROM instance WHERE shard = ? AND key = ?",
  );
  const liveTasks = db.prepare<TaskRow>("SELECT instance, id, state FROM task WHERE shard = ? AND flags > 0");
  const tasks = db.prepare<TaskRow>("SELECT instance, id, state FROM task WHERE shard = ? AND instance = ?");
  const names = db.prepare<NameRow>("SELECT project_id, name, executed, sketch FROM name WHERE shard = ?");
  const removals = db.prepare<{ key: string; removals: number }>(
    "SELECT key, removals FROM removal WHERE shard = ?",
  );
  const touch = db.prepare(
    "UPDATE instance SET last_complete_at = ?, last_sweep_at = ? WHERE shard = ? AND key = ?",
  );
  const write = batchWriter(db);

  function readShard(shard: number): Read<ShardState> {
    const generation = rows.generation(shard);
    if (generation === null) throw unknownShard(db, shard);
    const reading = new Reading(shard);
    const live = reading.tasksBy(liveTasks.iterate(shard));
    const loaded: InstanceState[] = [];
    for (const row of instances.iterate(shard)) {
      const record = reading.record(row);
      if (record !== undefined)
        loaded.push({ record, revision: row.revision, tasks: live.get(row.key) ?? new Map() });
    }
    const state = {
      generation,
      instances: loaded,
      names: names.all(shard).flatMap((row) => reading.name(row) ?? []),
      removals: new Map(removals.all(shard).map((row) => [row.key, row.removals])),
    };
    return { state, lost: reading.lost };
  }

  function readInstance(shard: number, key: string): Read<InstanceState | null> {
    const reading = new Reading(shard);
    const row = instance.get(shard, key);
    if (row === undefined) return { state: null, lost: reading.lost };
    const record = reading.record(row);
    const own = reading.tasksBy(tasks.iterate(shard, key)).get(key) ?? new Map();
    const state = record === undefined ? null : { record, revision: row.revision, tasks: own };
    return { state, lost: reading.lost };
  }

  /** Reads once more after what could not be read was set aside. */
  async function reading<T>(shard: number, lease: Lease | undefined, read: () => Read<T>): Promise<Read<T>> {
    const first = db.read(read);
    if (lease === undefined || isNothing(first.lost)) return first;
    await db.write(() => {
      // As it is now: a write may have come in between.
      if (lease.shard === shard && rows.holds(lease)) aside.state(shard, read().lost);
    });
    return db.read(read);
  }

  return {
    async load(shard, lease) {
      return (await reading(shard, lease, () => readShard(shard))).state;
    },

    async loadInstance(shard, key, lease) {
      const { state, lost } = await reading(shard, lease, () => readInstance(shard, key));
      const [unreadable] = lost.instances;
      if (unreadable === undefined) return state;
      throw new StoreError("unreadable", `the record of instance ${key} cannot be read: ${unreadable.why}`);
    },

    async commit(lease, batch) {
      const encoded = encodeBatch(batch);
      const { shard, key } = batch;
      return db.write(() => {
        if (lease !== null && lease.shard !== shard) return { kind: "fenced" };
        const known = revision.get(shard, key)?.revision ?? 0;
        // What is refused changes nothing, and so it must not count as a commit either.
        if (known !== batch.expectRevision) {
          return { kind: lease === null || rows.holds(lease) ? "stale" : "fenced" };
        }
        const generation = lease === null ? rows.advance(shard) : rows.advanceHeld(lease);
        if (generation === null) {
          if (lease === null) throw unknownShard(db, shard);
          return { kind: "fenced" };
        }
        write(batch, encoded);
        events.put(shard, key, batch.events);
        return { kind: "ok", generation };
      });
    },

    touch(lease, times) {
      return db.write(() => {
        if (!rows.holds(lease)) return "fenced";
        for (const { key, lastCompleteAt, lastSweepAt } of times) {
          touch.run(lastCompleteAt, lastSweepAt, lease.shard, key);
        }
        return "ok";
      });
    },
  };
}

/** JSON of a batch, made before its turn in the transaction. */
interface EncodedBatch {
  readonly record: string | null;
  readonly tasks: readonly string[];
}

const encodeBatch = (batch: Batch): EncodedBatch => ({
  record: batch.record === null ? null : encodeRecord(batch.record),
  tasks: batch.record === null ? [] : batch.upserts.map(encodeTask),
});

function batchWriter(db: Database): (batch: Batch, encoded: EncodedBatch) => void {
  const putInstance = db.prepare(
    `INSERT INTO instance (shard, key, revision, last_complete_at, last_sweep_at, record) VALUES (?, ?, 1, ?, ?, ?)
     ON CONFLICT (shard, key) DO UPDATE SET revision = revision + 1, last_complete_at = excluded.last_complete_at,
       last_sweep_at = excluded.last_sweep_at, record = excluded.record`,
  );
  const putTask = db.prepare(
    `INSERT INTO task (shard, instance, id, flags, state) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (shard, instance, id) DO UPDATE SET flags = excluded.flags, state = excluded.state`,
  );
  const removeTask = db.prepare("DELETE FROM task WHERE shard = ? AND instance = ? AND id = ?");
  const removeInstance = db.prepare("DELETE FROM instance WHERE shard = ? AND key = ?");
  const removeTasks = db.prepare("DELETE FROM task WHERE shard = ? AND instance = ?");
  const putRemoval = db.prepare(
    `INSERT INTO removal (shard, key, removals, at) VALUES (?, ?, ?, ?)
     ON CONFLICT (shard, key) DO UPDATE SET removals = excluded.removals, at = excluded.at`,
  );
  const putName: Statement<never> = db.prepare(
    `INSERT INTO name (shard, project_id, name, executed, sketch) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (shard, project_id, name) DO UPDATE SET executed = excluded.executed, sketch = excluded.sketch`,
  );

  return ({ shard, key, record, removal, upserts, removals, names }, encoded) => {
    if (record === null || encoded.record === null) {
      removeInstance.run(shard, key);
      removeTasks.run(shard, key);
      if (removal !== undefined) putRemoval.run(shard, key, removal.removals, Math.floor(removal.at));
    } else {
      putInstance.run(shard, key, record.lastCompleteAt, record.lastSweepAt, encoded.record);
      for (const [index, task] of upserts.entries()) {
        putTask.run(shard, key, task.id, taskFlags(task), encoded.tasks[index] ?? "");
      }
      for (const id of removals) removeTask.run(shard, key, id);
    }
    for (const { projectId, name, executed, sketch } of names) {
      putName.run(shard, projectId, name, executed ? 1 : 0, sketch);
    }
  };
}

interface Read<T> {
  readonly state: T;
  readonly lost: Lost;
}

const isNothing = ({ instances, tasks, names }: Lost): boolean =>
  instances.length + tasks.length + names.length === 0;

/** Reads rows of one shard, each by itself. */
class Reading {
  readonly lost = {
    instances: [] as Lost["instances"][number][],
    tasks: [] as Lost["tasks"][number][],
    names: [] as Lost["names"][number][],
  };
  readonly #shard: number;

  constructor(shard: number) {
    this.#shard = shard;
  }

  record(row: InstanceRow): InstanceRecord | undefined {
    const reader = new RecordReader();
    const record = reader.read(this.#shard, "instance", row.key, () => recordOf(row));
    this.lost.instances.push(...reader.unreadable);
    return record;
  }

  /** By their instances. */
  tasksBy(rows: Iterable<TaskRow>): Map<string, Map<string, TaskState>> {
    const reader = new RecordReader();
    const found = new Map<string, Map<string, TaskState>>();
    for (const { instance, id, state } of rows) {
      const key = taskRecordKey(instance, id);
      const task = reader.read(this.#shard, "task", key, () => decodeTask(id, state));
      for (const each of reader.unreadable.splice(0)) this.lost.tasks.push({ ...each, instance, id });
      if (task === undefined) continue;
      const own = found.get(instance) ?? new Map<string, TaskState>();
      found.set(instance, own.set(id, task));
    }
    return found;
  }

  name(row: NameRow): NameKnowledge | undefined {
    const { project_id: projectId, name } = row;
    const reader = new RecordReader();
    const known = reader.read(this.#shard, "name", nameRecordKey(projectId, name), () => nameOf(row));
    for (const each of reader.unreadable) this.lost.names.push({ ...each, projectId, name });
    return known;
  }
}

const unknownShard = (db: Database, shard: number): StoreError =>
  new StoreError("mismatch", `the store ${db.path} has no shard ${shard}`);
