import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

/*
 * ARCHITECTURE.md is the rule and this is its keeper: the table of rooms says who may import whom, and why not is
 * written there. A new import that the table does not allow is either a mistake or a change of the architecture.
 */

const root = resolve(import.meta.dirname, "..");
/** Without the drawing, whose fences would be taken for quoted words. */
const text = readFileSync(join(root, "ARCHITECTURE.md"), "utf8").replace(/```[\s\S]*?```/g, "");

/** The rows of the table under a heading, cells trimmed. */
function table(heading: string): string[][] {
  const section = text.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  return section
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .slice(2)
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

const words = (cell = ""): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, word = ""]) => word);

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name));
}

const IMPORT = /(?:^|\n)\s*(?:import|export)\b[^;]*?\bfrom\s+"([^"]+)"|import\("([^"]+)"\)/g;

function imports(file: string): string[] {
  const code = readFileSync(join(root, file), "utf8");
  return [...code.matchAll(IMPORT)].map(([, from, dynamic]) => from ?? dynamic ?? "");
}

/** `src/poll/cycle.ts` is in `poll`, `src/errors.ts` in `errors.ts`. */
const roomOf = (file: string): string => relative("src", file).split("/")[0] ?? "";

const rooms = new Map(
  table("Rooms").map(([room, , mayImport, packages]) => [
    words(room)[0] ?? "",
    { rooms: new Set(words(mayImport)), packages: new Set(words(packages)) },
  ]),
);

describe("the rooms", () => {
  test("are those that the table names, no more and no less", () => {
    const there = new Set(readdirSync(join(root, "src")));
    expect([...rooms.keys()].sort()).toEqual([...there].sort());
  });

  test.each([...rooms.keys()])("%s imports only what it may", (room) => {
    const may = rooms.get(room);
    const wrong: string[] = [];
    for (const file of sources("src").filter((each) => roomOf(each) === room)) {
      for (const from of imports(file)) {
        if (from.startsWith(".")) {
          const other = roomOf(relative(root, resolve(root, dirname(file), from)));
          if (other !== room && !may?.rooms.has(other)) wrong.push(`${file} imports ${other}`);
        } else if (!from.startsWith("node:")) {
          const name = from.startsWith("@") ? from : (from.split("/")[0] ?? "");
          if (!may?.packages.has(name)) wrong.push(`${file} uses the package ${name}`);
        } else if (room === "core" && from !== "node:crypto") {
          wrong.push(`${file} uses ${from}: decisions must be replayable, pass data in instead`);
        }
      }
    }
    expect(wrong, "see ARCHITECTURE.md, Rooms").toEqual([]);
  });

  test("use no more than the table allows them, and the table allows no more than they use", () => {
    const used = new Map<string, Set<string>>();
    for (const file of sources("src")) {
      for (const from of imports(file).filter((each) => each.startsWith("."))) {
        const other = roomOf(relative(root, resolve(root, dirname(file), from)));
        const set = used.get(roomOf(file)) ?? new Set();
        used.set(roomOf(file), other === roomOf(file) ? set : set.add(other));
      }
    }
    for (const [room, may] of rooms) {
      expect([...may.rooms].sort(), `what ${room} imports`).toEqual([...(used.get(room) ?? [])].sort());
    }
  });

  test("only the platform knows real time and chance", () => {
    const real =
      /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bperformance\.now\(|(?<!\.)\bset(?:Timeout|Interval)\(/;
    for (const file of sources("src")) {
      if (roomOf(file) === "platform") continue;
      expect(real.test(readFileSync(join(root, file), "utf8")), `${file} reads a clock or rolls dice`).toBe(
        false,
      );
    }
  });

  test("import each other in no circle", () => {
    const seen = new Map<string, "open" | "done">();
    const walk = (file: string, path: readonly string[]): void => {
      if (seen.get(file) === "done") return;
      expect(seen.get(file), `a circle: ${[...path, file].join(" -> ")}`).toBeUndefined();
      seen.set(file, "open");
      for (const from of valueImports(file)) {
        walk(relative(root, resolve(root, dirname(file), from)), [...path, file]);
      }
      seen.set(file, "done");
    };
    for (const file of sources("src")) walk(file, []);
  });
});

/** Types alone make no circle when the program runs. */
function valueImports(file: string): string[] {
  const code = readFileSync(join(root, file), "utf8").replace(/(?:^|\n)(?:import|export) type\b[^;]*;/g, "");
  return [...code.matchAll(IMPORT)]
    .map(([, from, dynamic]) => from ?? dynamic ?? "")
    .filter((from) => from.startsWith("."));
}

describe("ARCHITECTURE.md", () => {
  test("names only paths that exist", () => {
    const paths = words(text).filter((word) =>
      /^(src|test|config|docs|bench|deploy|scripts|bin)\/\S*$/.test(word),
    );
    expect(paths.length).toBeGreaterThan(5);
    for (const path of paths) expect(existsSync(join(root, path)), `${path} does not exist`).toBe(true);
  });

  test.each(table("Promises").map(([number, , tests]) => [number ?? "", tests ?? ""]))(
    "promise %s is held by tests that exist",
    (_, cell) => {
      const named = [...cell.matchAll(/`(test\/[^`]+)`: “([^”]+)”/g)];
      expect(named.length).toBeGreaterThan(0);
      for (const [, file = "", title = ""] of named) {
        const code = readFileSync(join(root, file), "utf8");
        expect(code.includes(title), `${file} has no test called “${title}”`).toBe(true);
      }
    },
  );
});
