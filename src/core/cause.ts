/**
 * Why a poll failed. The set is closed: it is the metric label `reason`, the event's `cause`, and what
 * rules are written against. The cloud's own codes are mapped to it in `cloud/classify.ts`.
 */
export const CAUSES = [
  "credentials_rejected",
  "permission_denied",
  "not_found",
  "throttled",
  "timeout",
  "endpoint_unreachable",
  "bad_response",
  "server_error",
  "clock_skew",
] as const;

export type Cause = (typeof CAUSES)[number];

/** What identifies the cloud's answer that gave a cause, for a support case. */
export interface CloudAnswer {
  /** The cloud's own code, such as `APIGW.0301`. */
  readonly errorCode: string | null;
  readonly requestId: string | null;
}

/** Causes that say something about one instance only, and never about its project. */
export const INSTANCE_ONLY_CAUSES: ReadonlySet<Cause> = new Set(["not_found", "permission_denied"]);
