import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../../src/platform/clock.ts";
import type { Store } from "../../src/ports/store.ts";
import { openSqlite } from "../../src/store/sqlite/store.ts";
import { type OpenedStore, SHARDS, storeContract } from "./contract.ts";

let databases = 0;

storeContract("sqlite in memory", async () => {
  // A plain `:memory:` belongs to one handle; this one lives as long as any of its handles is open.
  const path = `file:/contract-${databases++}?vfs=memdb`;
  return opened(path, async () => {});
});

storeContract("sqlite on a file", async () => {
  const folder = mkdtempSync(join(tmpdir(), "taskwatch-store-"));
  return opened(join(folder, "taskwatch.db"), async () => rmSync(folder, { recursive: true }));
});

async function opened(path: string, remove: () => Promise<void>): Promise<OpenedStore> {
  const open = (exclusive: boolean) => openSqlite(path, { shards: SHARDS, exclusive, clock: systemClock });
  const store = await open(true);
  const others: Store[] = [await open(false)];
  let current: Store | null = store;
  return {
    store,
    async reopen() {
      await current?.close();
      current = await open(true);
      return current;
    },
    async second() {
      const handle = await open(false);
      others.push(handle);
      return handle;
    },
    async damage({ shard, kind, key, id = "" }, text) {
      using db = new DatabaseSync(path);
      const places = {
        instance: "UPDATE instance SET record = ? WHERE shard = ? AND key = ?",
        task: "UPDATE task SET state = ? WHERE shard = ? AND instance = ? AND id = ?",
        name: "UPDATE name SET sketch = ? WHERE shard = ? AND project_id = ? AND name = ?",
      };
      const where = kind === "instance" ? [shard, key] : [shard, key, id];
      db.prepare(places[kind]).run(text, ...where);
    },
    async notesKept() {
      using db = new DatabaseSync(path);
      return Number(db.prepare("SELECT count(*) AS rows FROM note").get()?.rows);
    },
    async aside(kind, key) {
      using db = new DatabaseSync(path);
      const row = db.prepare("SELECT content FROM set_aside WHERE kind = ? AND key = ?").get(kind, key);
      return row?.content as string | undefined;
    },
    async dispose() {
      if (current === null) return;
      await current.close();
      current = null;
      for (const handle of others) await handle.close();
      await remove();
    },
  };
}
