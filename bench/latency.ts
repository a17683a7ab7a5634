import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { FleetDaemon } from "./support/fleet-daemon.ts";
import { Processes } from "./support/processes.ts";
import { quantile, report, sleep } from "./support/report.ts";

/*
 * From the listing that shows a failure to the webhook request on the wire: the daemon as a process of its own polls
 * a thousand instances, and both the cloud and the receiver are this process, so that one clock takes both times.
 */
const { values: args } = parseArgs({
  options: {
    instances: { type: "string", default: "1000" },
    every: { type: "string", default: "10" },
    seconds: { type: "string", default: "40" },
    warm: { type: "string", default: "20" },
  },
});
const instances = Number(args.instances);
/** Share of the polls that show a change, a task that begins or the same one failed. */
const CHANGES = 0.1;

/** By task id: when the answer that shows it failed was handed to the socket. */
const shown = new Map<string, number>();
const latencies: number[] = [];
let measuring = false;
let tasks = 0;

interface Task {
  readonly id: string;
  status: string;
  updated_at: string;
  readonly name: string;
  readonly created_at: string;
}
const running = new Map<string, Task>();
const ended = new Map<string, Task[]>();
const nowText = () => new Date().toISOString();

/** The answer to one poll, and the task that it shows failed for the first time. */
function listing(instance: string): { readonly page: string; readonly failed: string | null } {
  let failed: string | null = null;
  const task = running.get(instance);
  if (measuring && Math.random() < CHANGES) {
    if (task) {
      task.status = "FAILED";
      task.updated_at = nowText();
      failed = task.id;
      running.delete(instance);
      ended.set(instance, [task, ...(ended.get(instance) ?? [])].slice(0, 7));
    } else {
      const id = `8abfa7b3${String(++tasks).padStart(24, "0")}`;
      const at = nowText();
      running.set(instance, {
        id,
        name: "kafkaConfigModify",
        status: "EXECUTING",
        created_at: at,
        updated_at: at,
      });
    }
  }
  const rows = [...(running.has(instance) ? [running.get(instance)] : []), ...(ended.get(instance) ?? [])];
  return { page: JSON.stringify({ task_count: rows.length, tasks: rows }), failed };
}

const cloud = await listen((request, response) => {
  const [, , , , instance = ""] = (request.url ?? "").split("/");
  const { page, failed } = listing(instance);
  response.writeHead(200, { "content-type": "application/json" });
  if (failed) shown.set(failed, performance.now());
  response.end(page);
});
const receiver = await listen(async (request, response) => {
  const at = performance.now();
  const { subject } = JSON.parse(await text(request)) as { readonly subject: string };
  response.writeHead(204).end();
  const from = shown.get(subject);
  if (from !== undefined) latencies.push(at - from);
  shown.delete(subject);
});

Processes.build();
await using daemon = await FleetDaemon.create();
const child = daemon.start({
  projects: [
    {
      name: "latency",
      region: "eu-west-101",
      project_id: "0605768a3300d5762fd0c002e2bbd3f9",
      endpoint: urlOf(cloud),
      credentials: { access_key: "AKBENCH", secret_key: "SKBENCH" },
      requests_per_second: Math.min(1000, Math.ceil((instances / Number(args.every)) * 2)),
      instances: Array.from({ length: instances }, (_, number) => ({ id: `instance-${number}` })),
    },
  ],
  poll: { schedule: `*/${args.every} * * * * *`, active_schedule: "off" },
  store: { url: daemon.sqlite },
  webhooks: [{ name: "ops", url: urlOf(receiver), events: ["task.failed"] }],
});
await daemon.ready(child, performance.now());
await sleep(Number(args.warm));
measuring = true;
await sleep(Number(args.seconds));
measuring = false;
await sleep(2);

const ms = (q: number) => `${quantile(latencies, q).toFixed(0)} ms`;
const p99 = quantile(latencies, 0.99);
report(
  `From the listing that shows a failure to the webhook request, ${instances} instances polled every ${args.every} s`,
  [
    {
      what: "latency",
      measured: `p50 ${ms(0.5)}, p95 ${ms(0.95)}, p99 ${ms(0.99)}, most ${ms(1)}, of ${latencies.length} failures; ${shown.size} not told`,
      value: p99,
      reach: "p99 < 30 ms",
      holds: p99 < 30 && shown.size === 0,
    },
  ],
);
for (const server of [cloud, receiver]) server.closeAllConnections();
for (const server of [cloud, receiver]) server.close();

async function listen(listener: RequestListener): Promise<Server> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
