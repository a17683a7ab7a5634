import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { halves } from "./halves.ts";
import { LONGEST } from "./longest-first.ts";

test("a test of the fast half that starts a process fails, however it comes by the means", () => {
  const hidden = process.getBuiltinModule(["node", "child_process"].join(":")) as Record<
    string,
    () => unknown
  >;
  for (const way of ["exec", "execFile", "execFileSync", "execSync", "fork", "spawn", "spawnSync"])
    expect(hidden[way], way).toThrow(/a test of the fast half starts no process/);
});

test("what starts servers, browsers or daemons is in the full half, everything else in the fast one", () => {
  const { fast, full } = halves();
  for (const starter of [
    "e2e/demo",
    "store/redis",
    "page/status-page",
    "alerts/rules",
    "http/api",
    "chaos/kill",
  ])
    expect(full).toContain(`test/${starter}.test.ts`);
  for (const pure of ["core/transitions", "store/sqlite", "cloud/source", "http/server", "architecture"])
    expect(fast).toContain(`test/${pure}.test.ts`);
  expect(fast.filter((file) => full.includes(file))).toEqual([]);
  // Whatever is in these folders tests the whole program.
  expect(fast.filter((file) => /^test\/(e2e|chaos|deploy)\//.test(file))).toEqual([]);
});

test("the files that are started first are there", () => {
  expect(LONGEST.filter((file) => !existsSync(file))).toEqual([]);
});
