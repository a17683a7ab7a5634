import { randomUUID } from "node:crypto";
import { Exposition } from "../src/observe/exposition.ts";
import { Metrics } from "../src/observe/metrics.ts";
import type { InstanceView } from "../src/observe/view.ts";
import { systemClock } from "../src/platform/clock.ts";
import { record, T0, task, view } from "../test/observe/views.ts";

/*
 * Time of one scrape and the longest that it held the event loop: 4 task names per instance, 5 % of the instances
 * with open tasks. The hold is the longest gap between turns of a loop that does nothing but turn. The first scrapes
 * are printed apart: they are slower, and real ones come cold.
 */
const NAMES = ["modifyAutoTopic", "restartInstance", "resizeInstance", "partitionReassign"];
const SCRAPES = 30;

function instances(count: number): readonly InstanceView[] {
  return Array.from({ length: count }, (_, i) => {
    const busy = i % 20 === 0;
    return view({
      record: record({
        instanceId: randomUUID(),
        name: `orders-${i}`,
        ended: NAMES.map((name) => ({ name, successAt: T0 - i * 1000 - 7, failureAt: null })),
      }),
      tasks: busy ? NAMES.map((name, n) => task({ id: `${i}-${n}`, name })) : [],
    });
  });
}

interface Scrape {
  readonly ms: number;
  /** Of this process; less than `ms` where the machine has other work. */
  readonly cpu: number;
  /** The longest that nothing else ran, and how much of it was this thread's own work. */
  readonly hold: number;
  readonly ownHold: number;
}

function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

async function scrape(exposition: Exposition): Promise<Scrape & { readonly buffers: readonly Buffer[] }> {
  let hold = 0;
  let ownHold = 0;
  let lastOwn = threadMs();
  let turning = true;
  let last = performance.now();
  const turn = (): void => {
    const now = performance.now();
    const own = threadMs();
    hold = Math.max(hold, now - last);
    ownHold = Math.max(ownHold, own - lastOwn);
    last = now;
    lastOwn = own;
    if (turning) setImmediate(turn);
  };
  setImmediate(turn);
  const from = performance.now();
  const cpuFrom = process.cpuUsage();
  const buffers = await exposition.render("openmetrics");
  const cpu = process.cpuUsage(cpuFrom);
  const ms = performance.now() - from;
  await new Promise(setImmediate);
  turning = false;
  return { ms, cpu: (cpu.user + cpu.system) / 1000, hold, ownHold, buffers };
}

const quantile = (values: readonly number[], q: number): number =>
  [...values].sort((a, b) => a - b)[Math.ceil(q * values.length) - 1] ?? Number.NaN;

for (const count of [1_000, 10_000]) {
  const metrics = new Metrics();
  metrics.collectDefaults();
  const views = instances(count);
  const exposition = new Exposition({
    metrics,
    instances: () => views,
    keepEndsMs: () => Number.POSITIVE_INFINITY,
    clock: systemClock,
  });
  const first = await scrape(exposition);
  const runs: Scrape[] = [];
  for (let i = 0; i < SCRAPES; i++) {
    const { buffers: _, ...run } = await scrape(exposition);
    runs.push(run);
  }
  const text = Buffer.concat([...first.buffers]).toString();
  const series = text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length;
  const times = runs.map((run) => run.ms);
  const holds = runs.map((run) => run.hold);
  console.log(
    `${count} instances: ${series} series, ${(text.length / 1e6).toFixed(1)} MB in ${first.buffers.length} buffers; ` +
      `first scrape ${first.ms.toFixed(0)} ms, then median ${quantile(times, 0.5).toFixed(0)} ms, ` +
      `CPU median ${quantile(
        runs.map((run) => run.cpu),
        0.5,
      ).toFixed(
        0,
      )} ms, p95 ${quantile(times, 0.95).toFixed(0)} ms, worst ${Math.max(...times).toFixed(0)} ms; ` +
      `event loop held at most ${Math.max(first.hold, ...holds).toFixed(1)} ms (median of the scrapes ${quantile(holds, 0.5).toFixed(1)} ms), ` +
      `by its own work at most ${Math.max(first.ownHold, ...runs.map((run) => run.ownHold)).toFixed(1)} ms`,
  );
}
