import { CloudError } from "../errors.ts";
import type { Operation } from "../ports/call-gate.ts";
import type { RequestAuth } from "./auth.ts";
import { asksForNewToken, classify, httpDate, refusesCredentials, requestIdOf } from "./classify.ts";
import type { HttpAnswer, HttpRequest } from "./http.ts";
import { parseJson } from "./json.ts";
import { SigningClock } from "./signing-clock.ts";
import type { RequestTarget } from "./target.ts";
import type { Transport } from "./transport.ts";

export interface JsonAnswer {
  /** The parsed body, of any shape. */
  readonly body: unknown;
  /** The cloud's clock when it answered, epoch milliseconds; the local one where it did not say. */
  readonly cloudNow: number;
  /** For a caller that cannot use the body. */
  readonly unusable: (problem: string) => CloudError;
}

interface Sent {
  headers: Readonly<Record<string, string>>;
}

/** The GETs of one project: dressed by its credentials, judged, and repeated once where a token must be renewed. */
export class Api {
  readonly #transport: Transport;
  readonly #auth: RequestAuth;
  readonly #signingClock: SigningClock;
  #cloudOffset: number | null = null;
  #lastDate: { readonly text: string | null; readonly time: number | null } = { text: null, time: null };

  constructor(transport: Transport, auth: RequestAuth) {
    this.#transport = transport;
    this.#auth = auth;
    this.#signingClock = new SigningClock(transport.clock);
  }

  /** The cloud's clock less the local one by the latest answer, milliseconds; null before the first. */
  get cloudOffset(): number | null {
    return this.#cloudOffset;
  }

  /**
   * One GET that answers with JSON. Rejects with a `CloudError`, or with the signal's reason.
   * @param query canonical, see `canonicalQuery`
   */
  get(operation: Operation, target: RequestTarget, query: string, signal: AbortSignal): Promise<JsonAnswer> {
    const preparing = this.#auth.prepare(signal);
    const { renew, discard } = this.#auth;
    // A key pair needs none of it: every poll comes this way.
    if (preparing === null && renew === null && discard === null) {
      return this.#call(operation, target, query, signal);
    }
    return this.#prepared(operation, target, query, signal, preparing);
  }

  async #prepared(
    operation: Operation,
    target: RequestTarget,
    query: string,
    signal: AbortSignal,
    preparing: Promise<void> | null,
  ): Promise<JsonAnswer> {
    await preparing;
    const { discard } = this.#auth;
    if (discard === null) return this.#call(operation, target, query, signal);
    try {
      return await this.#renewing(operation, target, query, signal);
    } catch (error) {
      // Without a status no call was made.
      if (error instanceof CloudError && error.status !== null && refusesCredentials(error)) discard();
      throw error;
    }
  }

  async #renewing(
    operation: Operation,
    target: RequestTarget,
    query: string,
    signal: AbortSignal,
  ): Promise<JsonAnswer> {
    const { renew } = this.#auth;
    if (renew === null) return this.#call(operation, target, query, signal);
    const sent: Sent = { headers: {} };
    try {
      return await this.#call(operation, target, query, signal, sent);
    } catch (error) {
      if (!(error instanceof CloudError) || !asksForNewToken(error)) throw error;
      await renew(sent.headers, signal);
      return this.#call(operation, target, query, signal);
    }
  }

  /** @param renewable filled in with what was sent, for a call whose credentials can be renewed afterwards */
  #call(
    operation: Operation,
    target: RequestTarget,
    query: string,
    signal: AbortSignal,
    renewable?: Sent,
  ): Promise<JsonAnswer> {
    const request = (): HttpRequest => {
      const headers = this.#auth.headers(target, query, this.#signingClock.now());
      headers.accept = "application/json";
      if (renewable) renewable.headers = headers;
      const path = query === "" ? target.path : `${target.path}?${query}`;
      return { method: "GET", origin: target.origin, path, headers };
    };
    const judge = (answer: HttpAnswer): JsonAnswer => this.#judge(answer, target);
    const call = renewable ? { request, judge, mends: asksForNewToken } : { request, judge };
    return this.#transport.call(operation, call, signal);
  }

  /** As `httpDate`; the answers of one second carry the same text. */
  #dateOf(answer: HttpAnswer): number | null {
    const text = answer.header("date");
    if (text !== this.#lastDate.text) this.#lastDate = { text, time: httpDate(answer) };
    return this.#lastDate.time;
  }

  #judge(answer: HttpAnswer, target: RequestTarget): JsonAnswer {
    const now = this.#transport.clock.now();
    const date = this.#dateOf(answer);
    if (date !== null) this.#cloudOffset = date - now;
    if (answer.status < 200 || answer.status > 299) {
      const error = classify(answer, {
        where: target.host,
        now: this.#signingClock.now(),
        secrets: this.#auth.secrets(),
        signed: this.#auth.signs,
      });
      this.#signingClock.saw(date, refusesCredentials(error));
      throw error;
    }
    this.#signingClock.saw(date, false);
    const unusable = (problem: string): CloudError =>
      new CloudError("bad_response", `${target.host} answered ${answer.status} with ${problem}`, {
        status: answer.status,
        requestId: requestIdOf(answer, null),
      });
    const body = parseJson(answer.body);
    if (body === undefined) throw unusable(problemOf(answer.body));
    return { body, cloudNow: date ?? now, unusable };
  }
}

function problemOf(body: string): string {
  const text = body.trimStart();
  if (text === "") return "no body";
  return text.startsWith("<")
    ? "a page for browsers instead of JSON: is a proxy or a login page in between?"
    : "JSON that is cut off or broken";
}
