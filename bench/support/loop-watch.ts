import { appendFileSync } from "node:fs";

/*
 * Loaded into the daemon with --import: writes once a second how long its event loop was held, in milliseconds, and how
 * much of that the thread itself worked; the rest is other work of the machine. The measure is a timer: what it is late
 * is what everybody else waits.
 */
const RESOLUTION_MS = 5;
const file = process.env.BENCH_LOOP_FILE;

const threadMs = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
};

if (file) {
  let last = performance.now();
  let lastOwn = threadMs();
  let held = 0;
  let own = 0;
  setInterval(() => {
    const now = performance.now();
    const nowOwn = threadMs();
    if (now - last - RESOLUTION_MS > held) {
      held = now - last - RESOLUTION_MS;
      own = nowOwn - lastOwn;
    }
    last = now;
    lastOwn = nowOwn;
  }, RESOLUTION_MS).unref();
  setInterval(() => {
    appendFileSync(file, `${Date.now()} ${held.toFixed(1)} ${own.toFixed(1)}\n`);
    [held, own] = [0, 0];
  }, 1_000).unref();
}
