import { readdirSync, readFileSync } from "node:fs";
import { StoreError } from "../../errors.ts";
import type { Database } from "./database.ts";

/** "dmsT": marks the file as ours, so that no other program's database is ever written to. */
const APPLICATION_ID = 0x646d7354;

const FOLDER = new URL("./migrations/", import.meta.url);

interface Migration {
  readonly version: number;
  readonly sql: string;
}

/** The schema's version in the file: 0 for an empty one. Throws StoreError `newer` or `mismatch`. */
export function schemaVersion(db: Database): number {
  const version = db.pragma("user_version");
  const known = latestVersion();
  const application = db.pragma("application_id");
  const isEmpty = db.prepare("SELECT 1 FROM sqlite_schema").get() === undefined;
  if (application !== APPLICATION_ID && (application !== 0 || !isEmpty)) {
    throw new StoreError(
      "mismatch",
      `the store ${db.path} is a SQLite database of something else: name another file`,
    );
  }
  if (version > known) {
    throw new StoreError(
      "newer",
      `the store ${db.path} was written by a newer version (its schema is ${version}, this version knows up to ${known}): install that version, or name another file`,
    );
  }
  return version;
}

export function latestVersion(): number {
  return migrations().at(-1)?.version ?? 0;
}

/** Brings the file to the newest schema, each step in a transaction of its own. */
export function migrate(db: Database, from: number): void {
  for (const { version, sql } of migrations()) {
    if (version <= from) continue;
    db.transact(() => {
      db.exec(sql);
      db.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
      db.exec(`PRAGMA user_version = ${version}`);
    });
  }
}

function migrations(): readonly Migration[] {
  return readdirSync(FOLDER)
    .filter((file) => /^\d{4}\.sql$/.test(file))
    .sort()
    .map((file) => ({
      version: Number.parseInt(file, 10),
      sql: readFileSync(new URL(file, FOLDER), "utf8"),
    }));
}
