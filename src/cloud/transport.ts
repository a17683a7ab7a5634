import type { Dispatcher } from "undici";
import { CloudError } from "../errors.ts";
import type { CallGate, Operation } from "../ports/call-gate.ts";
import type { Clock } from "../ports/clock.ts";
import { exchange, type HttpAnswer, type HttpRequest } from "./http.ts";

/** A page of a hundred tasks is about 40 kB. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

export interface TransportOptions {
  readonly dispatcher: Pick<Dispatcher, "dispatch">;
  readonly gate: CallGate;
  readonly clock: Clock;
  /** For one request, whole, milliseconds. */
  readonly timeoutMs: number;
  /** Of a body after decompression. */
  readonly maxBytes?: number;
}

/** What one call is, once it may start. */
export interface Call<T> {
  /** Made as late as possible: a call may wait long for its turn, and signatures carry the time. */
  readonly request: () => HttpRequest;
  /** Throws a `CloudError` where the answer is none to use. */
  readonly judge: (answer: HttpAnswer) => T;
  /** Refusals that the caller mends by itself: the gate is not told of them as errors. */
  readonly mends?: (error: CloudError) => boolean;
}

/** The one way out: every HTTP call of a project is let in by its gate, limited in time and size, and reported. */
export class Transport {
  readonly clock: Clock;
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.clock = options.clock;
    this.#options = options;
  }

  /** Rejects with a `CloudError`, or with the signal's reason. */
  async call<T>(operation: Operation, call: Call<T>, signal: AbortSignal): Promise<T> {
    const { dispatcher, gate, timeoutMs, maxBytes = MAX_ANSWER_BYTES } = this.#options;
    const entering = gate.enter(operation, signal);
    const report = entering instanceof Promise ? await entering : entering;
    const from = this.clock.monotonic();
    let status: number | "error" = "error";
    let error: CloudError | null = null;
    try {
      const limits = { timeoutMs: Math.min(timeoutMs, report.limitMs ?? timeoutMs), maxBytes };
      const answer = await exchange(dispatcher, call.request(), limits, this.clock, signal);
      status = answer.status;
      return call.judge(answer);
    } catch (thrown) {
      if (thrown instanceof CloudError && !call.mends?.(thrown)) error = thrown;
      throw thrown;
    } finally {
      report({ status, seconds: (this.clock.monotonic() - from) / 1000, error });
    }
  }
}
