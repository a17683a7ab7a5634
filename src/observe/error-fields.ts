import { CloudError, StoreError, UsageError } from "../errors.ts";
import { redactUrl } from "../util/redact-url.ts";

/** An error as the log shows it. */
export interface ErrorFields {
  readonly type: string;
  readonly message: string;
  /** Only of errors that nobody foresaw. */
  readonly stack?: string;
  readonly code?: string;
  /** Of a CloudError: its cause in the closed set. */
  readonly reason?: string;
  readonly status?: number;
  readonly request_id?: string;
  /** What is below, outermost first: network errors say there what really happened. */
  readonly causes?: readonly string[];
  readonly errors?: readonly ErrorFields[];
}

const DEEPEST = 4;
const LONGEST = 2000;
const URLS = /\b[a-z][a-z0-9+.-]*:\/\/[^\s"'<>`]+/gi;

/** Errors that are part of the work have no stack: it would say where the code is, not what happened. */
export function errorFields(error: unknown): ErrorFields {
  if (!(error instanceof Error)) return { type: typeof error, message: text(String(error)) };
  const causes = causesOf(error);
  const fields: ErrorFields = {
    type: error.name,
    message: text(error.message),
    ...(causes.length > 0 ? { causes } : {}),
  };
  if (error instanceof CloudError) {
    return {
      ...fields,
      reason: error.reason,
      ...(error.status === null ? {} : { status: error.status }),
      ...(error.code === null ? {} : { code: text(error.code) }),
      ...(error.requestId === null ? {} : { request_id: text(error.requestId) }),
    };
  }
  if (error instanceof StoreError) return { ...fields, code: error.code };
  if (error instanceof UsageError) return fields;
  const code = codeOf(error);
  return {
    ...fields,
    ...(code === null ? {} : { code }),
    ...(error.stack === undefined ? {} : { stack: text(error.stack) }),
    ...(error instanceof AggregateError ? { errors: error.errors.slice(0, 5).map(errorFields) } : {}),
  };
}

function causesOf(error: Error): readonly string[] {
  const causes: string[] = [];
  let cause = error.cause;
  while (cause !== undefined && causes.length < DEEPEST) {
    if (!(cause instanceof Error)) return [...causes, text(String(cause))];
    const code = codeOf(cause);
    causes.push(text(code === null ? cause.message : `${code}: ${cause.message}`));
    cause = cause.cause;
  }
  return causes;
}

function codeOf(error: Error): string | null {
  return "code" in error && typeof error.code === "string" ? error.code : null;
}

/** A URL in an error may be a webhook's or carry a password, and a text may be as long as an answer. */
function text(value: string): string {
  const cut = value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value;
  return cut.replace(URLS, (url) =>
    url.startsWith("file://") || url.startsWith("node:") ? url : redactUrl(url),
  );
}
