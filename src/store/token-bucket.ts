/** What is left of a budget. `at` is on any clock in milliseconds, the same one for each call. */
export interface Bucket {
  readonly tokens: number;
  readonly at: number;
}

export interface Taken {
  readonly bucket: Bucket;
  /** Whole tokens, never more than wanted. */
  readonly granted: number;
  /** Milliseconds until one token is there; 0 where some were granted or none were wanted. */
  readonly retryIn: number;
}

/**
 * What a bucket holds, in seconds of its rate. A second would be allowed; but a call arrives a moment after its token
 * was taken, and what came late from before must find room beside a whole bucket.
 */
const HOLDS_SECONDS = 0.8;

/**
 * Takes up to `want` tokens. A bucket holds less than one second's worth, at least one token, and starts empty, so
 * that a start, a restart or a lost bucket never grants a burst. A clock that went back adds nothing.
 */
export function takeTokens(bucket: Bucket | null, ratePerSecond: number, want: number, now: number): Taken {
  const capacity = Math.max(1, ratePerSecond * HOLDS_SECONDS);
  const elapsed = bucket === null ? 0 : Math.max(0, now - bucket.at);
  const filled = Math.min(capacity, (bucket?.tokens ?? 0) + (elapsed * ratePerSecond) / 1000);
  const granted = Math.max(0, Math.min(Math.floor(want), Math.floor(filled)));
  const missing = granted > 0 || want < 1 ? 0 : 1 - filled;
  return {
    bucket: { tokens: filled - granted, at: now },
    granted,
    retryIn: Math.ceil((missing * 1000) / ratePerSecond),
  };
}
