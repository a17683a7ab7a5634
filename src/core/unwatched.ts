import type { Cause, CloudAnswer } from "./cause.ts";

/** Why a project, or a part of it, is not watched. */
export interface Unwatched {
  /** Null until a first try has failed. */
  readonly cause: Cause | null;
  /** The cloud's last answer, where there was one. */
  readonly answer: CloudAnswer | null;
  /** Epoch milliseconds. */
  readonly since: number;
  /** True when tries failed often enough to tell people, or when no further try can help. */
  readonly confirmed: boolean;
  /** A clause for people, without secrets. */
  readonly reason: string;
}

/** Tries of one kind, to look a project id up or to list instances, that failed in a row. */
export interface FailedTries {
  readonly count: number;
  /** Of the last one. */
  readonly cause: Cause;
  readonly answer: CloudAnswer | null;
  /** Without secrets. */
  readonly message: string;
}

const TRIES = 3;

export const failedAgain = (before: FailedTries | null, last: Omit<FailedTries, "count">): FailedTries => ({
  ...last,
  count: (before?.count ?? 0) + 1,
});

/**
 * @param what the fact that is missing, such as "its project id is not known"
 * @param tries that failed so far; null before the first one has ended
 */
export function unwatchedFor(what: string, tries: FailedTries | null, since: number): Unwatched {
  if (tries === null) return { cause: null, answer: null, since, confirmed: false, reason: what };
  const { count, cause, answer, message } = tries;
  // The key guard lets one call pass in five minutes after a refusal: three tries would take too long.
  const confirmed = count >= TRIES || cause === "credentials_rejected" || cause === "clock_skew";
  return { cause, answer, since, confirmed, reason: `${what}: ${message}` };
}

/**
 * Stands for the id of a project whose own id is not known, in its record and in its events. No id of the cloud has
 * a colon.
 */
export const placeholderId = (projectName: string): string => `unknown:${projectName}`;
