import { parseArgs } from "node:util";
import { RedisServer } from "../test/support/redis.ts";
import { scrape } from "../test/support/scrape.ts";
import { CloudProcess } from "./support/cloud-process.ts";
import { FleetDaemon } from "./support/fleet-daemon.ts";
import { end, Processes } from "./support/processes.ts";
import { type Figure, median, report } from "./support/report.ts";

/*
 * How soon the daemon is ready again, once it has polled ten thousand discovered instances: its store holds each with
 * eight tasks, and one in twenty with an open one.
 */
const { values: args } = parseArgs({
  options: {
    instances: { type: "string", default: "10000" },
    times: { type: "string", default: "3" },
  },
});
const instances = Number(args.instances);
const TASKS = 8;

async function measure(name: string, urlOf: (daemon: FleetDaemon) => string): Promise<Figure> {
  await using daemon = await FleetDaemon.create();
  const cloud = await CloudProcess.start(daemon, { instances, projects: 1, engines: ["kafka"], rate: 0.01 });
  const config = {
    projects: cloud.projects(1_000, { discover: { engines: ["kafka"] } }),
    poll: { schedule: "*/10 * * * * *", active_schedule: "off" },
    store: { url: urlOf(daemon) },
  };
  const filling = daemon.start(config);
  await daemon.ready(filling, performance.now());
  for (let polled = 0; polled < instances; ) {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    polled = (await scrape(daemon.url)).series("dms_instance_last_success_timestamp_seconds").length;
  }
  await end(filling);

  const times: number[] = [];
  const shown: number[] = [];
  for (let time = 0; time < Number(args.times); time++) {
    const from = performance.now();
    const child = daemon.start(config);
    times.push((await daemon.ready(child, from)) / 1_000);
    // Ready for nothing would be no feat: all of them must be there, too.
    for (let watched = 0; watched !== instances; ) {
      watched = (await scrape(daemon.url)).series("dms_instance_info").length;
    }
    shown.push((performance.now() - from) / 1_000);
    await end(child);
  }
  const seconds = median(times);
  return {
    what: `ready, ${name}`,
    measured: `median ${seconds.toFixed(2)} s of ${times.length} starts, ${Math.min(...times).toFixed(2)} to ${Math.max(...times).toFixed(2)} s; all in /metrics after ${median(shown).toFixed(2)} s`,
    value: seconds,
    reach: "within 2 s",
    holds: seconds < 2,
  };
}

Processes.build();
const figures = [await measure("SQLite", ({ sqlite }) => sqlite)];
await using redis = await RedisServer.start();
figures.push(await measure("Redis", () => redis.url));
report(`Start with ${instances} instances of ${TASKS} tasks each in the store`, figures);
