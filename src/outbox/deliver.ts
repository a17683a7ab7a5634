import type { Readable } from "node:stream";
import { type Dispatcher, request } from "undici";
import type { WebhookConfig } from "../config/config.ts";
import type { Clock } from "../ports/clock.ts";
import { redactUrl } from "../util/redact-url.ts";
import { httpDate, parseRetryAfter } from "../util/retry-after.ts";
import type { Answer } from "./attempt-result.ts";
import type { Message } from "./format.ts";

export interface Sender {
  /** One request, redirects not followed. Rejects only with the signal's reason, when that is aborted. */
  send(message: Message, signal: AbortSignal): Promise<Answer>;
  /** Cuts the connections that are left. */
  close(): Promise<void>;
}

export type SenderSettings = Pick<WebhookConfig, "timeout" | "headers" | "auth">;

/** As much of an answer as is read; the rest is not waited for. */
const ANSWER_BYTES = 64 * 1024;

/** @param version Of the program, for the user agent. */
export function createSender(
  webhook: SenderSettings,
  dispatcher: Dispatcher,
  clock: Clock,
  version: string,
): Sender {
  const base = baseHeaders(webhook, version);
  return {
    async send(message, signal) {
      signal.throwIfAborted();
      const cut = new AbortController();
      const ended = new AbortController();
      const onAbort = () => cut.abort(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      let late = false;
      clock.sleep(webhook.timeout, ended.signal).then(
        () => {
          late = true;
          cut.abort();
        },
        () => undefined,
      );
      try {
        const { statusCode, headers, body } = await request(message.url, {
          dispatcher,
          method: message.method,
          headers: { ...base, ...urlCredentials(message.url, base), ...message.headers },
          body: message.body,
          signal: cut.signal,
        });
        const date = single(headers.date);
        return {
          kind: "answer",
          status: statusCode,
          retryAfter: parseRetryAfter(single(headers["retry-after"]), date, clock.now()),
          date: httpDate(date),
          body: await readBeginning(body),
        };
      } catch (error) {
        signal.throwIfAborted();
        const reason = late || isTimeout(error) ? "timeout" : "network";
        const what = late ? `no answer within ${webhook.timeout} ms` : errorCode(error);
        return { kind: "failed", reason, message: `${redactUrl(message.url)}: ${what}` };
      } finally {
        ended.abort();
        signal.removeEventListener("abort", onAbort);
      }
    },
    close: () => dispatcher.destroy(),
  };
}

/** Never rejects: the status is known, and a body that breaks off does not change what it says. */
async function readBeginning(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  body.on("error", () => undefined);
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      size += chunk.length;
      // Leaving the loop destroys the stream, and with it the connection.
      if (size >= ANSWER_BYTES) break;
    }
  } catch {
    // What arrived is all that there is.
  }
  return Buffer.concat(chunks).subarray(0, ANSWER_BYTES).toString("utf8");
}

function baseHeaders(webhook: SenderSettings, version: string): Record<string, string> {
  const headers: Record<string, string> = { "user-agent": `dms-taskwatch/${version}` };
  for (const [name, value] of Object.entries(webhook.headers)) headers[name.toLowerCase()] = value.reveal();
  if (webhook.auth?.kind === "bearer") headers.authorization = `Bearer ${webhook.auth.token.reveal()}`;
  if (webhook.auth?.kind === "basic")
    headers.authorization = basic(webhook.auth.user, webhook.auth.password.reveal());
  return headers;
}

/** undici passes over `user:password@` in a URL; other clients send it, and so do people expect. */
function urlCredentials(url: string, base: Record<string, string>): Record<string, string> {
  const parsed = URL.parse(url);
  if (parsed === null || (parsed.username === "" && parsed.password === "") || base.authorization) return {};
  return { authorization: basic(decodeURIComponent(parsed.username), decodeURIComponent(parsed.password)) };
}

const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`, "utf8").toString("base64")}`;

const single = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value[0] : value;

const TIMEOUT_CODES = new Set(["UND_ERR_CONNECT_TIMEOUT", "ETIMEDOUT", "ESOCKETTIMEDOUT"]);

const isTimeout = (error: unknown): boolean => TIMEOUT_CODES.has(errorCode(error));

/** The code alone: messages may quote the URL or a header. */
function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return "unknown error";
  if ("code" in error && typeof error.code === "string") return error.code;
  if (error.cause instanceof Error) return errorCode(error.cause);
  return error.name;
}
