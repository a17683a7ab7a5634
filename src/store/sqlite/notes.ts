import type { Notes } from "../../ports/store.ts";
import type { Database } from "./database.ts";
import type { Aside } from "./set-aside.ts";

export function sqliteNotes(db: Database, aside: Aside): Notes {
  const find = db.prepare<{ value: string | null; version: number }>(
    "SELECT value, version FROM note WHERE name = ?",
  );
  const put = db.prepare(
    `INSERT INTO note (name, value, version) VALUES (?, ?, 1)
     ON CONFLICT (name) DO UPDATE SET value = excluded.value, version = version + 1`,
  );
  const list = db.prepare<{ name: string; value: string }>(
    "SELECT name, value FROM note WHERE name >= ? AND value IS NOT NULL ORDER BY name",
  );

  /** Of what is there now; 0 for nothing. */
  const versionOf = (name: string): number => {
    const row = find.get(name);
    return row === undefined || row.value === null ? 0 : row.version;
  };

  return {
    async read(name) {
      const row = find.get(name);
      return row === undefined || row.value === null ? null : { value: row.value, version: row.version };
    },

    write(name, value, expectVersion) {
      return db.write(() => {
        const version = versionOf(name);
        if (version !== expectVersion) return false;
        if (version !== 0 || value !== null) put.run(name, value);
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
        put.run(name, null);
        return true;
      });
    },
  };
}
