import { schedule } from "node-cron";
import type { Clock } from "../ports/clock.ts";

const PERIOD_MS = 1_000;
/** So long without a tick, and the wall clock was set back: node-cron would wait until it has caught up. */
const SILENCE_MS = 3 * PERIOD_MS;

/**
 * Calls `onTick` every second by node-cron, until the signal is aborted. A tick that comes late is a tick; a clock
 * that was set, either way, only shifts the next one.
 */
export function startTicker(clock: Clock, onTick: () => void, signal: AbortSignal): void {
  let last = clock.monotonic();
  const start = () =>
    schedule(
      "* * * * * *",
      () => {
        last = clock.monotonic();
        onTick();
      },
      // In UTC, because a zone with changes of the clock has an hour that node-cron skips.
      { timezone: "UTC", missedExecutionTolerance: PERIOD_MS, suppressMissedWarning: true },
    );
  let task = start();
  const watch = async () => {
    while (!signal.aborted) {
      await clock.sleep(PERIOD_MS, signal);
      if (clock.monotonic() - last < SILENCE_MS) continue;
      void task.destroy();
      last = clock.monotonic();
      onTick();
      task = start();
    }
  };
  watch().catch(() => {});
  signal.addEventListener("abort", () => void task.destroy(), { once: true });
}
