import type { Cause, CloudAnswer } from "./core/cause.ts";

/** A call to the cloud that did not give an answer to use. `message` is safe to log: secrets are taken out. */
export class CloudError extends Error {
  override readonly name = "CloudError";
  /** From the closed set that metrics and events carry. */
  readonly reason: Cause;
  /** HTTP status, null when there was no answer. */
  readonly status: number | null;
  /** The cloud's own code, such as `APIGW.0301`. */
  readonly code: string | null;
  readonly requestId: string | null;
  /** Milliseconds that the cloud asked to wait, null when it did not say. */
  readonly retryAfter: number | null;

  constructor(
    reason: Cause,
    message: string,
    detail: {
      status?: number | null;
      code?: string | null;
      requestId?: string | null;
      retryAfter?: number | null;
      cause?: unknown;
    } = {},
  ) {
    super(message, detail.cause === undefined ? {} : { cause: detail.cause });
    this.reason = reason;
    this.status = detail.status ?? null;
    this.code = detail.code ?? null;
    this.requestId = detail.requestId ?? null;
    this.retryAfter = detail.retryAfter ?? null;
  }

  /** Null where nothing identifies the answer, or there was none. */
  get answer(): CloudAnswer | null {
    const { code: errorCode, requestId } = this;
    return errorCode === null && requestId === null ? null : { errorCode, requestId };
  }
}

/**
 * `unavailable`: the store did not answer, the outcome of a write is unknown. `locked`: another daemon has the
 * file. `newer`: written by a newer version. `corrupt`: the database is damaged as a whole. `full`, `read_only`: as
 * they say. `mismatch`: the configuration does not fit the store. `unreadable`: one record cannot be read.
 */
export type StoreErrorCode =
  | "unavailable"
  | "locked"
  | "newer"
  | "corrupt"
  | "full"
  | "read_only"
  | "mismatch"
  | "unreadable";

export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.code = code;
  }
}

/** Something the operator must mend before the program can do what was asked: exit code 2, no stack trace. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
