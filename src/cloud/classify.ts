import type { Cause } from "../core/cause.ts";
import { CloudError } from "../errors.ts";
import { parseRetryAfter } from "../util/retry-after.ts";
import { readErrorBody } from "./error-body.ts";
import type { HttpAnswer } from "./http.ts";
import { redact } from "./redact.ts";

/** The gateway refuses a signature that is off by more. */
const LARGEST_SKEW_MS = 15 * 60_000;

/** Codes of the gateway, without their prefix: `APIGW.` and `APIG.` mean the same. */
const GATEWAY = /^APIG(?:W)?\.(\d{4})$/i;
const GATEWAY_REFUSALS: ReadonlySet<string> = new Set(["0302", "0306", "0310", "0802"]);

/** "The token must be updated". */
const STALE_TOKEN = "0307";

/** Throttling that hides behind another status. Bare codes: some services leave the prefix out. */
const THROTTLED: ReadonlySet<string> = new Set(["10240407", "00400973"]);
const NO_SUCH_INSTANCE = "00404022";
/** 404s that speak of the URL, a queue or a group, not of the task. */
const NOT_OF_TASK: ReadonlySet<string> = new Set([
  ...THROTTLED,
  NO_SUCH_INSTANCE,
  "10240401",
  "10240405",
  "10240406",
  "10240426",
  "10540401",
]);
const PAGE_SIZE = "10240042";

export interface Scene {
  /** Host or origin, for the message. */
  readonly where: string;
  /** Local wall clock, epoch milliseconds. */
  readonly now: number;
  readonly secrets: readonly string[];
  /** The refused call was signed, so that a wrong clock can be why. */
  readonly signed: boolean;
}

/** The error that a refusal (any answer but 2xx) stands for. */
export function classify(answer: HttpAnswer, scene: Scene): CloudError {
  const { status } = answer;
  const said = readErrorBody(answer.body);
  const code = said.code === null ? null : redact(said.code, scene.secrets).slice(0, 64);
  const date = httpDate(answer);
  const skew = date === null || !scene.signed ? 0 : date - scene.now;
  const reason = causeOf(status, code, skew);
  const words = said.message === null ? "" : `: ${redact(said.message, scene.secrets)}`;
  // IAM calls the status itself the code.
  const shown = code === null || code === `${status}` ? "" : ` ${code}`;
  const clock =
    reason === "clock_skew"
      ? `; the local clock is ${Math.round(Math.abs(skew) / 60_000)} min ${skew > 0 ? "behind" : "ahead"}`
      : "";
  return new CloudError(reason, `${scene.where} answered ${status}${shown}${words}${clock}`, {
    status,
    code,
    requestId: requestIdOf(answer, said.requestId),
    retryAfter: parseRetryAfter(
      answer.header("retry-after") ?? undefined,
      answer.header("date") ?? undefined,
      scene.now,
    ),
  });
}

function causeOf(status: number, code: string | null, skew: number): Cause {
  const gateway = GATEWAY.exec(code ?? "")?.[1] ?? null;
  if (status === 429 || gateway === "0308" || THROTTLED.has(bare(code))) return "throttled";
  if (status === 401) return Math.abs(skew) > LARGEST_SKEW_MS ? "clock_skew" : "credentials_rejected";
  if (status === 403) {
    return gateway !== null && GATEWAY_REFUSALS.has(gateway) ? "credentials_rejected" : "permission_denied";
  }
  if (status === 404) return bare(code) === NO_SUCH_INSTANCE ? "not_found" : "bad_response";
  if (status === 407) return "endpoint_unreachable";
  if (status === 408) return "timeout";
  return status >= 500 ? "server_error" : "bad_response";
}

/** Did the cloud refuse who is asking? Then no call with these credentials may follow for a while. */
export function refusesCredentials(error: CloudError): boolean {
  return error.reason === "credentials_rejected" || error.reason === "clock_skew";
}

/** The token is known but out of date: a new one helps. */
export function asksForNewToken(error: CloudError): boolean {
  return error.status === 401 && GATEWAY.exec(error.code ?? "")?.[1] === STALE_TOKEN;
}

/** A 404 that says that the task is not there, and nothing else. */
export function speaksOfTask(error: CloudError): boolean {
  return (
    error.status === 404 && /^(DMS\.)?\d{8,}$/i.test(error.code ?? "") && !NOT_OF_TASK.has(bare(error.code))
  );
}

export function refusesPageSize(error: CloudError): boolean {
  return (
    error.status === 400 && (bare(error.code) === PAGE_SIZE || /\b(page size|limit)\b/i.test(error.message))
  );
}

/** Epoch milliseconds of the Date header; null where it is missing or none. */
export function httpDate(answer: HttpAnswer): number | null {
  const time = Date.parse(answer.header("date") ?? "");
  return Number.isNaN(time) ? null : time;
}

export function requestIdOf(answer: HttpAnswer, inBody: string | null): string | null {
  const id = answer.header("x-request-id") ?? inBody ?? answer.header("x-iam-trace-id");
  return id !== null && /^[\w.:-]{1,64}$/.test(id) ? id : null;
}

function bare(code: string | null): string {
  return (code ?? "").replace(/^[A-Za-z]+\./, "");
}
