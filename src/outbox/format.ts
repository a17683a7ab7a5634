import type { EventType } from "../core/event.ts";
import type { AttemptResult } from "./attempt-result.ts";

/** An event as a format gets it: `body` is the CloudEvent in JSON, as stored. */
export interface FormattedEvent {
  readonly id: string;
  readonly type: EventType;
  readonly body: string;
}

/** One HTTP request, whole: made anew for each attempt, so that times and signatures are of this attempt. */
export interface Message {
  readonly method: "POST";
  readonly url: string;
  /** Lower-case names; they win over the webhook's own headers. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** At most `requests` within any `per` milliseconds. */
export interface Limit {
  readonly requests: number;
  readonly per: number;
}

/** What an answer's body says. `detail` is shown to people and never quotes the body. */
export interface Judgement {
  readonly verdict: AttemptResult;
  readonly detail: string;
}

/**
 * How events become requests to one webhook, and how its answers are to be read. A format is made from the
 * webhook's settings, once; where its URL, keys and secrets go is its own affair (header, query or body).
 */
export interface Format {
  /** How many events one request may carry, at least 1. The worker never gives `render` more. */
  readonly maxEvents: number;
  /** What the medium says that it takes, all of them at once; absent for no limit. */
  readonly limits?: readonly Limit[];
  /**
   * Pure. Keeps the medium's size limits by shortening. Throws only where these events can never be sent; they
   * then become dead letters.
   * @param events At least one, in the order in which they happened as far as one task is concerned.
   * @param now Epoch milliseconds of this attempt.
   */
  render(events: readonly FormattedEvent[], now: number): Message;
  /**
   * Overrules the table of answers where the body decides: an error code under 200, "slow down" under 200
   * (a retry with `throttled` and its wait). Null leaves the table's verdict.
   * @param body The first 64 kB; hostile until parsed.
   */
  judge?(status: number, body: string): Judgement | null;
}
