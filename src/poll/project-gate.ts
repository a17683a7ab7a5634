import type { CloudAnswer } from "../core/cause.ts";
import type { Streak } from "../core/health.ts";
import type { CloudError } from "../errors.ts";
import type { CallGate, CallOutcome, Operation, Report } from "../ports/call-gate.ts";
import type { Clock } from "../ports/clock.ts";
import type { Emit } from "../ports/telemetry.ts";
import type { KeyGuard, KeyVerdict } from "./key-guard.ts";
import { FRESH_MS, type Pacer } from "./pacer.ts";

const SILENT_CALLS = 3;
/** For the first call with untried credentials; doubled each time that it was too short. */
const FIRST_TRIAL_MS = 2_000;

/**
 * The one way to the cloud for all calls of a project: a token of its budget, then the lock of its credentials.
 * The credentials come last, because they may have been refused while the call waited for its token.
 */
export class ProjectGate implements CallGate {
  readonly pacer: Pacer;
  readonly key: KeyGuard;
  readonly #project: string;
  readonly #clock: Clock;
  readonly #emit: Emit;
  #trialMs = FIRST_TRIAL_MS;
  #timeouts: Streak | null = null;
  /** Polls whose first token was taken before they started, by their signal, and when; monotonic. */
  readonly #prepaid = new WeakMap<AbortSignal, number>();

  constructor(project: string, pacer: Pacer, key: KeyGuard, clock: Clock, emit: Emit) {
    this.#project = project;
    this.pacer = pacer;
    this.key = key;
    this.#clock = clock;
    this.#emit = emit;
  }

  /**
   * The calls of this process that timed out in a row up to now; null unless there are three. A project that only
   * times out is probed by few polls, so these stand for the instances that wait behind the probes.
   */
  get silence(): Streak | null {
    return this.#timeouts !== null && this.#timeouts.count >= SILENT_CALLS ? this.#timeouts : null;
  }

  /** Takes a token for the first call of a poll. Resolves with the time at which it was taken, monotonic. */
  token(signal: AbortSignal): Promise<number> {
    return this.#token("starting", signal);
  }

  /** The first call under `signal` uses the token that was taken at `paidAt`, unless that has lapsed. */
  prepay(signal: AbortSignal, paidAt: number): void {
    this.#prepaid.set(signal, paidAt);
  }

  enter(operation: Operation, signal: AbortSignal): Promise<Report> | Report {
    const paidAt = this.#prepaid.get(signal) ?? Number.NEGATIVE_INFINITY;
    this.#prepaid.delete(signal);
    const paid = this.#clock.monotonic() - paidAt <= FRESH_MS;
    if (paid && this.key.accepted) return this.#report(operation, this.key.reporter);
    return this.#enter(operation, signal, paid);
  }

  async #enter(operation: Operation, signal: AbortSignal, paid: boolean): Promise<Report> {
    if (!paid) await this.#token("continuing", signal);
    const tellKey = await this.key.enter(signal);
    const report = this.#report(operation, tellKey);
    return tellKey === this.key.reporter ? report : this.#trial(report);
  }

  /**
   * Limits the call that tries credentials which nobody accepted yet. All projects with the same credentials wait for
   * its answer, one after the other, so an endpoint that hangs may hold them up only briefly at first.
   */
  #trial(report: Report): Report {
    const timed = (outcome: CallOutcome) => {
      this.#trialMs = outcome.error?.reason === "timeout" ? this.#trialMs * 2 : FIRST_TRIAL_MS;
      report(outcome);
    };
    return Object.assign(timed, { limitMs: this.#trialMs });
  }

  #report(operation: Operation, tellKey: (verdict: KeyVerdict, answer?: CloudAnswer | null) => void): Report {
    return (outcome) => {
      tellKey(keyVerdict(operation, outcome), outcome.error?.answer ?? null);
      this.#countTimeouts(outcome);
      if (outcome.error?.reason === "throttled") {
        this.pacer.throttled();
        this.#emit({ kind: "api.throttled", project: this.#project });
      }
      this.#emit({
        kind: "api.request",
        project: this.#project,
        operation,
        code: outcome.status,
        seconds: outcome.seconds,
      });
    };
  }

  #countTimeouts({ error, seconds }: CallOutcome): void {
    if (error?.reason !== "timeout") {
      this.#timeouts = null;
      return;
    }
    const since = this.#timeouts?.since ?? this.#clock.now() - seconds * 1_000;
    this.#timeouts = { count: (this.#timeouts?.count ?? 0) + 1, since, cause: "timeout", answer: null };
  }

  #token(kind: "starting" | "continuing", signal: AbortSignal): Promise<number> {
    const from = this.#clock.monotonic();
    return this.pacer.take(kind, signal).then((takenAt) => {
      const seconds = (this.#clock.monotonic() - from) / 1000;
      this.#emit({ kind: "api.budget_wait", project: this.#project, seconds });
      return takenAt;
    });
  }
}

/** Any answer from behind the gateway shows that it let the credentials pass; a token is not known to pass yet. */
function keyVerdict(operation: Operation, outcome: CallOutcome): KeyVerdict {
  const error: CloudError | null = outcome.error;
  if (error?.reason === "credentials_rejected" || error?.reason === "clock_skew") return error.reason;
  if (typeof outcome.status !== "number") return "unclear";
  // Throttling, and 5xx of the gateway itself, come before any check of the signature.
  if (error?.reason === "throttled" || error?.reason === "server_error" || error?.reason === "bad_response") {
    return "unclear";
  }
  return operation === "token" ? "renewed" : "accepted";
}
