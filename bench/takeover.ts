import { once } from "node:events";
import { parseArgs } from "node:util";
import { RedisServer } from "../test/support/redis.ts";
import { scrape } from "../test/support/scrape.ts";
import { CloudProcess } from "./support/cloud-process.ts";
import { FleetDaemon } from "./support/fleet-daemon.ts";
import { Processes } from "./support/processes.ts";
import { median, report, sleep } from "./support/report.ts";

/*
 * Two replicas on one Redis, one of which is killed: how long until the other one has polled every instance again? The
 * schedule is closer than the lease, so that what is measured is the takeover and not the wait for a due time.
 */
const { values: args } = parseArgs({
  options: {
    instances: { type: "string", default: "1000" },
    every: { type: "string", default: "5" },
    times: { type: "string", default: "3" },
  },
});
const instances = Number(args.instances);
const every = Number(args.every);
const LEASE_SECONDS = 15;

Processes.build();
await using redis = await RedisServer.start();
await using first = await FleetDaemon.create();
await using second = await FleetDaemon.create();
const cloud = await CloudProcess.start(first, { instances, projects: 1, engines: ["kafka"], rate: 2 });
const config = {
  projects: cloud.projects(Math.ceil((instances / every) * 2), { discover: { engines: ["kafka"] } }),
  poll: { schedule: `*/${every} * * * * *`, active_schedule: "off" },
  store: { url: redis.url, lease: `${LEASE_SECONDS}s` },
};

const polledSince = async (daemon: FleetDaemon, at: number): Promise<number> =>
  (await scrape(daemon.url))
    .series("dms_instance_last_success_timestamp_seconds")
    .filter(({ value }) => value * 1_000 > at).length;

const seconds: number[] = [];
for (let time = 0; time < Number(args.times); time++) {
  const child = first.start(config);
  const other = second.start(config);
  await first.ready(child, 0);
  await second.ready(other, 0);
  // Both must share the work, or the kill would take nothing from anybody.
  const started = Date.now();
  for (let shared = false; !shared; await sleep(0.5)) {
    const [mine, others] = await Promise.all([polledSince(first, started), polledSince(second, started)]);
    shared = mine > instances / 4 && others > instances / 4 && mine + others >= instances;
  }
  const killed = Date.now();
  child.kill("SIGKILL");
  await once(child, "exit");
  while ((await polledSince(second, killed)) < instances) await sleep(0.25);
  seconds.push((Date.now() - killed) / 1_000);
  const gone = once(other, "exit");
  other.kill("SIGTERM");
  await gone;
}
const value = median(seconds);
report(
  `One of two replicas is killed, ${instances} instances polled every ${every} s, lease ${LEASE_SECONDS} s`,
  [
    {
      what: "all instances polled by the other replica",
      measured: `${value.toFixed(1)} s after the kill (${seconds.map((one) => one.toFixed(1)).join(", ")})`,
      value,
      reach: `< lease + 5 s`,
      holds: Math.max(...seconds) < LEASE_SECONDS + 5,
    },
  ],
);
