import { mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Agent, request } from "undici";
import { RedisServer } from "../test/support/redis.ts";
import { PollLoad } from "./support/poll-load.ts";
import { Processes } from "./support/processes.ts";
import { type Figure, median, report } from "./support/report.ts";

/*
 * The whole poll cycle (queue, budget, sign, request, decode, decide, commit, metrics, log) against the bare floor,
 * undici's request and JSON.parse of the same page from the same server: both with the same number of requests in
 * flight, both warm, in turns in one run. Rates are per CPU second of this process: the server, Redis and whatever
 * else the machine does are not counted.
 */
const { values: args } = parseArgs({
  options: {
    /** Of one turn. */
    seconds: { type: "string", default: "3" },
    rounds: { type: "string", default: "5" },
    /** Only these, such as `unchanged`; for a profile. */
    only: { type: "string" },
  },
});
const IN_FLIGHT = 64;
const INSTANCES = 1_000;

interface Turn {
  readonly perCpuSecond: number;
  readonly perSecond: number;
}

/** One contestant: runs until told to stop, and resolves with how many it did when all are done. */
interface Contestant {
  readonly name: string;
  run(ms: number): Promise<number>;
}

async function turn(contestant: Contestant, ms: number): Promise<Turn> {
  const cpuFrom = process.cpuUsage();
  const from = performance.now();
  const count = await contestant.run(ms);
  const { user, system } = process.cpuUsage(cpuFrom);
  return {
    perCpuSecond: count / ((user + system) / 1e6),
    perSecond: count / ((performance.now() - from) / 1e3),
  };
}

function floor(origin: string, kind: "idle" | "busy"): Contestant {
  const agent = new Agent({ connections: IN_FLIGHT, pipelining: 1 });
  let next = 0;
  return {
    name: "floor",
    async run(ms) {
      const until = performance.now() + ms;
      let count = 0;
      const one = async () => {
        while (performance.now() < until) {
          // Its own instances, so that those of the cycle see each transition.
          const path = `/v2/p/instances/${kind}-floor-${next++ % INSTANCES}/tasks?limit=100`;
          const { body } = await request(`${origin}${path}`, { dispatcher: agent });
          JSON.parse(await body.text());
          count += 1;
        }
      };
      await Promise.all(Array.from({ length: IN_FLIGHT }, one));
      return count;
    },
  };
}

const folder = mkdtempSync(join(tmpdir(), "taskwatch-cycle-"));
const log = openSync("/dev/null", "w");
await using processes = new Processes();
const { line: port } = await processes.script("bench/support/page-server.ts");
const origin = `http://127.0.0.1:${port}`;
const redis = await RedisServer.start().catch(() => null);
const sqlite = (name: string) => `sqlite:${join(folder, name)}.db`;
const common = {
  origin,
  instances: INSTANCES,
  inFlight: IN_FLIGHT,
  log: (line: string) => void writeSync(log, line),
};
const load = (name: string, kind: "idle" | "busy", url: string, deliveries = false) =>
  PollLoad.open({ ...common, name, kind, url, deliveries });

interface Entry {
  /** At least this share of the floor; null for information. */
  readonly reach: number | null;
  readonly kind: "idle" | "busy";
  readonly load: PollLoad;
}
const loads: Entry[] = [
  { reach: 0.5, kind: "idle", load: await load("nothing changed, SQLite", "idle", sqlite("idle")) },
  { reach: 0.35, kind: "busy", load: await load("one transition per poll, SQLite", "busy", sqlite("busy")) },
  {
    reach: null,
    kind: "busy",
    load: await load("one transition and one delivery queued per poll, SQLite", "busy", sqlite("full"), true),
  },
];
if (redis) {
  loads.push(
    { reach: null, kind: "idle", load: await load("nothing changed, Redis", "idle", redis.url) },
    { reach: null, kind: "busy", load: await load("one transition per poll, Redis", "busy", redis.url) },
  );
}
const chosen = loads.filter(({ load: { name } }) => !args.only || name.startsWith(args.only));
const floors = { idle: floor(origin, "idle"), busy: floor(origin, "busy") };
const ms = Number(args.seconds) * 1_000;

for (const { load, kind } of chosen) {
  await floors[kind].run(ms);
  await load.run(ms);
}
const figures: Figure[] = [];
const ratios = chosen.map(() => ({
  cpu: [] as number[],
  wall: [] as number[],
  turns: [] as Turn[],
  floors: [] as Turn[],
}));
for (let round = 0; round < Number(args.rounds); round++) {
  for (const [index, { load, kind }] of chosen.entries()) {
    const bare = await turn(floors[kind], ms);
    const whole = await turn(load, ms);
    const kept = ratios[index]!;
    kept.cpu.push(whole.perCpuSecond / bare.perCpuSecond);
    kept.wall.push(whole.perSecond / bare.perSecond);
    kept.turns.push(whole);
    kept.floors.push(bare);
  }
}
for (const [index, { load, reach }] of chosen.entries()) {
  const { cpu, wall, turns, floors } = ratios[index]!;
  const ratio = median(cpu);
  const of = (all: readonly Turn[], pick: (turn: Turn) => number) => median(all.map(pick)).toFixed(0);
  figures.push({
    what: load.name,
    measured:
      `${ratio.toFixed(2)} of the floor (${Math.min(...cpu).toFixed(2)} to ${Math.max(...cpu).toFixed(2)}): ` +
      `${of(turns, (t) => t.perCpuSecond)} polls against ${of(floors, (t) => t.perCpuSecond)} requests per CPU second; ` +
      `wall clock ${median(wall).toFixed(2)}, ${of(turns, (t) => t.perSecond)} against ${of(floors, (t) => t.perSecond)} per second; ` +
      load.tally(),
    ...(reach === null ? {} : { reach: `at least ${reach}`, holds: ratio >= reach }),
  });
  await load.close();
}
await redis?.[Symbol.asyncDispose]();
report("Poll cycle against undici request + JSON.parse", figures);
rmSync(folder, { recursive: true, force: true });
process.exit(0);
