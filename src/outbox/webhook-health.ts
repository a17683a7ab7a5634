import type { WebhookConfig } from "../config/config.ts";
import type { Clock, Random } from "../ports/clock.ts";
import type { DeliveryFact } from "../ports/telemetry.ts";
import type { Attempt } from "./attempt.ts";
import type { AttemptResult } from "./attempt-result.ts";
import { afterFailure, type Breaker, CLOSED } from "./breaker.ts";
import { cappedRetryAfter, overUntil, type SettlementContext } from "./settlement.ts";

type Failure = Extract<AttemptResult, { kind: "retry" }> & { readonly message: string };

/** What this process has learned about one receiver: whether it is down, and until when it is to be left alone. */
export class WebhookHealth {
  readonly #webhook: Pick<WebhookConfig, "name" | "retry">;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #emit: (fact: DeliveryFact) => void;
  #breaker: Breaker = CLOSED;
  #lastFailure: Failure | null = null;
  /** Epoch milliseconds. */
  #lastDownAt: number | null = null;
  /** Monotonic milliseconds. */
  #probeAt = 0;
  #askedAwayUntil = 0;

  constructor(
    webhook: Pick<WebhookConfig, "name" | "retry">,
    clock: Clock,
    random: Random,
    emit: (fact: DeliveryFact) => void,
  ) {
    this.#webhook = webhook;
    this.#clock = clock;
    this.#random = random;
    this.#emit = emit;
  }

  get down(): boolean {
    return this.#breaker.open;
  }

  /** Milliseconds in which nothing is to be sent. */
  retryIn(): number {
    return Math.max(0, Math.max(this.#probeAt, this.#askedAwayUntil) - this.#clock.monotonic());
  }

  settlementContext(): Pick<SettlementContext, "lastDownAt" | "held" | "breakerOpen"> {
    return { lastDownAt: this.#lastDownAt, held: this.retryIn(), breakerOpen: this.down };
  }

  /**
   * What needs no attempt any more while the webhook is down, and why: a webhook that is down gets one request at a
   * time, and the backlog behind it must not outlive its retry time. Null while the webhook is not down.
   */
  expiredBefore(): { readonly until: number; readonly reason: string } | null {
    const failure = this.#lastFailure;
    if (!this.down || failure === null) return null;
    const context = { retry: this.#webhook.retry, now: this.#clock.now(), lastDownAt: this.#lastDownAt };
    return {
      until: overUntil(failure.group, context),
      reason: `${failure.reason}: ${failure.message}, retry time ended`,
    };
  }

  /** @param probe Whether the attempt began while the webhook was taken for down. */
  record({ verdict, message }: Attempt, probe: boolean): void {
    if (verdict.kind !== "retry") {
      if (this.#breaker.open) this.#emit({ kind: "breaker_closed", webhook: this.#webhook.name });
      this.#breaker = CLOSED;
      this.#probeAt = 0;
      return;
    }
    const { retry, name } = this.#webhook;
    this.#lastFailure = { ...verdict, message };
    if (verdict.group === "for") this.#lastDownAt = this.#clock.now();
    if (verdict.retryAfter !== null) {
      const until = this.#clock.monotonic() + cappedRetryAfter(verdict.retryAfter, retry);
      this.#askedAwayUntil = Math.max(this.#askedAwayUntil, until);
    }
    const { breaker, wait } = afterFailure(this.#breaker, probe, retry, this.#random());
    if (breaker.open && !this.#breaker.open)
      this.#emit({ kind: "breaker_opened", webhook: name, reason: verdict.reason });
    this.#breaker = breaker;
    if (wait > 0) this.#probeAt = this.#clock.monotonic() + wait;
  }
}
