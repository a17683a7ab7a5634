import { StoreError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Store } from "../../ports/store.ts";
import { processBudget } from "../process-budget.ts";
import { Database } from "./database.ts";
import { sqliteEvents } from "./events.ts";
import { ShardRows, sqliteLeases } from "./leases.ts";
import { placeOf, takeLock, unwritable } from "./lock.ts";
import { latestVersion, migrate, schemaVersion } from "./migrate.ts";
import { sqliteNotes } from "./notes.ts";
import { sqliteOutbox } from "./outbox.ts";
import { sqliteReader } from "./reader.ts";
import { Aside } from "./set-aside.ts";
import { sqliteState } from "./state.ts";

export interface SqliteOptions {
  /** Into how many shards the instances are divided; kept in the file from its first opening on. */
  readonly shards: number;
  /** True for the daemon: it alone may have the file, and gets leases. False for a command beside it. */
  readonly exclusive: boolean;
  readonly clock: Clock;
}

/** SQLite's name for a database in memory that several handles of one process share. */
const SHARED_MEMORY = /^file:\/[^?]+\?vfs=memdb$/;

/**
 * Opens the embedded store: a file, made where it is missing, or `:memory:`. Rejects with StoreError: `locked`,
 * `newer`, `mismatch`, `read_only`, `full`, `corrupt`, `unavailable`.
 */
export async function openSqlite(path: string, options: SqliteOptions): Promise<Store> {
  const isFile = path !== ":memory:" && !SHARED_MEMORY.test(path);
  const place = isFile ? placeOf(path) : path;
  const unlock = options.exclusive && isFile ? takeLock(place) : null;
  let db: Database | undefined;
  try {
    db = openDatabase(place, isFile, options.clock);
    prepareSchema(db, isFile && !options.exclusive);
    prepareShards(db, options.shards);
    return storeOn(db, options, unlock);
  } catch (error) {
    db?.close();
    unlock?.();
    throw error;
  }
}

function openDatabase(path: string, isFile: boolean, clock: Clock): Database {
  try {
    const db = new Database(path, clock);
    schemaVersion(db);
    db.configure();
    return db;
  } catch (error) {
    const isOutOfReach = error instanceof StoreError && error.code === "unavailable";
    throw (isFile && isOutOfReach && unwritable(path)) || error;
  }
}

/** `beside` a daemon that may run, the schema is changed only while there is none. */
function prepareSchema(db: Database, beside: boolean): void {
  const version = schemaVersion(db);
  if (version === latestVersion()) return;
  const unlock = beside ? takeLock(db.path) : null;
  try {
    migrate(db, schemaVersion(db));
  } finally {
    unlock?.();
  }
}

function prepareShards(db: Database, shards: number): void {
  const count = db.prepare<{ shards: number }>("SELECT count(*) AS shards FROM shard");
  const insert = db.prepare("INSERT INTO shard (shard, owner, fence, generation) VALUES (?, NULL, 0, 0)");
  const kept = db.transact(() => {
    const before = count.get()?.shards ?? 0;
    if (before === 0) for (let shard = 0; shard < shards; shard++) insert.run(shard);
    // Costs nothing and tells of a file that can be read only before the first commit does.
    db.exec("UPDATE shard SET fence = fence WHERE shard = 0");
    return before === 0 ? shards : before;
  });
  if (kept === shards) return;
  throw new StoreError(
    "mismatch",
    `the store ${db.path} has ${kept} shards and the configuration says ${shards}: set store.shards to ${kept}, or name another store`,
  );
}

function storeOn(
  db: Database,
  { exclusive, shards, clock }: SqliteOptions,
  unlock: (() => void) | null,
): Store {
  const rows = new ShardRows(db);
  const events = sqliteEvents(db);
  const setAside = new Aside(db, clock);
  const ping = db.prepare("SELECT generation FROM shard LIMIT 1");
  return {
    kind: "sqlite",
    state: sqliteState(db, rows, events, setAside),
    outbox: sqliteOutbox(db, rows, events, setAside),
    leases: sqliteLeases(db, rows, clock, { granting: exclusive, shards }),
    notes: sqliteNotes(db, setAside),
    budget: processBudget(clock),
    reader: sqliteReader(db, setAside),
    setAside,
    async ping() {
      db.read(() => ping.get());
    },
    async close() {
      db.close();
      unlock?.();
    },
  };
}
