import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Processes } from "./support/processes.ts";

/*
 * npm run bench [name…] [-- --save file]: each benchmark in processes of its own, one after the other; without names
 * every row of the table of docs/performance.md, in 25 minutes by estimate.
 */
interface Bench {
  /** False for what takes longer and is no row of the table. */
  readonly row: boolean;
  readonly about: string;
  readonly script: string;
  readonly args: readonly string[];
}

const bench = (about: string, script: string, args = "", row = true): Bench => ({
  row,
  about,
  script,
  args: args === "" ? [] : args.split(" "),
});

const TEN_THOUSAND =
  "--instances 10000 --every 30 --redis --scrape 15 --warm 30 --seconds 90 --lag 0.5 --memory 250 --cpu 20";
const SCRAPE =
  "--every 30 --rate 20 --webhook --scrape 3 --warm 5 --seconds 45 --hold --held 30 --only /metrics,event --instances";

const BENCHES: Readonly<Record<string, Bench>> = {
  cycle: bench("the poll cycle against undici and JSON.parse", "cycle.ts"),
  first: bench(
    "first polls of 20,000 instances, SQLite",
    "fleet.ts",
    "--instances 20000 --projects 40 --every 60 --requests-per-second 1000 --warm 0 --seconds 1 --first 60 --only first",
  ),
  "first-redis": bench(
    "first polls of 20,000 instances, Redis",
    "fleet.ts",
    "--instances 20000 --projects 40 --every 60 --requests-per-second 1000 --warm 0 --seconds 1 --first 60 --only first --redis",
  ),
  "ten-thousand": bench("10,000 instances every 30 s on Redis, one project", "fleet.ts", TEN_THOUSAND),
  "ten-thousand-forty": bench(
    "10,000 instances every 30 s on Redis, forty projects",
    "fleet.ts",
    `${TEN_THOUSAND} --projects 40`,
  ),
  thousand: bench(
    "1,000 instances every 10 s, scraped every second",
    "fleet.ts",
    "--instances 1000 --every 10 --scrape 1 --seconds 120 --memory 150",
  ),
  scrape: bench("/metrics under load, 1,000 instances, SQLite", "fleet.ts", `${SCRAPE} 1000 --median 30`),
  "scrape-redis": bench(
    "/metrics under load, 1,000 instances, Redis",
    "fleet.ts",
    `${SCRAPE} 1000 --median 30 --redis`,
  ),
  "scrape-10000": bench(
    "/metrics under load, 10,000 instances, SQLite",
    "fleet.ts",
    `${SCRAPE} 10000 --median 150`,
  ),
  "scrape-10000-redis": bench(
    "/metrics under load, 10,000 instances, Redis",
    "fleet.ts",
    `${SCRAPE} 10000 --median 150 --redis`,
  ),
  latency: bench("from a listing to the webhook request", "latency.ts"),
  takeover: bench("one of two replicas is killed", "takeover.ts"),
  start: bench("ready with 10,000 instances in the store", "start.ts"),
  calls: bench(
    "API calls of instances at rest, over a whole interval of discovery",
    "fleet.ts",
    "--instances 300 --every 60 --rate 0 --scrape 60 --warm 5 --seconds 300 --only calls",
  ),
  soak: bench(
    "1,000 instances every 10 s, scraped every second, for half an hour",
    "fleet.ts",
    "--instances 1000 --every 10 --scrape 1 --seconds 1800 --memory 150",
    false,
  ),
  discovery: bench(
    "1,200 discovered instances over three engines and two projects, at rest",
    "fleet.ts",
    "--instances 1200 --projects 2 --engines kafka,rabbitmq,rocketmq --requests-per-second 15 --every 60 --rate 0 --warm 90 --seconds 300",
    false,
  ),
  flags: bench("the table of flags, an hour", "flags.ts", "", false),
};

const { values, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    /** A file of results, one figure per line, such as bench/results/after.jsonl; written anew. */
    save: { type: "string" },
  },
});
const unknown = names.filter((name) => !BENCHES[name]);
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(", ")}. There are:`);
  for (const [name, { row, about }] of Object.entries(BENCHES)) {
    console.error(`  ${name.padEnd(20)}${about}${row ? "" : " (by name only)"}`);
  }
  process.exit(2);
}
const chosen = Object.entries(BENCHES).filter(([name, { row }]) =>
  names.length > 0 ? names.includes(name) : row,
);
Processes.build();
let results = "";
if (values.save !== undefined) {
  results = fileURLToPath(new URL(values.save, `file://${process.cwd()}/`));
  mkdirSync(new URL("results/", import.meta.url), { recursive: true });
  // Single rows are added to those that are there; a later one of the same name counts.
  if (names.length === 0) rmSync(results, { force: true });
}
let broken = 0;
for (const [name, { script, args }] of chosen) {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const env = { ...process.env, BENCH_BUILT: "yes", BENCH_NAME: name, BENCH_RESULTS: results };
  const { status } = spawnSync(process.execPath, [path, ...args], { env, stdio: "inherit" });
  if (status === 0) continue;
  broken += 1;
  console.error(`${name} broke off with exit code ${status}`);
}
// A target that is missed is a figure; only a benchmark that breaks is a failure.
process.exitCode = broken === 0 ? 0 : 1;
