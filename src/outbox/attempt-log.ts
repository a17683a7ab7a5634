import type { Clock } from "../ports/clock.ts";
import type { Delivery, Settlement } from "../ports/store.ts";
import type { DeliveryFact, WebhookReason } from "../ports/telemetry.ts";
import type { Attempt } from "./attempt.ts";

/** One line of a webhook's delivery log. */
export interface RecentAttempt {
  /** Epoch milliseconds of the answer. */
  readonly at: number;
  readonly status: number | null;
  readonly reason: WebhookReason | null;
  readonly eventId: string;
  readonly seconds: number;
}

const KEPT = 20;

/** Tells what happened to one webhook's deliveries, and keeps the last attempts. */
export class AttemptLog {
  readonly #webhook: string;
  readonly #clock: Clock;
  readonly #emit: (fact: DeliveryFact) => void;
  readonly #recent: RecentAttempt[] = [];

  constructor(webhook: string, clock: Clock, emit: (fact: DeliveryFact) => void) {
    this.#webhook = webhook;
    this.#clock = clock;
    this.#emit = emit;
  }

  /** The last attempts, the oldest first. */
  recent(): readonly RecentAttempt[] {
    return [...this.#recent];
  }

  /** One request, with at least one delivery. */
  attempted(deliveries: readonly Delivery[], { verdict, status, seconds, message }: Attempt): void {
    const first = deliveries[0];
    if (first === undefined) return;
    const { eventId, attempts } = first;
    const reason = verdict.kind === "delivered" ? null : verdict.reason;
    this.#recent.push({ at: this.#clock.now(), status, reason, eventId, seconds });
    if (this.#recent.length > KEPT) this.#recent.shift();
    this.#emit({
      kind: "attempt",
      webhook: this.#webhook,
      outcome: verdict.kind === "disable" ? "disabled" : verdict.kind,
      reason,
      status,
      message,
      seconds,
      attempt: attempts + 1,
      eventId,
      events: deliveries.length,
    });
  }

  /** Once the store has it. `made` is the attempts that the deliveries do not count yet. */
  settled(deliveries: readonly Delivery[], settlement: Settlement, made: 0 | 1): void {
    if (settlement.kind === "retry") return;
    for (const { eventId, type, attempts, since } of deliveries) {
      const about = { webhook: this.#webhook, eventId, type, attempts: attempts + made };
      if (settlement.kind === "dead") this.#emit({ kind: "dead", ...about, reason: settlement.reason });
      else
        this.#emit({ kind: "delivered", ...about, seconds: Math.max(0, this.#clock.now() - since) / 1000 });
    }
  }
}
