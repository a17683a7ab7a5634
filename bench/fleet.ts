import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

/*
 * A fleet under the whole daemon, as a process of its own beside the simulated cloud: are all due polls made, how
 * late, at what CPU and memory, while somebody scrapes every second?
 *
 *   node bench/fleet.ts --instances 1000 --every 30 --seconds 600
 *   node bench/fleet.ts --instances 10000 --every 30 --seconds 300 --store redis://127.0.0.1:6379
 */
const { values: args } = parseArgs({
  options: {
    instances: { type: "string", default: "1000" },
    every: { type: "string", default: "30" },
    seconds: { type: "string", default: "120" },
    /** Transitions per second over all instances. */
    rate: { type: "string", default: "2" },
    store: { type: "string", default: "sqlite" },
    /** Not counted, from the start: the first polls and the warming up. */
    warm: { type: "string", default: "60" },
  },
});
const instances = Number(args.instances);
const every = Number(args.every);
const folder = mkdtempSync(join(tmpdir(), "taskwatch-fleet-"));
const children: ChildProcess[] = [];

try {
  const simulator = start([
    "simulate",
    "--listen",
    "127.0.0.1:0",
    "--instances",
    args.instances,
    "--tasks",
    "8",
    "--rate",
    args.rate,
  ]);
  const { endpoint, project, accessKey, secretKey } = await simulatorFacts(simulator);
  const config = {
    projects: [
      {
        name: "fleet",
        region: "eu-west-101",
        project_id: project,
        endpoint,
        credentials: { access_key: accessKey, secret_key: secretKey },
        requests_per_second: Math.ceil((instances / every) * 2),
        discover: {},
      },
    ],
    poll: { schedule: `*/${every} * * * * *`, active_schedule: "off" },
    store: {
      url: args.store === "sqlite" ? `sqlite:${join(folder, "t.db")}` : args.store,
      key_prefix: `fleet${process.pid}`,
    },
    server: { listen: `127.0.0.1:${await freePort()}` },
    log: { level: "warn" },
  };
  const file = join(folder, "taskwatch.yaml");
  writeFileSync(file, JSON.stringify(config));
  const daemon = start(["run", "--config", file]);
  daemon.stdout?.pipe(process.stderr);
  await measure(daemon.pid ?? 0, `http://${config.server.listen}/metrics`);
} finally {
  for (const child of children) child.kill("SIGTERM");
  rmSync(folder, { recursive: true, force: true });
}

async function measure(pid: number, url: string): Promise<void> {
  const begin = performance.now();
  const warmUntil = begin + Number(args.warm) * 1000;
  const end = warmUntil + Number(args.seconds) * 1000;
  let first: Reading | null = null;
  let last: Reading | null = null;
  const memory: number[] = [];
  const scrapes: number[] = [];
  while (performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const from = performance.now();
    const reading = await read(pid, url).catch(() => null);
    if (!reading) continue;
    if (performance.now() < warmUntil) continue;
    scrapes.push(performance.now() - from);
    memory.push(reading.rssMb);
    first ??= reading;
    last = reading;
  }
  if (!first || !last) throw new Error("the daemon never answered");
  const seconds = (last.at - first.at) / 1000;
  const polls = last.polls - first.polls;
  const buckets = last.lag.map(
    ([bound, count], index) => [bound, count - (first.lag[index]?.[1] ?? 0)] as const,
  );
  const quarter = Math.floor(memory.length / 4);
  console.log(
    `${instances} instances, every ${every} s, ${args.store.split(":")[0]}, over ${seconds.toFixed(0)} s`,
  );
  console.log(
    `  polls      ${polls} made, ${((instances / every) * seconds).toFixed(0)} due; ${last.merged - first.merged} merged; ${last.failures - first.failures} failed`,
  );
  console.log(`  lag        p50 below ${quantile(buckets, 0.5)} s, p99 below ${quantile(buckets, 0.99)} s`);
  console.log(`  cpu        ${(((last.cpu - first.cpu) / seconds) * 100).toFixed(1)} % of one core`);
  console.log(
    `  memory     ${mean(memory.slice(0, quarter)).toFixed(0)} MB in the first quarter, ${mean(memory.slice(-quarter)).toFixed(0)} MB in the last, ${Math.max(...memory).toFixed(0)} MB most`,
  );
  console.log(
    `  scrape     ${scrapes.sort((a, b) => a - b)[Math.floor(scrapes.length / 2)]?.toFixed(0)} ms median, ${scrapes.at(-1)?.toFixed(0)} ms most`,
  );
  console.log(
    `  calls      ${((last.calls - first.calls) / instances / (seconds / 3600)).toFixed(1)} per instance and hour`,
  );
}

interface Reading {
  readonly at: number;
  readonly cpu: number;
  readonly rssMb: number;
  readonly polls: number;
  readonly merged: number;
  readonly failures: number;
  readonly calls: number;
  readonly lag: readonly (readonly [number, number])[];
}

async function read(pid: number, url: string): Promise<Reading> {
  const text = await (await fetch(url)).text();
  const sum = (name: string) =>
    [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))].reduce(
      (total, [, value]) => total + Number(value),
      0,
    );
  const lag = [...text.matchAll(/^taskwatch_poll_lag_seconds_bucket\{[^}]*le="([^"]+)"[^}]*\} (\S+)$/gm)].map(
    ([, bound, count]) =>
      [bound === "+Inf" ? Number.POSITIVE_INFINITY : Number(bound), Number(count)] as const,
  );
  return {
    at: performance.now(),
    cpu: sum("process_cpu_seconds_total"),
    rssMb: Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024,
    polls: sum("taskwatch_polls_total"),
    merged: sum("taskwatch_polls_merged_total"),
    failures: sum("taskwatch_poll_failures_total"),
    calls: sum("taskwatch_api_requests_total"),
    lag,
  };
}

function quantile(buckets: readonly (readonly [number, number])[], share: number): number {
  const total = buckets.at(-1)?.[1] ?? 0;
  return buckets.find(([, count]) => count >= total * share)?.[0] ?? Number.NaN;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function start(command: readonly string[]): ChildProcess {
  const flags = command[0] === "run" ? ["--max-semi-space-size=8"] : [];
  const child = spawn(process.execPath, [...flags, "bin/dms-taskwatch.js", ...command], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  return child;
}

async function simulatorFacts(child: ChildProcess) {
  let text = "";
  if (!child.stdout) throw new Error("no output");
  for await (const line of createInterface(child.stdout)) {
    text += `${line}\n`;
    if (line.startsWith("control:")) break;
  }
  const endpoint = /listening on (\S+)/.exec(text)?.[1] ?? "";
  const project = /project (\w+)/.exec(text)?.[1] ?? "";
  const [, accessKey = "", secretKey = ""] = /access key (\w+), secret key (\w+)/.exec(text) ?? [];
  return { endpoint, project, accessKey, secretKey };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
