import type { Notes } from "../../ports/store.ts";
import type { Database } from "./database.ts";

export function sqliteNotes(db: Database): Notes {
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

  return {
    async read(name) {
      const row = find.get(name);
      return row === undefined || row.value === null ? null : { value: row.value, version: row.version };
    },

    write(name, value, expectVersion) {
      return db.write(() => {
        const row = find.get(name);
        const version = row === undefined || row.value === null ? 0 : row.version;
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
  };
}
