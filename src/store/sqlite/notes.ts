import type { SharedDocuments } from "../../ports/store.ts";
import type { Database } from "./database.ts";
import type { Aside } from "./set-aside.ts";

export function sqliteNotes(db: Database, aside: Aside): SharedDocuments {
  const find = db.prepare<{ value: string; version: number }>(
    "SELECT value, version FROM note WHERE name = ?",
  );
  const put = db.prepare(
    `INSERT INTO note (name, value, version) SELECT ?, ?, version + 1 FROM note_floor WHERE true
     ON CONFLICT (name) DO UPDATE SET value = excluded.value, version = version + 1`,
  );
  const drop = db.prepare("DELETE FROM note WHERE name = ?");
  const raiseFloor = db.prepare("UPDATE note_floor SET version = max(version, ?)");
  const list = db.prepare<{ name: string; value: string }>(
    "SELECT name, value FROM note WHERE name >= ? ORDER BY name",
  );

  /** Of what is there now; 0 for nothing. */
  const versionOf = (name: string): number => find.get(name)?.version ?? 0;

  /** A note of this name that comes later gets a greater version. */
  function remove(name: string, version: number): void {
    drop.run(name);
    raiseFloor.run(version);
  }

  return {
    async read(name) {
      const row = find.get(name);
      return row === undefined ? null : { value: row.value, version: row.version };
    },

    write(name, value, expectVersion) {
      return db.write(() => {
        const version = versionOf(name);
        if (version !== expectVersion) return false;
        if (value !== null) put.run(name, value);
        else if (version !== 0) remove(name, version);
        return true;
      });
    },

    async list(prefix) {
      const found: { name: string; value: string }[] = [];
      // Names with a prefix stand together in the order of the key.
      for (const row of list.iterate(prefix)) {
        if (!row.name.startsWith(prefix)) break;
        found.push({ name: row.name, value: row.value });
      }
      return found;
    },

    setAside(name, expectVersion, why) {
      return db.write(() => {
        if (versionOf(name) !== expectVersion) return false;
        aside.note(name, why);
        remove(name, expectVersion);
        return true;
      });
    },
  };
}
