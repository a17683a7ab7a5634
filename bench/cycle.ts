import { parseArgs } from "node:util";
import { cycleFigure, type Entry } from "./support/cycle-entry.ts";
import { type Figure, report } from "./support/report.ts";
import { resultOf } from "./support/shipped.ts";

/*
 * The whole poll cycle (queue, budget, sign, request, decode, decide, commit, metrics, log) against the bare floor,
 * undici's request and JSON.parse of the same page from the same server: both with the same number of requests in
 * flight, both warm, in turns in one run. Each line is measured in a process of its own, under the flags that the
 * program is started with. Rates are per CPU second of that process: the server, Redis and whatever else the machine
 * does are not counted.
 */
const { values: args } = parseArgs({
  options: {
    /** Of one turn. */
    seconds: { type: "string", default: "3" },
    rounds: { type: "string", default: "3" },
    /** Only those whose names begin with it, such as `nothing changed, SQLite`. */
    only: { type: "string", default: "" },
    /** The one to measure here, by its number; for a profile. */
    entry: { type: "string" },
  },
});

const ONE = { projects: 1, instances: 1_000 };
const FORTY = { projects: 40, instances: 20_000 };
const ENTRIES: readonly Entry[] = [
  { name: "nothing changed, SQLite, 1 project", reach: 0.6, kind: "idle", store: "SQLite", ...ONE },
  { name: "nothing changed, SQLite, 40 projects", reach: 0.6, kind: "idle", store: "SQLite", ...FORTY },
  { name: "nothing changed, Redis, 1 project", reach: 0.6, kind: "idle", store: "Redis", ...ONE },
  { name: "nothing changed, Redis, 40 projects", reach: 0.6, kind: "idle", store: "Redis", ...FORTY },
  { name: "one transition per poll, SQLite", reach: 0.35, kind: "busy", store: "SQLite", ...ONE },
  { name: "one transition per poll, Redis", reach: null, kind: "busy", store: "Redis", ...ONE },
  {
    name: "one transition and one delivery queued per poll, SQLite",
    reach: null,
    kind: "busy",
    store: "SQLite",
    deliveries: true,
    ...ONE,
  },
];

const one = ENTRIES[Number(args.entry)];
if (one) {
  console.log(JSON.stringify(await cycleFigure(one, Number(args.seconds) * 1_000, Number(args.rounds))));
  process.exit(0);
}
const figures: Figure[] = [];
for (const [index, { name }] of ENTRIES.entries()) {
  if (!name.startsWith(args.only)) continue;
  const { seconds, rounds } = args;
  figures.push(
    resultOf("bench/cycle.ts", ["--seconds", seconds, "--rounds", rounds, "--entry", String(index)]),
  );
}
report("Poll cycle against undici request + JSON.parse", figures);
