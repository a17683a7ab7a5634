import { setTimeout as wait } from "node:timers/promises";
import type { Clock } from "../ports/clock.ts";

/** setTimeout fires at once for longer waits; a chain of shorter ones does not. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  async sleep(ms, signal) {
    let left = ms;
    try {
      do {
        await wait(Math.min(Math.max(left, 0), LONGEST_TIMER_MS), undefined, signal ? { signal } : {});
        left -= LONGEST_TIMER_MS;
      } while (left > 0);
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    }
  },
  after(ms, act) {
    let timer: NodeJS.Timeout;
    const start = (left: number): void => {
      const next = () => (left > LONGEST_TIMER_MS ? start(left - LONGEST_TIMER_MS) : act());
      timer = setTimeout(next, Math.min(Math.max(left, 0), LONGEST_TIMER_MS));
    };
    start(ms);
    return () => clearTimeout(timer);
  },
};
