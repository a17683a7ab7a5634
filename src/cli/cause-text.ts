import type { Cause } from "../core/cause.ts";
import { CloudError, UsageError } from "../errors.ts";

/** What a cause means to whoever runs a command, and what to look at. */
const CAUSE_TEXT: Readonly<Record<Cause, string>> = {
  credentials_rejected: "the credentials were refused",
  permission_denied: "these credentials may not read this",
  not_found: "there is no such instance in this project",
  throttled: "too many requests, the cloud asks to slow down",
  timeout: "no answer in time",
  endpoint_unreachable: "the endpoint cannot be reached",
  bad_response: "the answer cannot be used",
  server_error: "the cloud has trouble of its own",
  clock_skew: "the clock of this machine is wrong",
};

/** Why a call gave nothing, in plain words, with the cloud's own behind them. Throws what is not about the cloud. */
export function failureText(error: unknown): string {
  if (error instanceof UsageError) return error.message;
  if (!(error instanceof CloudError)) throw error;
  const request = error.requestId === null ? "" : ` (request ${error.requestId})`;
  return `${CAUSE_TEXT[error.reason]}: ${error.message}${request}`;
}
