import type { Cause, CloudAnswer } from "./cause.ts";
import type { TaskFields } from "./task-fields.ts";

/** The seven statuses that the cloud documents. The set is open: any other text is a status too, and not final. */
export const STATUSES = [
  "CREATED",
  "WAITING",
  "EXECUTING",
  "SUCCESS",
  "FAILED",
  "CANCELLED",
  "DELETED",
] as const;

const KNOWN: ReadonlySet<string> = new Set(STATUSES);
const FINAL: ReadonlySet<string> = new Set(["SUCCESS", "FAILED", "CANCELLED", "DELETED"]);

export const ENGINES = ["kafka", "rabbitmq", "rocketmq"] as const;
export type Engine = (typeof ENGINES)[number];

export const isKnownStatus = (status: string): boolean => KNOWN.has(status);
export const isFinal = (status: string): boolean => FINAL.has(status);
export const isOpen = (status: string): boolean => !FINAL.has(status);

/** Status as a metric label: one of the seven, or `OTHER`. */
export const statusLabel = (status: string): string => (KNOWN.has(status) ? status : "OTHER");

/** One task as a listing shows it. Names and parameters are as the cloud gives them. */
export interface ObservedTask extends TaskFields {
  /** Never empty. */
  readonly id: string;
  /** May be empty. */
  readonly name: string;
  /** Upper case, never empty. */
  readonly status: string;
}

/** A stretch of time by the cloud's clock, epoch milliseconds, both ends included to the second. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

/** The result of one poll. Ids are distinct. */
export interface Listing {
  readonly tasks: readonly ObservedTask[];
  /** Rows that could not be read. They are never "gone"; `id` is null where not even that was there. */
  readonly malformed: readonly { readonly id: string | null; readonly problem: string }[];
  /** True only if every task of the window was read. A partial listing never proves an absence. */
  readonly complete: boolean;
  /** Why the listing is not complete; null if it is. */
  readonly gap: string | null;
  /** The gap as one of the closed set: that of the call that failed, or `bad_response` where paging did not add up. */
  readonly cause: Cause | null;
  /** Of the call that failed; null where none did. */
  readonly answer: CloudAnswer | null;
  /** The list is complete, and the cloud's count says more than it holds. */
  readonly countedMore: boolean;
  readonly window: Window;
  /** The cloud's clock when it answered, from the Date header; the local clock where there was none. */
  readonly cloudNow: number;
}

/** What the cloud tells of how far a task is. */
export interface TaskProgress {
  /** 0 to 1; null where the answer gives none. */
  readonly ratio: number | null;
  /** The cloud's own figure, whose unit is not documented for every service: to be shown, not to be counted with. */
  readonly remainTime: number | null;
  readonly steps: readonly TaskStep[];
}

export interface TaskStep {
  readonly name: string;
  /** In capitals, such as `IN_PROGRESS`; the set is open. Null where the cloud gives none. */
  readonly state: string | null;
  /** Epoch milliseconds by the cloud's clock; null for a step that has not begun or ended. */
  readonly startedAt: number | null;
  readonly endedAt: number | null;
}

/** What asking for one task by its id gave. `gone` is a 404 that speaks of the task; anything doubtful is `unclear`. */
export type Lookup =
  | { readonly kind: "found"; readonly task: ObservedTask }
  | { readonly kind: "gone" }
  | { readonly kind: "unclear"; readonly problem: string };

/**
 * Which of two sightings of one task to believe, whatever order they came in: the one updated later, else the
 * one in a final status, else the greater text, so that the choice never depends on the order.
 */
export function newerSighting(a: ObservedTask, b: ObservedTask): ObservedTask {
  const byUpdate = (a.updatedAt ?? 0) - (b.updatedAt ?? 0);
  if (byUpdate !== 0) return byUpdate > 0 ? a : b;
  if (isFinal(a.status) !== isFinal(b.status)) return isFinal(a.status) ? a : b;
  return a.status >= b.status ? a : b;
}
