import type { WebhookReason } from "../ports/telemetry.ts";
import { assertNever } from "../util/assert-never.ts";

/** What one attempt means for its events. */
export type AttemptResult =
  | { readonly kind: "delivered" }
  /** No attempt can succeed: dead letter at once. */
  | { readonly kind: "refused"; readonly reason: "refused" }
  /** The receiver is gone on purpose: the webhook is disabled. */
  | { readonly kind: "disable"; readonly reason: "disabled" }
  | {
      readonly kind: "retry";
      readonly reason: Exclude<WebhookReason, "disabled">;
      /** Which of the two retry times ends the attempts. */
      readonly group: "for" | "refused_for";
      /** Milliseconds that the receiver asked to wait with everything, null when it did not. */
      readonly retryAfter: number | null;
    };

/** What came back from one request. */
export type Answer =
  | {
      readonly kind: "answer";
      readonly status: number;
      /** Milliseconds, as asked for; not capped. */
      readonly retryAfter: number | null;
      /** What its clock shows, epoch milliseconds; null when it does not say. */
      readonly date: number | null;
      /** The beginning of the answer's body. */
      readonly body: string;
    }
  | {
      readonly kind: "failed";
      readonly reason: "timeout" | "network";
      /** Safe to log. */
      readonly message: string;
    };

const REFUSED = new Set([400, 411, 413, 414, 415, 422, 431]);
/** Wrong credentials, path or method: a person can mend them within the shorter time. Redirects are of this kind. */
const MENDABLE = new Set([401, 403, 404, 405]);

/** The table of answers. A format may overrule it by what the body says. */
export function classifyAnswer(answer: Answer): AttemptResult {
  switch (answer.kind) {
    case "failed":
      return { kind: "retry", reason: answer.reason, group: "for", retryAfter: null };
    case "answer":
      return verdictOfStatus(answer.status, answer.retryAfter);
    default:
      return assertNever(answer);
  }
}

function verdictOfStatus(status: number, retryAfter: number | null): AttemptResult {
  if (status >= 200 && status <= 299) return { kind: "delivered" };
  if (REFUSED.has(status)) return { kind: "refused", reason: "refused" };
  if (status === 410) return { kind: "disable", reason: "disabled" };
  const group = MENDABLE.has(status) || (status >= 300 && status <= 399) ? "refused_for" : "for";
  return { kind: "retry", reason: reasonOfStatus(status), group, retryAfter };
}

function reasonOfStatus(status: number): "refused" | "timeout" | "throttled" | "server_error" {
  if (status === 408) return "timeout";
  if (status === 425 || status === 429) return "throttled";
  return status >= 500 ? "server_error" : "refused";
}
