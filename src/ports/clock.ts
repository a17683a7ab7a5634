/** Time as the program sees it. Nobody outside `src/platform` reads a clock or starts a timer for a wait. */
export interface Clock {
  /** Wall clock, epoch milliseconds. May jump either way. */
  now(): number;
  /** Milliseconds since an arbitrary start. Never jumps; for deadlines and durations. */
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason as soon as it is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `act` once after `ms`, unless the returned function was called before. Cheap enough for every call. */
  after(ms: number, act: () => void): () => void;
}

/** A number in [0, 1), for jitter. */
export type Random = () => number;
