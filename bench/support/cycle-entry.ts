import { mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent, request } from "undici";
import { RedisServer } from "../../test/support/redis.ts";
import { PollLoad } from "./poll-load.ts";
import { Processes } from "./processes.ts";
import { type Figure, median } from "./report.ts";

const IN_FLIGHT = 64;

/** One line of the poll cycle's measurement. */
export interface Entry {
  readonly name: string;
  /** At least this share of the floor; null for information. */
  readonly reach: number | null;
  /** Whether every poll shows a transition. */
  readonly kind: "idle" | "busy";
  readonly store: "SQLite" | "Redis";
  readonly projects: number;
  readonly instances: number;
  readonly deliveries?: boolean;
}

interface Turn {
  readonly perCpuSecond: number;
  readonly perSecond: number;
}

/** One contestant: runs until told to stop, and resolves with how many it did when all are done. */
interface Contestant {
  run(ms: number): Promise<number>;
}

/** Measures one line in this process, floor and poll cycle in turns. */
export async function cycleFigure(entry: Entry, ms: number, rounds: number): Promise<Figure> {
  const folder = mkdtempSync(join(tmpdir(), "taskwatch-cycle-"));
  const log = openSync("/dev/null", "w");
  await using processes = new Processes();
  const { line: port } = await processes.script("bench/support/page-server.ts");
  const origin = `http://127.0.0.1:${port}`;
  await using redis = entry.store === "Redis" ? await RedisServer.start() : null;
  const load = await PollLoad.open({
    ...entry,
    deliveries: entry.deliveries ?? false,
    origin,
    url: redis?.url ?? `sqlite:${join(folder, "cycle.db")}`,
    inFlight: IN_FLIGHT,
    log: (line) => void writeSync(log, line),
  });
  const bare = floor(origin, entry.kind);
  await bare.run(ms);
  // The first polls of all instances belong to no turn.
  while (load.polls < entry.instances) await load.run(ms / 3);
  await load.run(ms);

  const pairs: { readonly floor: Turn; readonly whole: Turn }[] = [];
  for (let round = 0; round < rounds; round++) {
    pairs.push({ floor: await turn(bare, ms), whole: await turn(load, ms) });
  }
  const tally = load.tally();
  await load.close();
  rmSync(folder, { recursive: true, force: true });

  const ratios = pairs.map(({ floor, whole }) => whole.perCpuSecond / floor.perCpuSecond);
  const ratio = median(ratios);
  const of = (pick: (pair: (typeof pairs)[number]) => number) => median(pairs.map(pick));
  return {
    what: entry.name,
    value: ratio,
    measured:
      `${ratio.toFixed(2)} of the floor (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}): ` +
      `${of(({ whole }) => whole.perCpuSecond).toFixed(0)} polls against ${of(({ floor }) => floor.perCpuSecond).toFixed(0)} requests per CPU second; ` +
      `wall clock ${of(({ whole, floor }) => whole.perSecond / floor.perSecond).toFixed(2)}, ` +
      `${of(({ whole }) => whole.perSecond).toFixed(0)} against ${of(({ floor }) => floor.perSecond).toFixed(0)} per second; ${tally}`,
    ...(entry.reach === null ? {} : { reach: `at least ${entry.reach}`, holds: ratio >= entry.reach }),
  };
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

function floor(origin: string, kind: Entry["kind"]): Contestant {
  const agent = new Agent({ connections: IN_FLIGHT, pipelining: 1 });
  let next = 0;
  return {
    async run(ms) {
      const until = performance.now() + ms;
      let count = 0;
      const one = async () => {
        while (performance.now() < until) {
          // Its own instances, so that those of the cycle see each transition.
          const path = `/v2/p/instances/${kind}-floor-${next++ % 1_000}/tasks?limit=100`;
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
