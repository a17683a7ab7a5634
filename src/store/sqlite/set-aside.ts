import { blankRecord, recordAfterLoss } from "../../core/anew.ts";
import type { InstanceRecord } from "../../core/state.ts";
import type { Clock } from "../../ports/clock.ts";
import type { SetAside, Unreadable } from "../../ports/store.ts";
import { encodeRecord, OPEN, salvage } from "../codec.ts";
import { RecordReader, SET_ASIDE_KEPT_MS } from "../unreadable.ts";
import type { Database } from "./database.ts";
import { recordOf } from "./rows.ts";

/** Texts of one shard that cannot be read, with what finds them again. */
export interface Lost {
  readonly instances: readonly Unreadable[];
  readonly tasks: readonly (Unreadable & { readonly instance: string; readonly id: string })[];
  readonly names: readonly (Unreadable & { readonly projectId: string; readonly name: string })[];
}

/** Moves records out of use. `state`, `note` and `prune` run inside a transaction of the caller. */
export class Aside implements SetAside {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #statements: ReturnType<typeof prepare>;

  constructor(db: Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
    this.#statements = prepare(db);
  }

  async list(shards: readonly number[]): Promise<readonly Unreadable[]> {
    const { list } = this.#statements;
    return this.#db.read(() => [...shards].sort((a, b) => a - b).flatMap((shard) => list.all(shard)));
  }

  async drop(copies: Parameters<SetAside["drop"]>[0]): Promise<void> {
    const { drop } = this.#statements;
    await this.#db.write(() => {
      for (const { shard, kind, key } of copies) drop.run(shard, kind, key);
    });
  }

  all(): readonly Unreadable[] {
    return this.#db.read(() => this.#statements.all.all());
  }

  prune(shard: number): void {
    this.#statements.prune.run(shard, this.#clock.now() - SET_ASIDE_KEPT_MS);
  }

  note(name: string, why: string): void {
    this.#statements.note.run(name, why, this.#clock.now(), name);
  }

  /** Sets the records aside and puts what is known of their instances in their place. */
  state(shard: number, { instances, tasks, names }: Lost): void {
    const { copyInstance, copyTask, dropTask, copyName, dropName } = this.#statements;
    const at = this.#clock.now();
    for (const { key, why } of instances) copyInstance.run(why, at, shard, key);
    const open = new Set<string>();
    for (const { key, why, instance, id } of tasks) {
      copyTask.run(key, why, at, shard, instance, id);
      const { flags = 0 } = dropTask.get(shard, instance, id) ?? {};
      if ((flags & OPEN) !== 0) open.add(instance);
    }
    for (const { key, why, projectId, name } of names) {
      copyName.run(key, why, at, shard, projectId, name);
      dropName.run(shard, projectId, name);
    }
    const touched = new Set([...instances.map(({ key }) => key), ...tasks.map(({ instance }) => instance)]);
    for (const key of touched) this.#rewrite(shard, key, open.has(key));
  }

  #rewrite(shard: number, key: string, lostOpenTask: boolean): void {
    const { instance, removals, putRemoval, rewrite } = this.#statements;
    const row = instance.get(shard, key);
    if (row === undefined) return;
    const times = { lastCompleteAt: row.last_complete_at, lastSweepAt: row.last_sweep_at };
    let record: InstanceRecord | undefined = new RecordReader().read(shard, "instance", key, () =>
      recordOf(row),
    );
    if (record === undefined) {
      record = blankRecord(key, salvage(row.record), times, removals.get(shard, key)?.removals ?? 0);
      // In case this record is lost as well: ids must not come twice.
      putRemoval.run(shard, key, record.removals, this.#clock.now());
    } else record = recordAfterLoss(record, lostOpenTask);
    rewrite.run(encodeRecord(record), shard, key);
  }
}

function prepare(db: Database) {
  const copy = "INSERT OR REPLACE INTO set_aside (shard, kind, key, why, at, content)";
  return {
    list: db.prepare<Unreadable>(
      "SELECT shard, kind, key, why, at FROM set_aside WHERE shard = ? ORDER BY kind, key",
    ),
    all: db.prepare<Unreadable>("SELECT shard, kind, key, why, at FROM set_aside ORDER BY shard, kind, key"),
    drop: db.prepare("DELETE FROM set_aside WHERE shard = ? AND kind = ? AND key = ?"),
    prune: db.prepare("DELETE FROM set_aside WHERE shard = ? AND at < ?"),
    copyInstance: db.prepare(
      `${copy} SELECT shard, 'instance', key, ?, ?, record FROM instance WHERE shard = ? AND key = ?`,
    ),
    copyTask: db.prepare(
      `${copy} SELECT shard, 'task', ?, ?, ?, state FROM task WHERE shard = ? AND instance = ? AND id = ?`,
    ),
    dropTask: db.prepare<{ flags: number }>(
      "DELETE FROM task WHERE shard = ? AND instance = ? AND id = ? RETURNING flags",
    ),
    copyName: db.prepare(
      `${copy} SELECT shard, 'name', ?, ?, ?, sketch FROM name WHERE shard = ? AND project_id = ? AND name = ?`,
    ),
    dropName: db.prepare("DELETE FROM name WHERE shard = ? AND project_id = ? AND name = ?"),
    note: db.prepare(`${copy} SELECT 0, 'note', ?, ?, ?, value FROM note WHERE name = ?`),
    instance: db.prepare<{ record: string; last_complete_at: number | null; last_sweep_at: number | null }>(
      "SELECT record, last_complete_at, last_sweep_at FROM instance WHERE shard = ? AND key = ?",
    ),
    removals: db.prepare<{ removals: number }>("SELECT removals FROM removal WHERE shard = ? AND key = ?"),
    putRemoval: db.prepare(
      `INSERT INTO removal (shard, key, removals, at) VALUES (?, ?, ?, ?)
       ON CONFLICT (shard, key) DO UPDATE SET removals = excluded.removals, at = excluded.at`,
    ),
    rewrite: db.prepare(
      "UPDATE instance SET record = ?, last_sweep_at = NULL, revision = revision + 1 WHERE shard = ? AND key = ?",
    ),
  };
}
