import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Processes } from "./support/processes.ts";
import { type Figure, type Result, report } from "./support/report.ts";

/*
 * What flags of Node.js do to the program: each set on memory, CPU at pace, /metrics under load, first polls, and the
 * saturated poll cycle. Two minutes and a half for each set.
 */
const BOTH = "MALLOC_ARENA_MAX=1 --v8-pool-size=1";
const SIZES = [1, 2, 4, 8, 16].map((size) => `--max-semi-space-size=${size}`);
const GROWTHS = [20, 50].map((percent) => `--heap-growing-percent=${percent}`);
const SETS: readonly string[] = [
  "none",
  // The size of the young generation stays at 1 MB with it, whatever else says.
  `${BOTH} --optimize-for-size`,
  ...SIZES,
  ...SIZES.map((size) => `${BOTH} ${size}`),
  ...SIZES.slice(2).flatMap((size) => GROWTHS.map((growth) => `${BOTH} ${size} ${growth}`)),
];

const SMALL = "--instances 1000 --every 10 --scrape 1 --seconds 30".split(" ");
const LARGE = "--instances 10000 --every 30 --redis --rate 20 --webhook --scrape 3 --seconds 40".split(" ");

const folder = mkdtempSync(join(tmpdir(), "taskwatch-flags-"));
Processes.build();

function run(flags: string, script: string, args: readonly string[]): readonly Result[] {
  const file = join(folder, "results.jsonl");
  rmSync(file, { force: true });
  const { status } = spawnSync(process.execPath, [fileURLToPath(new URL(script, import.meta.url)), ...args], {
    env: { ...process.env, BENCH_BUILT: "yes", BENCH_FLAGS: flags, BENCH_RESULTS: file },
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (status !== 0) throw new Error(`${script} ${args.join(" ")} broke off under ${flags}`);
  const lines = readFileSync(file, "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line) as Result);
}

const value = (results: readonly Result[], what: string): string => {
  const found = results.find((result) => result.what.startsWith(what));
  if (found?.value === undefined) throw new Error(`there is no figure ${what}`);
  return found.value.toFixed(what.startsWith("nothing") ? 2 : 0);
};

const figures: Figure[] = [];
for (const flags of SETS) {
  const small = run(flags, "fleet.ts", SMALL);
  const large = run(flags, "fleet.ts", LARGE);
  const cycle = run(flags, "cycle.ts", ["--seconds", "2", "--only", "nothing changed, SQLite"]);
  const measured =
    `1,000 instances ${value(small, "memory")} MB, ${value(small, "CPU")} % of a core; ` +
    `10,000: first polls ${value(large, "first")} s, ${value(large, "memory")} MB, ${value(large, "CPU")} %, ` +
    `/metrics ${value(large, "/metrics")} ms; poll cycle ${value(cycle, "nothing changed, SQLite, 1 ")} of the floor, ` +
    `with forty projects ${value(cycle, "nothing changed, SQLite, 40")}`;
  figures.push({ what: flags, measured });
  console.log(`${flags}: ${measured}`);
}
rmSync(folder, { recursive: true });
report("Flags", figures);
