import { expect, test } from "vitest";
import { HOSTILE_TEXTS } from "./back-end.ts";
import type { UseStore } from "./use-store.ts";

export function notesContract(use: UseStore): void {
  test("a note is written only over the version that was read", async () => {
    const { store } = await use();
    expect(await store.notes.read("lock/k1")).toBeNull();
    expect(await store.notes.write("lock/k1", "one", 1)).toBe(false);
    expect(await store.notes.write("lock/k1", "one", 0)).toBe(true);
    expect(await store.notes.write("lock/k1", "two", 0)).toBe(false);
    const read = await store.notes.read("lock/k1");
    expect(read?.value).toBe("one");
    expect(await store.notes.write("lock/k1", "two", read!.version)).toBe(true);
    expect(await store.notes.write("lock/k1", "three", read!.version)).toBe(false);
    expect((await store.notes.read("lock/k1"))?.value).toBe("two");
  });

  test("a note that was removed is not there, and never gets an old version again", async () => {
    const { store } = await use();
    await store.notes.write("n", "one", 0);
    const old = await store.notes.read("n");
    expect(await store.notes.write("n", null, old!.version + 1)).toBe(false);
    expect(await store.notes.write("n", null, old!.version)).toBe(true);
    expect(await store.notes.read("n")).toBeNull();
    expect(await store.notes.list("")).toEqual([]);
    expect(await store.notes.write("n", "late", old!.version)).toBe(false);
    expect(await store.notes.write("n", null, 0)).toBe(true);
    expect(await store.notes.write("n", "anew", 0)).toBe(true);
    expect(await store.notes.write("n", "late", old!.version)).toBe(false);
    expect((await store.notes.read("n"))?.value).toBe("anew");
  });

  test("nothing is kept of notes that were removed, and none gets a version again that another had", async () => {
    const { store, notesKept } = await use();
    const versions = new Set<number>();
    for (let round = 0; round < 20; round++) {
      const name = `credentials/${round % 3}`;
      expect(await store.notes.write(name, "v", 0)).toBe(true);
      const { version } = (await store.notes.read(name))!;
      versions.add(version);
      if (round % 2 === 0) expect(await store.notes.write(name, null, version)).toBe(true);
      else expect(await store.notes.setAside(name, version, "no")).toBe(true);
    }
    expect(versions.size).toBe(20);
    // One for all of them.
    expect(await notesKept()).toBeLessThanOrEqual(1);
  });

  test("of many that write one version at once, over two handles, exactly one wins", async () => {
    const { store, second } = await use();
    const other = await second();
    for (let round = 0; round < 10; round++) {
      const version = (await store.notes.read("race"))?.version ?? 0;
      const handles = [store, other, store, other, store];
      const won = await Promise.all(
        handles.map((handle, index) => handle.notes.write("race", `${round} by ${index}`, version)),
      );
      expect(won.filter(Boolean)).toHaveLength(1);
      expect((await other.notes.read("race"))?.value).toBe(`${round} by ${won.indexOf(true)}`);
    }
  });

  test("increments by compare and set lose nothing", async () => {
    const { store, second } = await use();
    const increment = async (notes: typeof store.notes): Promise<void> => {
      for (;;) {
        const read = await notes.read("count");
        const next = String(Number(read?.value ?? 0) + 1);
        if (await notes.write("count", next, read?.version ?? 0)) return;
      }
    };
    const other = await second();
    await Promise.all(Array.from({ length: 40 }, (_, index) => increment((index % 2 ? store : other).notes)));
    expect((await store.notes.read("count"))?.value).toBe("40");
  });

  test("notes are listed by prefix, taken literally, sorted by name, and survive a restart", async () => {
    const opened = await use();
    const names = ["b/1", "a/2", "a/1", "a%/1", "a_", "a", "A/1", "a/\u{10ffff}"];
    for (const name of names) await opened.store.notes.write(name, `value of ${name}`, 0);
    const store = await opened.reopen();
    const listed = async (prefix: string) => (await store.notes.list(prefix)).map(({ name }) => name);
    expect(await listed("a/")).toEqual(["a/1", "a/2", "a/\u{10ffff}"]);
    expect(await listed("a%")).toEqual(["a%/1"]);
    expect(await listed("a_")).toEqual(["a_"]);
    expect(await listed("c")).toEqual([]);
    expect(await store.notes.list("b")).toEqual([{ name: "b/1", value: "value of b/1" }]);
    expect(await listed("")).toHaveLength(names.length);
  });

  test("names and values of any kind come back as they were", async () => {
    const { store } = await use();
    for (const text of HOSTILE_TEXTS) expect(await store.notes.write(text, text, 0)).toBe(true);
    for (const text of HOSTILE_TEXTS) expect((await store.notes.read(text))?.value).toBe(text);
    expect(await store.notes.write("empty", "", 0)).toBe(true);
    expect((await store.notes.read("empty"))?.value).toBe("");
  });

  test("a budget starts empty, and says when to ask again", async () => {
    const { store } = await use();
    const first = await store.budget.take("p1", 0.001, 5);
    expect(first.granted).toBe(0);
    expect(first.retryIn).toBeGreaterThan(900_000);
    expect(first.retryIn).toBeLessThanOrEqual(1_000_000);
    expect(await store.budget.take("p1", 0.001, 0)).toMatchObject({ granted: 0 });
  });

  test("a budget is never over its rate, however many ask at once, and projects do not share it", async () => {
    const { store } = await use();
    const rate = 200;
    const start = performance.now();
    let granted = 0;
    let other = 0;
    await store.budget.take("p1", rate, 1);
    while (performance.now() - start < 300) {
      const taken = await Promise.all([1, 7, 50].map((want) => store.budget.take("p1", rate, want)));
      for (const [index, want] of [1, 7, 50].entries()) {
        expect(taken[index]!.granted).toBeLessThanOrEqual(want);
        granted += taken[index]!.granted;
      }
      other += (await store.budget.take("p2", 1, 1)).granted;
    }
    const elapsed = (performance.now() - start) / 1000;
    expect(granted).toBeLessThanOrEqual(Math.ceil(rate * elapsed) + 1);
    expect(granted).toBeGreaterThan((rate * elapsed) / 4);
    expect(other).toBeLessThanOrEqual(Math.ceil(elapsed));
  });
}
