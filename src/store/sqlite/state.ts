import type { InstanceState, NameKnowledge, TaskState } from "../../core/state.ts";
import { StoreError } from "../../errors.ts";
import type { Batch, StateStore } from "../../ports/store.ts";
import { decodeRecord, decodeTask, encodeRecord, encodeTask, taskFlags } from "../codec.ts";
import type { Database, Statement } from "./database.ts";
import type { EventWriter } from "./events.ts";
import type { ShardRows } from "./leases.ts";

interface InstanceRow {
  readonly key: string;
  readonly revision: number;
  readonly last_complete_at: number | null;
  readonly last_sweep_at: number | null;
  readonly record: string;
}

interface TaskRow {
  readonly instance: string;
  readonly id: string;
  readonly state: string;
}

interface NameRow {
  readonly project_id: string;
  readonly name: string;
  readonly executed: number;
  readonly sketch: string | null;
}

export function sqliteState(db: Database, rows: ShardRows, events: EventWriter): StateStore {
  const instances = db.prepare<InstanceRow>(
    "SELECT key, revision, last_complete_at, last_sweep_at, record FROM instance WHERE shard = ?",
  );
  const instance = db.prepare<InstanceRow>(
    "SELECT key, revision, last_complete_at, last_sweep_at, record FROM instance WHERE shard = ? AND key = ?",
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

  return {
    async load(shard) {
      return db.read(() => {
        const generation = rows.generation(shard);
        if (generation === null) throw unknownShard(db, shard);
        const live = new Map<string, Map<string, TaskState>>();
        for (const row of liveTasks.iterate(shard)) {
          const own = live.get(row.instance) ?? new Map<string, TaskState>();
          live.set(row.instance, own.set(row.id, decodeTask(row.id, row.state)));
        }
        const loaded: InstanceState[] = [];
        for (const row of instances.iterate(shard)) {
          loaded.push(instanceOf(row, live.get(row.key) ?? new Map()));
        }
        return {
          generation,
          instances: loaded,
          names: names.all(shard).map(nameOf),
          removals: new Map(removals.all(shard).map((row) => [row.key, row.removals])),
        };
      });
    },

    async loadInstance(shard, key) {
      return db.read(() => {
        const row = instance.get(shard, key);
        if (row === undefined) return null;
        return instanceOf(
          row,
          new Map(tasks.all(shard, key).map((task) => [task.id, decodeTask(task.id, task.state)])),
        );
      });
    },

    async commit(lease, batch) {
      const encoded = encodeBatch(batch);
      return db.write(() => {
        if (lease === null) {
          if (rows.generation(batch.shard) === null) throw unknownShard(db, batch.shard);
        } else if (lease.shard !== batch.shard || !rows.holds(lease)) {
          return { kind: "fenced" };
        }
        const known = instance.get(batch.shard, batch.key)?.revision ?? 0;
        if (known !== batch.expectRevision) return { kind: "stale" };
        write(batch, encoded);
        events.put(batch.shard, batch.key, batch.events);
        return { kind: "ok", generation: rows.advance(batch.shard) };
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

const instanceOf = (row: InstanceRow, tasks: ReadonlyMap<string, TaskState>): InstanceState => ({
  record: decodeRecord(row.key, row.record, {
    lastCompleteAt: row.last_complete_at,
    lastSweepAt: row.last_sweep_at,
  }),
  revision: row.revision,
  tasks,
});

export const nameOf = (row: NameRow): NameKnowledge => ({
  projectId: row.project_id,
  name: row.name,
  executed: row.executed !== 0,
  sketch: row.sketch,
});

const unknownShard = (db: Database, shard: number): StoreError =>
  new StoreError("mismatch", `the store ${db.path} has no shard ${shard}`);
