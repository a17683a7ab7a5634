import { backoff } from "../core/backoff.ts";

/** Whether a webhook is taken for down. Open: one delivery at a time, with growing waits between. */
export interface Breaker {
  readonly open: boolean;
  /** Failures in a row. */
  readonly failures: number;
  /** Failed probes since it opened. */
  readonly probes: number;
}

export const CLOSED: Breaker = { open: false, failures: 0, probes: 0 };

/** Failures in a row that open the breaker. */
export const OPENS_AFTER = 3;
/** However long `retry.max` is, a webhook that is back is found within this time. */
const LONGEST_PROBE_WAIT_MS = 5 * 60_000;

/**
 * After one more failure that may pass. `wait` is the time in which nothing is sent, 0 while closed.
 * @param probe Whether the attempt began while the breaker was open: the others were on their way already and
 *   do not lengthen the wait.
 */
export function afterFailure(
  breaker: Breaker,
  probe: boolean,
  range: { readonly min: number; readonly max: number },
  random: number,
): { readonly breaker: Breaker; readonly wait: number } {
  const failures = breaker.failures + 1;
  if (!breaker.open && failures < OPENS_AFTER) return { breaker: { ...breaker, failures }, wait: 0 };
  if (breaker.open && !probe) return { breaker: { ...breaker, failures }, wait: 0 };
  const probes = breaker.open ? breaker.probes + 1 : 1;
  const max = Math.max(range.min, Math.min(range.max, LONGEST_PROBE_WAIT_MS));
  return {
    breaker: { open: true, failures, probes },
    wait: backoff(probes, { min: range.min, max }, random),
  };
}
