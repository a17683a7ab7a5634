/** Milliseconds, both ends included. */
export interface BackoffRange {
  readonly min: number;
  readonly max: number;
}

/**
 * Full jitter over exponential growth: evenly between `min` and `min * 2^attempt`, never above `max`.
 * @param attempt Failures so far, from 1.
 * @param random In [0, 1).
 */
export function backoff(attempt: number, range: BackoffRange, random: number): number {
  const ceiling = Math.min(range.max, range.min * 2 ** Math.max(attempt, 1));
  return Math.round(range.min + random * Math.max(0, ceiling - range.min));
}
