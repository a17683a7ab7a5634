import { appendFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

/*
 * Loaded into the daemon with --import: writes once a second how long its event loop was held, in milliseconds. The
 * measure is a timer, so what it counts above its own resolution is what everybody else waits.
 */
const RESOLUTION_MS = 5;
const file = process.env.BENCH_LOOP_FILE;
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();
if (file) {
  setInterval(() => {
    const held = Math.max(0, delay.max / 1e6 - RESOLUTION_MS);
    delay.reset();
    appendFileSync(file, `${Date.now()} ${held.toFixed(1)}\n`);
  }, 1_000).unref();
}
