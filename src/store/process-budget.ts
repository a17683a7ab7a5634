import type { Clock } from "../ports/clock.ts";
import type { Budget } from "../ports/store.ts";
import { type Bucket, takeTokens } from "./token-bucket.ts";

/** The budget of a store that only one daemon uses: a bucket per project in memory, by the clock that never jumps. */
export function processBudget(clock: Clock): Budget {
  const buckets = new Map<string, Bucket>();
  return {
    take(projectId, ratePerSecond, want) {
      const taken = takeTokens(buckets.get(projectId) ?? null, ratePerSecond, want, clock.monotonic());
      buckets.set(projectId, taken.bucket);
      return { granted: taken.granted, retryIn: taken.retryIn };
    },
  };
}
