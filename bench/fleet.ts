import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { request } from "undici";
import { RedisServer } from "../test/support/redis.ts";
import { Scrape } from "../test/support/scrape.ts";
import { CloudProcess } from "./support/cloud-process.ts";
import { FleetDaemon } from "./support/fleet-daemon.ts";
import { cpuSeconds, Processes, residentMb } from "./support/processes.ts";
import { type Figure, median, report, sleep } from "./support/report.ts";

/*
 * A fleet under the whole daemon, which runs as it is shipped, beside the simulated cloud: how soon are all first polls
 * made, are all due polls made, how late, at what CPU and memory, how long does a scrape take, and how many calls is
 * that? What follows the first polls is measured for `--seconds`, after `--warm` more.
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
    warm: { type: "string", default: "15" },
    /** Transitions per second over all instances. */
    rate: { type: "string", default: "2" },
    projects: { type: "string", default: "1" },
    engines: { type: "string", default: "kafka" },
    /** Of each project; by default twice what it needs. */
    "requests-per-second": { type: "string" },
    /** A server of its own, which keeps nothing on disk. */
    redis: { type: "boolean", default: false },
    /** A webhook takes every event. */
    webhook: { type: "boolean", default: false },
    /** Seconds between scrapes. */
    scrape: { type: "string", default: "5" },
    /** Whether to count how long the event loop is held, which costs a little CPU. */
    hold: { type: "boolean", default: false },
    /** What is to be reached: seconds, seconds, MB, per cent of one core, and milliseconds twice. */
    first: { type: "string" },
    lag: { type: "string" },
    memory: { type: "string" },
    cpu: { type: "string" },
    median: { type: "string" },
    held: { type: "string" },
    /** Only the figures whose names begin with one of these, with commas between. */
    only: { type: "string" },
  },
});
const instances = Number(args.instances);
const every = Number(args.every);
const projects = Number(args.projects);
const perSecond = Number(args["requests-per-second"] ?? Math.ceil((instances / projects / every) * 2));

/** Polls due right before the last reading may be made right after it; one that was skipped for good is a merged one. */
const EDGE_SECONDS = 5;
/** Longer than any budget here lets the first polls take. */
const LONGEST_FIRST_SECONDS = 300;

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
const receiver = createServer((message, response) => {
  message.resume();
  response.writeHead(204).end();
}).listen(0, "127.0.0.1");
await once(receiver, "listening");
const { port } = receiver.address() as AddressInfo;
const webhook = {
  name: "ops",
  url: `http://127.0.0.1:${port}/`,
  events: ["task.started", "task.succeeded", "task.failed"],
};
const child = daemon.start(
  {
    projects: cloud.projects(perSecond, args.engines === "kafka" ? { discover: { engines: ["kafka"] } } : {}),
    poll: {
      schedule: every % 60 === 0 ? `0 */${every / 60} * * * *` : `*/${every} * * * * *`,
      active_schedule: "off",
    },
    store: { url: redis?.url ?? daemon.sqlite },
    webhooks: args.webhook ? [webhook] : [],
  },
  args.hold,
);
const pid = child.pid ?? 0;
await daemon.ready(child, performance.now());

const now = (): number => performance.now() / 1_000;
/** The whole answer, not yet read: what reads it must not be part of what is measured. */
const answer = async (): Promise<string> => (await request(`${daemon.url}/metrics`)).body.text();
const read = async (): Promise<Reading> => {
  const text = await answer();
  return { at: now(), cpu: cpuSeconds(pid), metrics: new Scrape(text) };
};

const firstSeconds = await untilAllPolled();
const firstCpu = cpuSeconds(pid);
await sleep(Number(args.warm));
const first = await read();
const firstAt = Date.now();
const memory: number[] = [];
const scrapes: number[] = [];
const end = first.at + Number(args.seconds);
for (let second = 1; now() < end; second++) {
  await sleep(Math.max(0, first.at + second - now()));
  memory.push(residentMb(pid));
  if (second % Number(args.scrape) !== 0) continue;
  const from = performance.now();
  await answer();
  scrapes.push(performance.now() - from);
}
const last = await read();
const wanted = (args.only ?? "").split(",");
report(
  title(),
  (await figures()).filter(({ what }) => wanted.some((name) => what.startsWith(name))),
);
receiver.closeAllConnections();
receiver.close();
process.exitCode = 0;

/** Seconds from the readiness until the first polls of all instances were committed. */
async function untilAllPolled(): Promise<number> {
  const from = now();
  while (now() - from < LONGEST_FIRST_SECONDS) {
    await sleep(1);
    const polled = /^taskwatch_baselines_total\{[^}]*\} (\d+)$/gm;
    const counts = [...(await answer()).matchAll(polled)].map(([, count]) => Number(count));
    if (counts.reduce((sum, count) => sum + count, 0) >= instances) return now() - from;
  }
  throw new Error(`the first polls took more than ${LONGEST_FIRST_SECONDS} seconds`);
}

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
  const minutes = perMinute();
  const calls = grown("taskwatch_api_requests_total");
  const lists = grown("taskwatch_api_requests_total", { operation: "list_tasks" });
  const perHour = (count: number) => count / instances / (seconds / 3600);
  const mostCalls = await cloud.mostPerSecond();
  const mostMemory = Math.max(...memory);
  const [early = 0] = minutes;
  const flat = Math.max(...minutes.slice(1), 0) <= early * 1.05 + 2;
  return [
    limited(
      "first polls of all instances",
      firstSeconds,
      args.first,
      "s",
      `${firstSeconds.toFixed(0)} s, ${firstCpu.toFixed(0)} s of CPU from the start on`,
    ),
    {
      what: "due polls",
      measured: `${polls.toFixed(0)} made of ${due.toFixed(0)} due in ${seconds.toFixed(0)} s, ${merged} merged, ${failed} failed`,
      value: merged,
      reach: "none skipped",
      holds: merged === 0 && failed === 0 && polls >= due - EDGE_SECONDS * (instances / every),
    },
    limited(
      "lag, p99",
      lagQuantile(0.99),
      args.lag,
      "s",
      `about ${lagQuantile(0.99).toFixed(2)} s, p50 about ${lagQuantile(0.5).toFixed(2)} s`,
    ),
    limited("CPU", ((last.cpu - first.cpu) / seconds) * 100, args.cpu, "% of one core"),
    {
      what: "memory, whole process tree",
      measured: `at most ${mostMemory.toFixed(0)} MB; mean of each minute ${minutes.map((mb) => mb.toFixed(0)).join(" ")}`,
      value: mostMemory,
      ...(args.memory
        ? { reach: `< ${args.memory} MB, flat`, holds: mostMemory < Number(args.memory) && flat }
        : {}),
    },
    limited(
      "/metrics, median",
      median(scrapes),
      args.median,
      "ms",
      `${median(scrapes).toFixed(0)} ms, longest ${Math.max(...scrapes).toFixed(0)} ms, of ${scrapes.length}`,
    ),
    ...holdFigures(),
    {
      what: "calls per instance and hour",
      measured: `${perHour(calls).toFixed(2)}, of them ${perHour(lists).toFixed(2)} for task lists`,
      value: perHour(calls),
    },
    {
      what: "calls of one project within a second, at the cloud",
      measured: `at most ${mostCalls}`,
      value: mostCalls,
      reach: `≤ ${2 * perSecond}`,
      holds: mostCalls <= 2 * perSecond,
    },
    ...(await redisFigures()),
  ];
}

function limited(
  what: string,
  value: number,
  limit: string | undefined,
  unit: string,
  measured = `${value.toFixed(1)} ${unit}`,
): Figure {
  const reach = limit === undefined ? {} : { reach: `< ${limit} ${unit}`, holds: value < Number(limit) };
  return { what, value, measured, ...reach };
}

function holdFigures(): readonly Figure[] {
  if (!args.hold) return [];
  const held = daemon.held(firstAt);
  const longest = Math.max(...held.map(({ ms }) => ms));
  const own = Math.max(...held.map((one) => one.own));
  const text =
    `at most ${longest.toFixed(0)} ms, by its own work at most ${own.toFixed(0)} ms; ` +
    `median of the longest of each second ${median(held.map(({ ms }) => ms)).toFixed(0)} ms`;
  return [limited("event loop held", longest, args.held, "ms", text)];
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
      value: used / instances / 1024,
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
