import type { Clock } from "../ports/clock.ts";

const PERIOD_MS = 1_000;

/**
 * Calls `onTick` at each full second of the wall clock, until the signal is aborted; `onTick` must not throw. A clock
 * that is set, either way, only shifts the next tick. node-cron, which reads the schedules, does not run this one:
 * after a clock that went ahead it walks through each second that it missed, and holds the event loop meanwhile, for
 * seconds per day.
 */
export function startTicker(clock: Clock, onTick: () => void, signal: AbortSignal): void {
  const run = async () => {
    for (;;) {
      await clock.sleep(PERIOD_MS - (clock.now() % PERIOD_MS), signal);
      onTick();
    }
  };
  // It ends by the signal alone.
  run().catch(() => {});
}
