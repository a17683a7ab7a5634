import fc from "fast-check";
import stringWidth from "string-width";
import { describe, expect, test } from "vitest";
import { cut, renderTable } from "../../src/cli/table.ts";
import { jsonText, printable } from "../../src/views/printable.ts";

/** What a terminal would act on. */
const ACTIVE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;
const hostile = fc.string({ unit: "binary", maxLength: 80 });

describe("a table", () => {
  const columns = [
    { title: "NAME" },
    { title: "ID", whole: true },
    { title: "AGE", align: "right" },
  ] as const;

  test("stands in columns, numbers to the right", () => {
    expect(
      renderTable(
        columns,
        [
          ["restart", "8abf", "5s"],
          ["resize", "8abfa7b3", "1h 20m"],
        ],
        null,
      ),
    ).toEqual(["NAME     ID           AGE", "restart  8abf          5s", "resize   8abfa7b3  1h 20m"]);
  });

  test("counts two columns for a wide character or an emoji and none for a combining one", () => {
    const lines = renderTable(
      [{ title: "N" }, { title: "X" }],
      [
        ["重启", "a"],
        ["e\u0301", "b"],
        ["\u2764\ufe0f", "c"],
      ],
      null,
    );
    expect(lines).toEqual(["N     X", "重启  a", "e\u0301     b", "\u2764\ufe0f    c"]);
  });

  test("cuts names before ids, and never wraps", () => {
    const id = "8abfa7b372160bfd0172165864064079";
    const [, line] = renderTable(columns, [["a-name-that-is-much-too-long-for-it", id, "5s"]], 52);
    expect(line).toContain(id);
    expect(line).toContain("…");
    expect(stringWidth(line ?? "")).toBeLessThanOrEqual(52);
  });

  test("a name cannot drive the terminal, whatever it holds", () => {
    fc.assert(
      fc.property(fc.array(hostile, { maxLength: 4 }), fc.integer({ min: 1, max: 120 }), (names, width) => {
        const lines = renderTable(
          columns,
          names.map((name) => [name, name, name]),
          width,
        );
        expect(lines).toHaveLength(names.length + 1);
        for (const line of lines) {
          expect(line).not.toMatch(ACTIVE);
          expect(stringWidth(line)).toBeLessThanOrEqual(width);
        }
      }),
    );
  });

  test("a cut never leaves half a character", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 1, max: 20 }), (text, width) => {
        const shown = cut(text, width);
        expect(shown.isWellFormed()).toBe(text.isWellFormed());
        expect(stringWidth(shown)).toBeLessThanOrEqual(Math.max(1, width));
        if (shown !== text) expect(text.startsWith(shown.slice(0, -1))).toBe(true);
      }),
    );
  });

  test("a name of a megabyte costs no more than its beginning", () => {
    const [, line] = renderTable([{ title: "NAME" }], [["é".repeat(1_000_000)]], null);
    expect(stringWidth(line ?? "")).toBe(64);
  });
});

describe("text from outside", () => {
  test("shows what is in it instead of doing it", () => {
    expect(printable("a\u001b[2Jb\nc\u202ed")).toBe("a\\u{1b}[2Jb\\nc\\u{202e}d");
  });

  test("is the same value in JSON, and as harmless", () => {
    fc.assert(
      fc.property(fc.dictionary(hostile, hostile), (value) => {
        const text = jsonText(value);
        expect(text.replaceAll("\n", "")).not.toMatch(ACTIVE);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});
