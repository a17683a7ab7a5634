import {
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { StoreError } from "../../src/errors.ts";
import { systemClock } from "../../src/platform/clock.ts";
import type { Store } from "../../src/ports/store.ts";
import { openStore } from "../../src/store/open.ts";
import { Database } from "../../src/store/sqlite/database.ts";
import { openSqlite } from "../../src/store/sqlite/store.ts";
import { batch, claimIds, event, eventIds, leaseOf, put, record, SHARDS, task } from "./contract/back-end.ts";
import { canMount, useScratch } from "./scratch.ts";
import { useProcesses } from "./store-process.ts";

const scratch = useScratch();
const start = useProcesses();

const open = (path: string, exclusive = true, shards = SHARDS) =>
  openSqlite(path, { shards, exclusive, clock: systemClock });

/** What opening was refused with; the message must say where. */
async function refusal(path: string, exclusive = true, shards = SHARDS): Promise<StoreError> {
  try {
    const store = await open(path, exclusive, shards);
    await store.close();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    expect(error.message).toContain("the store ");
    return error;
  }
  throw new Error(`${path} was opened`);
}

const edit = (path: string, sql: string) => {
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
};

async function closing<T>(store: Store, work: (store: Store) => Promise<T>): Promise<T> {
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

test("a file is made where it is missing, with its directory, and is there the next time", async () => {
  const path = join(scratch.folder(), "a", "b", "taskwatch.db");
  const settings = { url: `sqlite:${path}`, keyPrefix: "taskwatch", shards: 2 };
  const first = await openStore(settings, { exclusive: true, clock: systemClock });
  await closing(first, async (store) => store.state.commit(null, batch()));
  const second = await openStore(settings, { exclusive: true, clock: systemClock });
  await closing(second, async (store) => {
    expect((await store.state.load(1)).instances).toHaveLength(1);
  });
});

test("a store in memory begins empty each time and leaves no file", async () => {
  for (let round = 0; round < 2; round++) {
    const settings = { url: "sqlite::memory:", keyPrefix: "taskwatch", shards: 2 };
    const store = await openStore(settings, { exclusive: true, clock: systemClock });
    await closing(store, async () => {
      expect(await store.state.commit(await leaseOf(store), batch())).toEqual({ kind: "ok", generation: 1 });
    });
  }
  expect(existsSync(":memory:")).toBe(false);
});

test("an address of an unknown kind is refused without being shown", async () => {
  const settings = { url: "etcd://user:secret@host", keyPrefix: "t", shards: 2 };
  const opening = openStore(settings, { exclusive: true, clock: systemClock });
  await expect(opening).rejects.toThrow(/^store\.url: (?!.*secret)/);
});

test("the schema is the one that was reviewed", async () => {
  const path = join(scratch.folder(), "taskwatch.db");
  await (await open(path)).close();
  const db = new DatabaseSync(path);
  const parts = db
    .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name")
    .all();
  const version = db.prepare("PRAGMA user_version").get()?.user_version;
  db.close();
  const schema = `-- version ${version}\n\n${parts.map(({ sql }) => `${sql};\n`).join("\n")}`;
  await expect(schema).toMatchFileSnapshot("sqlite-schema.sql");
});

test("a file of the first schema is brought up to date, with all that is in it", async () => {
  const path = join(scratch.folder(), "taskwatch.db");
  const first = new URL("../../src/store/sqlite/migrations/0001.sql", import.meta.url);
  edit(
    path,
    `${readFileSync(first, "utf8")}; PRAGMA application_id = ${0x646d7354}; PRAGMA user_version = 1`,
  );
  edit(
    path,
    `INSERT INTO shard VALUES (0, NULL, 0, 0), (1, NULL, 0, 0), (2, NULL, 0, 0), (3, NULL, 0, 0);
     INSERT INTO event VALUES (7, 1, 'p1/i1', 't1', 'evt_1', 'task.failed', 1000, 1, '{}');
     INSERT INTO delivery VALUES (1, 'ops', 'lane-1', 7, 0, 0, 1000, NULL);`,
  );
  await closing(await open(path), async (store) => {
    expect(await eventIds(store)).toEqual(["evt_1"]);
    expect(await claimIds(store, await leaseOf(store))).toEqual(["evt_1"]);
  });
  await closing(await open(path), async (store) => {
    const { cursor } = await store.reader.newestEvents(0);
    expect((await store.reader.events({ limit: 1, after: cursor })).events).toEqual([]);
  });
});

test("a note that version 1 removed leaves only its version", async () => {
  const path = join(scratch.folder(), "taskwatch.db");
  await (await open(path)).close();
  edit(
    path,
    `DROP TABLE note_floor; DROP TABLE set_aside; PRAGMA user_version = 4;
     INSERT INTO note VALUES ('credentials/old', NULL, 7), ('webhook/ops', 'x', 3);`,
  );
  await closing(await open(path), async ({ notes }) => {
    expect(await notes.list("")).toEqual([{ name: "webhook/ops", value: "x" }]);
    expect(await notes.write("credentials/old", "anew", 0)).toBe(true);
    expect(await notes.read("credentials/old")).toEqual({ value: "anew", version: 8 });
  });
});

test("a file that a newer version wrote is refused, and not touched", async () => {
  const path = join(scratch.folder(), "taskwatch.db");
  await (await open(path)).close();
  edit(path, "PRAGMA user_version = 999");
  const before = readFileSync(path);
  for (const exclusive of [true, false]) {
    const error = await refusal(path, exclusive);
    expect(error.code).toBe("newer");
    expect(error.message).toMatch(/999.*install that version/);
  }
  expect(readFileSync(path)).toEqual(before);
});

test("another number of shards than the file has is refused, with both numbers", async () => {
  const path = join(scratch.folder(), "taskwatch.db");
  await (await open(path, true, 16)).close();
  const error = await refusal(path, true, 8);
  expect(error.code).toBe("mismatch");
  expect(error.message).toMatch(/has 16 shards.*says 8/);
  await (await open(path, true, 16)).close();
});

test("a database of another program is refused, and not touched", async () => {
  const path = join(scratch.folder(), "other.db");
  edit(path, "CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)");
  const before = readFileSync(path);
  expect((await refusal(path)).code).toBe("mismatch");
  expect(readFileSync(path)).toEqual(before);
});

test("a directory as path, or a file as directory, is refused with a sentence", async () => {
  const folder = scratch.folder();
  expect(await refusal(folder)).toMatchObject({
    code: "mismatch",
    message: expect.stringContaining("is not a file"),
  });
  writeFileSync(join(folder, "file"), "");
  expect((await refusal(join(folder, "file", "taskwatch.db"))).code).toBe("mismatch");
  expect((await refusal(join(folder, "file", "deeper", "taskwatch.db"))).code).toBe("mismatch");
});

test.runIf(process.platform === "linux")(
  "a file system that takes no directories is refused at once",
  async () => {
    expect((await refusal("/proc/no/such/place/taskwatch.db")).message).toMatch(/^the store \/proc\/no/);
  },
);

test("a file that is no database is refused as damaged, and not touched", async () => {
  const path = join(scratch.folder(), "taskwatch.db");
  const garbage = Buffer.alloc(20_000, "garbage ");
  writeFileSync(path, garbage);
  for (const exclusive of [true, false]) {
    const error = await refusal(path, exclusive);
    expect(error.code).toBe("corrupt");
    expect(error.message).toMatch(/restore it from a backup, or move it away/);
  }
  expect(readFileSync(path)).toEqual(garbage);
});

test("a file that was cut or overwritten in its middle gives an error, never wrong state", async () => {
  const path = join(scratch.folder(), "taskwatch.db");
  await closing(await open(path), async (store) => {
    for (let index = 0; index < 200; index++) {
      const key = `p1/i${index}`;
      await store.state.commit(
        null,
        batch({ key, record: record({ instanceId: key }), upserts: [task("t")] }),
      );
    }
  });
  const whole = readFileSync(path);
  const harm: (() => void)[] = [
    () => truncateSync(path, whole.length - 8 * 4096),
    () =>
      writeFileSync(path, Buffer.concat([whole.subarray(0, 8192), Buffer.alloc(whole.length - 8192, 0xa5)])),
  ];
  for (const damage of harm) {
    writeFileSync(path, whole);
    damage();
    const reading = open(path).then((store) =>
      closing(store, async () => {
        await store.state.load(1);
        await store.reader.tasks({ state: "all" });
      }),
    );
    await expect(reading).rejects.toMatchObject({ name: "StoreError", code: "corrupt" });
  }
});

test("a file in a place that cannot be written is refused with a sentence", async () => {
  const folder = scratch.folder();
  const path = join(folder, "taskwatch.db");
  await (await open(path)).close();
  const empty = join(folder, "empty");
  mkdirSync(empty);
  scratch.freeze(empty);
  scratch.freeze(folder);
  for (const exclusive of [true, false]) {
    for (const place of [path, join(folder, "new.db"), join(folder, "deeper", "new.db")]) {
      const error = await refusal(place, exclusive);
      expect([place, error.code]).toEqual([place, "read_only"]);
      expect(error.message).toMatch(/writable for this user/);
    }
  }
});

test.runIf(canMount)(
  "a full disk fails the commit whole, and what was there stays; with space again it goes on",
  async () => {
    const folder = scratch.disk(1024);
    const path = join(folder, "taskwatch.db");
    await closing(await open(path), async (store) => {
      const lease = await leaseOf(store);
      const acknowledged: string[] = [];
      const write = async (id: string) => {
        const written = batch({
          key: `p1/${id}`,
          record: record({ instanceId: id }),
          upserts: [task(id, { status: "EXECUTING" })],
          events: [event(id, { body: "y".repeat(20_000), lane: id })],
        });
        await store.state.commit(lease, written);
        acknowledged.push(id);
      };
      let failure: unknown;
      for (let index = 0; index < 200 && failure === undefined; index++) {
        await write(`evt_${index}`).catch((error: unknown) => {
          failure = error;
        });
      }
      expect(failure).toMatchObject({ name: "StoreError", code: "full" });
      expect(acknowledged.length).toBeGreaterThan(3);
      const check = async (reader: Store) => {
        expect(await eventIds(reader)).toEqual(acknowledged);
        const { instances, generation } = await reader.state.load(1);
        expect(instances.map((one) => one.record.instanceId).sort()).toEqual([...acknowledged].sort());
        expect(generation).toBe(acknowledged.length);
        expect(await reader.outbox.counts(1)).toMatchObject([{ pending: acknowledged.length }]);
      };
      await check(store);
      const together = await Promise.allSettled(["a", "b", "c"].map((id) => write(`evt_${id}`)));
      expect(together.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
      await check(store);
      const command = await open(path, false);
      await closing(command, check);
      // The disk gets room: the operator's part.
      const { execFileSync } = await import("node:child_process");
      execFileSync("mount", ["-o", "remount,size=8m", folder]);
      await write("evt_again");
      await check(store);
    });
  },
);

test.runIf(canMount)(
  "a disk that is full from the start is told, and nothing stands in the way later",
  async () => {
    const folder = scratch.disk(256);
    writeFileSync(join(folder, "filler"), Buffer.alloc(255 * 1024));
    const path = join(folder, "taskwatch.db");
    expect((await refusal(path)).code).toBe("full");
    rmSync(join(folder, "filler"));
    await (await open(path)).close();
  },
);

test("a database that may not grow fails all writes of the turn and keeps none of them", async () => {
  const db = new Database(join(scratch.folder(), "small.db"), systemClock);
  db.configure();
  db.exec("CREATE TABLE t (a TEXT)");
  db.exec("PRAGMA max_page_count = 8");
  const insert = db.prepare("INSERT INTO t VALUES (?)");
  const count = db.prepare<{ n: number }>("SELECT count(*) AS n FROM t");
  const results = await Promise.allSettled([
    db.write(() => insert.run("small")),
    db.write(() => insert.run("y".repeat(100_000))),
    db.write(() => insert.run("small too")),
  ]);
  for (const result of results) {
    expect(result).toMatchObject({ status: "rejected", reason: { name: "StoreError", code: "full" } });
  }
  expect(count.get()).toEqual({ n: 0 });
  await db.write(() => insert.run("small"));
  expect(count.get()).toEqual({ n: 1 });
  db.close();
});

test("after a transaction that took long, what comes within as long a pause shares the next one", async () => {
  let time = 0;
  const pauses: { readonly ms: number; readonly end: () => void }[] = [];
  const clock = {
    ...systemClock,
    monotonic: () => time,
    after: (ms: number, end: () => void) => {
      pauses.push({ ms, end });
      return () => {};
    },
  };
  const db = new Database(":memory:", clock);
  const done: string[] = [];
  const write = async (name: string, took = 0) => {
    await db.write(() => {
      time += took;
    });
    done.push(name);
  };
  await Promise.all([write("first", 20), write("beside it", 5)]);
  expect(pauses).toEqual([]);
  const later = [write("second"), write("third")];
  expect(pauses.map(({ ms }) => ms)).toEqual([25]);
  await new Promise(setImmediate);
  expect(done).toEqual(["first", "beside it"]);
  time += 25;
  pauses[0]?.end();
  await Promise.all(later);
  expect(done).toEqual(["first", "beside it", "second", "third"]);
  // It took no time, so the next one need not wait.
  await write("fourth");
  expect(pauses.length).toBe(1);
  db.close();
});

test("a write that is wrong in itself fails alone", async () => {
  const db = new Database(":memory:", systemClock);
  db.exec("CREATE TABLE t (a INTEGER NOT NULL) STRICT");
  const insert = db.prepare("INSERT INTO t VALUES (?)");
  const results = await Promise.allSettled([
    db.write(() => insert.run(1)),
    db.write(() => {
      insert.run(2);
      insert.run(Number.NaN);
    }),
    db.write(() => insert.run(3)),
  ]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(
    db
      .prepare<{ a: number }>("SELECT a FROM t")
      .all()
      .map(({ a }) => a),
  ).toEqual([1, 3]);
  db.close();
});

test("closing writes what was committed in the same turn", async () => {
  const path = join(scratch.folder(), "taskwatch.db");
  const store = await open(path);
  const committing = store.state.commit(null, batch());
  await store.close();
  expect(await committing).toEqual({ kind: "ok", generation: 1 });
  await closing(await open(path), async (again) => {
    expect((await again.state.load(1)).generation).toBe(1);
  });
});

test("a second daemon on a file is refused, by whatever name it calls it; commands work beside the first", async () => {
  const folder = scratch.folder();
  const path = join(folder, "taskwatch.db");
  const link = join(folder, "link.db");
  const daemon = start(path, { kind: "hold" });
  expect(await daemon.line(1)).toBe("open");
  symlinkSync(path, link);
  for (const name of [path, link, join(folder, ".", "..", folder.split("/").at(-1) ?? "", "taskwatch.db")]) {
    const error = await refusal(name);
    expect(error.code).toBe("locked");
    expect(error.message).toMatch(/another daemon .*: stop that one/);
  }
  expect(await start(path, { kind: "hold" }).line(1)).toBe("locked");
  await closing(await open(path, false), async (command) => {
    expect(await command.state.commit(null, batch())).toEqual({ kind: "ok", generation: 1 });
    expect(await command.leases.acquire(1, "command", 1000)).toBeNull();
  });
});

test("the lock is free as soon as the daemon was killed, and in the same process when it was closed", async () => {
  const path = join(scratch.folder(), "taskwatch.db");
  const daemon = start(path, { kind: "hold" });
  await daemon.line(1);
  expect((await refusal(path)).code).toBe("locked");
  await daemon.kill();
  const store = await open(path);
  expect((await refusal(path)).code).toBe("locked");
  expect(await start(path, { kind: "hold" }).line(1)).toBe("locked");
  await store.close();
  expect(await start(path, { kind: "hold" }).line(1)).toBe("open");
});

test("a refused opening leaves no lock behind", async () => {
  const path = join(scratch.folder(), "taskwatch.db");
  await (await open(path)).close();
  expect((await refusal(path, true, SHARDS + 1)).code).toBe("mismatch");
  await (await open(path)).close();
});

test("a command does not change the schema under a running daemon", async () => {
  const path = join(scratch.folder(), "taskwatch.db");
  const daemon = await open(path);
  const version = "PRAGMA user_version";
  edit(path, `${version} = 0`);
  expect((await refusal(path, false)).code).toBe("locked");
  await daemon.close();
});

test("every commit that was acknowledged before a SIGKILL is there, with its task, its event and its delivery", async () => {
  const path = join(scratch.folder(), "taskwatch.db");
  const acknowledged = new Set<number>();
  for (let round = 0; round < 10; round++) {
    const from = round * 1_000_000;
    const daemon = start(path, { kind: "write", from });
    // Where in its work the process is hit differs by itself; the number of lines only moves it on.
    await daemon.line(2 + ((round * 37) % 90));
    await daemon.kill();
    for (const line of daemon.lines.slice(1)) acknowledged.add(Number(line));
    expect(acknowledged).not.toContain(Number.NaN);

    await closing(await open(path), async (store) => {
      const { instances, generation } = await store.state.load(1);
      const tasks = instances.flatMap(({ tasks: own }) => [...own.keys()].map((id) => Number(id.slice(1))));
      const kept = new Set(tasks);
      expect([...acknowledged].filter((number) => !kept.has(number))).toEqual([]);
      const events = (await eventIds(store)).map((id) => Number(id.slice(4)));
      expect(new Set(events)).toEqual(kept);
      expect(generation).toBe(events.length);
      expect(await store.outbox.counts(1)).toMatchObject([{ pending: events.length }]);
      const heads = await claimIds(store, await leaseOf(store));
      expect(heads).toHaveLength(5);
    });
  }
  expect(acknowledged.size).toBeGreaterThan(100);
});

test("the command's events reach the daemon that runs beside it", async () => {
  const path = join(scratch.folder(), "taskwatch.db");
  await closing(await open(path), async (daemon) => {
    const lease = await leaseOf(daemon);
    await closing(await open(path, false), (command) => put(command, null, event("evt_test")));
    expect(await claimIds(daemon, lease)).toEqual(["evt_test"]);
    expect(await daemon.leases.renew([lease], 1000)).toEqual([{ lease, generation: 1 }]);
  });
});
