import { expect, test } from "vitest";
import { StoredDialect } from "../../src/app/stored-dialect.ts";
import { readDocument } from "../../src/ports/document.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { memoryStore } from "../support/memory-store.ts";

const parse = (text: string): number | null => (/^\d+$/.test(text) ? Number(text) : null);

test("a shared document that cannot be read is set aside with the reason, and counts as not there", async () => {
  const { notes, setAside } = await memoryStore(new ManualClock());
  await notes.write("a", "5", 0);
  await notes.write("b", "damaged", 0);
  await notes.write("c", '{"v":2,"n":5}', 0);
  const read = async (name: string) => (await readDocument(notes, name, parse))?.value;
  expect([await read("a"), await read("b"), await read("c"), await read("d")]).toEqual([
    5,
    undefined,
    undefined,
    undefined,
  ]);
  expect((await notes.list("")).map(({ name }) => name)).toEqual(["a"]);
  expect((await setAside.list([0])).map(({ key, why }) => `${key}: ${why}`)).toEqual([
    "b: it is damaged: it is not a document of its kind",
    "c: it has format 2, and this version knows up to 1",
  ]);
});

test("what is learned anew does not replace the copy", async () => {
  const { notes, setAside } = await memoryStore(new ManualClock());
  await notes.write("dialect/prod", '{"v":2,"position":"start","limit":10}', 0);
  const dialect = new StoredDialect(notes, "prod");
  await dialect.load();
  expect(dialect.read()).toBeNull();
  dialect.learned({ position: "offset", limit: 50 });
  await expect.poll(() => notes.read("dialect/prod")).toMatchObject({ value: expect.stringContaining("50") });
  expect(await setAside.list([0])).toMatchObject([{ kind: "note", key: "dialect/prod" }]);
});
