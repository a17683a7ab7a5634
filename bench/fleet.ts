import { parseArgs } from "node:util";
import { RedisServer } from "../test/support/redis.ts";
import { type Scrape, scrape } from "../test/support/scrape.ts";
import { CloudProcess } from "./support/cloud-process.ts";
import { FleetDaemon } from "./support/fleet-daemon.ts";
import { cpuSeconds, Processes, residentMb } from "./support/processes.ts";
import { type Figure, median, report } from "./support/report.ts";

/*
 * A fleet under the whole daemon, which runs as the image runs it, beside the simulated cloud: are all due polls made,
 * how late, at what CPU and memory, and how many calls is that? Figures of `--warm` seconds at the start, which hold the
 * first polls, are left out.
 *
 *   node bench/fleet.ts --instances 1000 --every 10 --scrape 1 --seconds 600
 *   node bench/fleet.ts --instances 10000 --every 30 --redis --seconds 300
 *   node bench/fleet.ts --instances 1200 --projects 2 --engines kafka,rabbitmq,rocketmq --requests-per-second 15 --every 60
 */
const { values: args } = parseArgs({
  options: {
    instances: { type: "string", default: "1000" },
    /** Seconds between the polls of an instance. */
    every: { type: "string", default: "30" },
    seconds: { type: "string", default: "120" },
    warm: { type: "string", default: "60" },
    /** Transitions per second over all instances. */
    rate: { type: "string", default: "2" },
    projects: { type: "string", default: "1" },
    engines: { type: "string", default: "kafka" },
    /** Of each project; by default twice what it needs. */
    "requests-per-second": { type: "string" },
    /** A server of its own, which keeps nothing on disk. */
    redis: { type: "boolean", default: false },
    /** Seconds between scrapes. */
    scrape: { type: "string", default: "5" },
    /** What is to be reached, in MB and per cent of one core. */
    memory: { type: "string" },
    cpu: { type: "string" },
  },
});
const instances = Number(args.instances);
const every = Number(args.every);
const projects = Number(args.projects);
const perSecond = Number(args["requests-per-second"] ?? Math.ceil((instances / projects / every) * 2));

/** Polls due right before the last reading may be made right after it; one that was skipped for good is a merged one. */
const EDGE_SECONDS = 5;

interface Reading {
  /** Seconds on a clock that never jumps. */
  readonly at: number;
  readonly cpu: number;
  readonly metrics: Scrape;
}

Processes.build();
await using redis = args.redis ? await RedisServer.start() : null;
await using daemon = await FleetDaemon.create();
const cloud = await CloudProcess.start(daemon, {
  instances,
  projects,
  engines: args.engines.split(","),
  rate: Number(args.rate),
});
const child = daemon.start({
  projects: cloud.projects(perSecond, args.engines === "kafka" ? { discover: { engines: ["kafka"] } } : {}),
  poll: {
    schedule: every % 60 === 0 ? `0 */${every / 60} * * * *` : `*/${every} * * * * *`,
    active_schedule: "off",
  },
  store: { url: redis?.url ?? daemon.sqlite },
});
const pid = child.pid ?? 0;
await daemon.ready(child, performance.now());

const read = async (): Promise<Reading> => {
  const metrics = await scrape(daemon.url);
  return { at: performance.now() / 1000, cpu: cpuSeconds(pid), metrics };
};
const sleep = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

await sleep(Number(args.warm));
const first = await read();
let last = first;
const memory: number[] = [];
const scrapes: number[] = [];
const end = first.at + Number(args.seconds);
for (let second = 1; last.at < end; second++) {
  await sleep(Math.max(0, first.at + second - performance.now() / 1000));
  memory.push(residentMb(pid));
  if (second % Number(args.scrape) !== 0) continue;
  const from = performance.now();
  last = await read();
  scrapes.push(performance.now() - from);
}
report(title(), await figures());
process.exitCode = 0;

function title(): string {
  const where = `${args.redis ? "Redis" : "SQLite"}, ${projects} project${projects > 1 ? "s" : ""} of ${perSecond} calls per second`;
  return `${instances} instances polled every ${every} s, scraped every ${args.scrape} s, ${args.rate} transitions per second; ${where}`;
}

async function figures(): Promise<readonly Figure[]> {
  const seconds = last.at - first.at;
  const grown = (name: string, labels = {}) =>
    last.metrics.sum(name, labels) - first.metrics.sum(name, labels);
  const polls = grown("taskwatch_polls_total");
  const due = (instances / every) * seconds;
  const merged = grown("taskwatch_polls_merged_total");
  const failed = grown("taskwatch_poll_failures_total");
  const lag = lagQuantile(0.99);
  const cpu = ((last.cpu - first.cpu) / seconds) * 100;
  const minutes = perMinute();
  const calls = grown("taskwatch_api_requests_total");
  const lists = grown("taskwatch_api_requests_total", { operation: "list_tasks" });
  const perHour = (count: number) => (count / instances / (seconds / 3600)).toFixed(2);
  const most = await cloud.mostPerSecond();
  const [early = 0] = minutes;
  const flat = Math.max(...minutes.slice(1), 0) <= early * 1.05 + 2;
  return [
    {
      what: "due polls",
      measured: `${polls.toFixed(0)} made of ${due.toFixed(0)} due in ${seconds.toFixed(0)} s, ${merged} merged, ${failed} failed`,
      reach: "none skipped",
      holds: merged === 0 && failed === 0 && polls >= due - EDGE_SECONDS * (instances / every),
    },
    {
      what: "lag",
      measured: `p50 about ${lagQuantile(0.5).toFixed(2)} s, p99 about ${lag.toFixed(2)} s`,
      reach: "p99 < 1 s",
      holds: lag < 1,
    },
    {
      what: "CPU",
      measured: `${cpu.toFixed(1)} % of one core`,
      ...(args.cpu ? { reach: `< ${args.cpu} %`, holds: cpu < Number(args.cpu) } : {}),
    },
    {
      what: "memory, whole process tree",
      measured: `at most ${Math.max(...memory).toFixed(0)} MB; mean of each minute ${minutes.map((mb) => mb.toFixed(0)).join(" ")}`,
      ...(args.memory
        ? { reach: `< ${args.memory} MB, flat`, holds: Math.max(...memory) < Number(args.memory) && flat }
        : {}),
    },
    {
      what: "scrape",
      measured: `median ${median(scrapes).toFixed(0)} ms, longest ${Math.max(...scrapes).toFixed(0)} ms`,
    },
    {
      what: "calls per instance and hour",
      measured: `${perHour(calls)}, of them ${perHour(lists)} for task lists`,
    },
    {
      what: "calls of one project within a second, at the cloud",
      measured: `at most ${most}`,
      reach: `≤ ${2 * perSecond}`,
      holds: most <= 2 * perSecond,
    },
    ...(await redisFigures()),
  ];
}

async function redisFigures(): Promise<readonly Figure[]> {
  if (!redis) return [];
  const client = redis.client();
  const used = Number(/used_memory:(\d+)/.exec(await client.info("memory"))?.[1]);
  client.disconnect();
  return [
    {
      what: "Redis' memory",
      measured: `${(used / 2 ** 20).toFixed(0)} MB, ${(used / instances / 1024).toFixed(1)} kB per instance`,
    },
  ];
}

/** Within the bucket that holds it as Prometheus takes it, evenly spread. */
function lagQuantile(share: number): number {
  const name = "taskwatch_poll_lag_seconds_bucket";
  const counts = new Map<number, number>();
  for (const [reading, sign] of [
    [last, 1],
    [first, -1],
  ] as const) {
    for (const { labels, value } of reading.metrics.series(name)) {
      const bound = labels.le === "+Inf" ? Number.POSITIVE_INFINITY : Number(labels.le);
      counts.set(bound, (counts.get(bound) ?? 0) + sign * value);
    }
  }
  const sorted = [...counts].sort(([a], [b]) => a - b);
  const total = sorted.at(-1)?.[1] ?? 0;
  const rank = total * share;
  let [below, under] = [0, 0];
  for (const [bound, count] of sorted) {
    if (count >= rank) return below + (bound - below) * ((rank - under) / Math.max(1, count - under));
    [below, under] = [bound, count];
  }
  return Number.NaN;
}

/** Means over whole minutes, so that a soak shows whether it stays flat. */
function perMinute(): readonly number[] {
  const means: number[] = [];
  for (let from = 0; from < memory.length; from += 60) {
    const part = memory.slice(from, from + 60);
    if (part.length >= 30 || means.length === 0) means.push(part.reduce((a, b) => a + b, 0) / part.length);
  }
  return means;
}
