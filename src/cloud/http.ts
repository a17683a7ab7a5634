import type { Dispatcher } from "undici";
import { CloudError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import { decompress } from "./decompress.ts";
import { exchangeError } from "./exchange-error.ts";

export interface HttpRequest {
  readonly method: "GET" | "POST" | "PUT";
  readonly origin: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
}

export interface HttpLimits {
  /** For the whole exchange, from the wait for a connection to the last byte, milliseconds. */
  readonly timeoutMs: number;
  /** Of the body as it is after decompression. */
  readonly maxBytes: number;
}

export interface HttpAnswer {
  readonly status: number;
  /** The first value where a header is repeated; null where it is missing. Lower-case names. */
  header(name: string): string | null;
  readonly body: string;
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/**
 * One HTTP exchange. Redirects are answers like others, never followed.
 * Rejects with a `CloudError` (`timeout`, `endpoint_unreachable`, `bad_response`), or with the signal's reason.
 */
export function exchange(
  dispatcher: Pick<Dispatcher, "dispatch">,
  request: HttpRequest,
  limits: HttpLimits,
  clock: Clock,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    let controller: Dispatcher.DispatchController | null = null;
    let settled = false;
    let status = 0;
    let headers: Headers = {};
    let size = 0;
    const chunks: Buffer[] = [];

    const settle = (): boolean => {
      if (settled) return false;
      settled = true;
      release();
      signal.removeEventListener("abort", onAbort);
      return true;
    };
    const fail = (error: unknown): void => {
      if (!settle()) return;
      reject(error);
      // Without a controller the request still waits for a connection: onRequestStart drops it then.
      controller?.abort(error instanceof Error ? error : new Error("aborted", { cause: error }));
    };
    const onAbort = (): void => fail(signal.reason);
    // One timer for each call: Node keeps timers of one length in a list, so that one costs 0.1 to 0.3 microseconds;
    // one that all calls of a project shared cost a fifth of all CPU where each project had one call in flight.
    const release = clock.after(limits.timeoutMs, () =>
      fail(
        new CloudError(
          "timeout",
          `no whole answer from ${request.origin} within ${limits.timeoutMs / 1000} s`,
          { status: status || null },
        ),
      ),
    );
    signal.addEventListener("abort", onAbort, { once: true });

    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(started) {
        controller = started;
        if (settled) started.abort(new Error("given up before it was sent"));
      },
      onResponseStart(_controller, code, received) {
        if (code < 200) return;
        status = code;
        headers = received;
      },
      onResponseData(_controller, chunk) {
        size += chunk.length;
        if (size > limits.maxBytes) fail(tooLarge(request.origin, limits.maxBytes, status));
        else if (!settled) chunks.push(chunk);
      },
      onResponseEnd() {
        const [only] = chunks;
        const body = only && chunks.length === 1 ? only : Buffer.concat(chunks);
        if (settle()) resolve(answerOf(status, headers, body, request.origin, limits.maxBytes));
      },
      onResponseError(_controller, error) {
        fail(exchangeError(error, request.origin, status || null));
      },
    };
    try {
      dispatcher.dispatch(
        {
          origin: request.origin,
          path: request.path,
          method: request.method,
          headers: request.headers,
          ...(request.body === undefined ? {} : { body: request.body }),
          // The deadline above holds for the whole exchange, and to the millisecond.
          headersTimeout: 0,
          bodyTimeout: 0,
        },
        handler,
      );
    } catch (error) {
      fail(exchangeError(error, request.origin, null));
    }
  });
}

function answerOf(
  status: number,
  headers: Headers,
  body: Buffer,
  origin: string,
  maxBytes: number,
): HttpAnswer | Promise<HttpAnswer> {
  const header = (name: string): string | null => {
    const value = headers[name];
    return (typeof value === "string" ? value : value?.[0]) ?? null;
  };
  const encoding = header("content-encoding")?.trim().toLowerCase() ?? "";
  if (encoding === "" || encoding === "identity" || body.length === 0) {
    return { status, header, body: body.toString("utf8") };
  }
  return decompress(body, encoding, maxBytes).then((plain) => {
    if (plain === "too large") throw tooLarge(origin, maxBytes, status);
    if (plain === "garbled") {
      throw new CloudError("bad_response", `the answer of ${origin} cannot be decompressed`, { status });
    }
    return { status, header, body: plain.toString("utf8") };
  });
}

function tooLarge(origin: string, maxBytes: number, status: number): CloudError {
  return new CloudError("bad_response", `the answer of ${origin} is larger than ${maxBytes} bytes`, {
    status,
  });
}
