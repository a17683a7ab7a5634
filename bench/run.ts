import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Processes } from "./support/processes.ts";

/*
 * npm run bench [name…]: each benchmark in a process of its own, one after the other; without names the quick ones.
 */
interface Bench {
  readonly quick: boolean;
  readonly about: string;
  readonly script: string;
  readonly args: readonly string[];
}

const fleet = (about: string, args: string): Bench => ({
  quick: false,
  about,
  script: "fleet.ts",
  args: args.split(" "),
});

const BENCHES: Readonly<Record<string, Bench>> = {
  cycle: { quick: true, about: "the poll cycle against undici and JSON.parse", script: "cycle.ts", args: [] },
  metrics: { quick: true, about: "/metrics at 1,000 and 10,000 instances", script: "metrics.ts", args: [] },
  latency: { quick: true, about: "from a listing to the webhook request", script: "latency.ts", args: [] },
  start: { quick: true, about: "ready with 10,000 instances in the store", script: "start.ts", args: [] },
  memory: fleet(
    "1,000 instances every 10 s, scraped every second, for ten minutes",
    "--instances 1000 --every 10 --scrape 1 --seconds 600 --memory 150",
  ),
  thousand: fleet("1,000 instances every 30 s for ten minutes", "--instances 1000 --every 30 --seconds 600"),
  "ten-thousand": fleet(
    "10,000 instances every 30 s on Redis for five minutes",
    "--instances 10000 --every 30 --redis --scrape 15 --seconds 300 --warm 90 --memory 400 --cpu 60",
  ),
  discovery: fleet(
    "1,200 discovered instances over three engines and two projects, at rest",
    "--instances 1200 --projects 2 --engines kafka,rabbitmq,rocketmq --requests-per-second 15 --every 60 --rate 0 --warm 180 --seconds 300",
  ),
};

const names = process.argv.slice(2);
const unknown = names.filter((name) => !BENCHES[name]);
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(", ")}. There are:`);
  for (const [name, { quick, about }] of Object.entries(BENCHES)) {
    console.error(`  ${name.padEnd(14)}${about}${quick ? "" : " (slow, by name only)"}`);
  }
  process.exit(2);
}
const chosen = Object.entries(BENCHES).filter(([name, { quick }]) =>
  names.length > 0 ? names.includes(name) : quick,
);
Processes.build();
const env = { ...process.env, BENCH_BUILT: "yes" };
let broken = 0;
for (const [name, { script, args }] of chosen) {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const { status } = spawnSync(process.execPath, [path, ...args], { env, stdio: "inherit" });
  if (status === 0) continue;
  broken += 1;
  console.error(`${name} broke off with exit code ${status}`);
}
// A target that is missed is a figure; only a benchmark that breaks is a failure.
process.exitCode = broken === 0 ? 0 : 1;
