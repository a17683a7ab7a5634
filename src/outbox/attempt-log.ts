import type { EventType } from "../core/event.ts";
import type { Clock } from "../ports/clock.ts";
import type { Delivery, Settlement } from "../ports/store.ts";
import type { AttemptOutcome, DeliveryFact, WebhookReason } from "../ports/telemetry.ts";
import type { Attempt } from "./attempt.ts";

/** One line of a webhook's delivery log: one request. No URL's secret part, no body and no secret is in it. */
export interface RecentAttempt {
  /** Epoch milliseconds of the answer. */
  readonly at: number;
  readonly outcome: AttemptOutcome;
  /** Null where no answer came. */
  readonly status: number | null;
  /** Null where it was delivered. */
  readonly reason: WebhookReason | null;
  /** What came back in a few words: "HTTP 503", or what broke. */
  readonly message: string;
  /** Of the first event of the request; null where it carries alerts. */
  readonly eventId: string | null;
  readonly type: EventType | null;
  /** How many events or alerts it carried. */
  readonly events: number;
  readonly seconds: number;
}

/** What one request carried. */
export interface Carried {
  readonly eventId: string | null;
  readonly type: EventType | null;
  readonly events: number;
  /** Attempts before this one. */
  readonly attempts: number;
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

  /** One request. */
  attempted({ eventId, type, events, attempts }: Carried, result: Attempt): void {
    const { verdict, status, seconds, message } = result;
    const reason = verdict.kind === "delivered" ? null : verdict.reason;
    const outcome: AttemptOutcome = verdict.kind === "disable" ? "disabled" : verdict.kind;
    const said = { outcome, status, reason, message, eventId, events, seconds };
    this.#recent.push({ at: this.#clock.now(), type, ...said });
    if (this.#recent.length > KEPT) this.#recent.shift();
    this.#emit({ kind: "attempt", webhook: this.#webhook, attempt: attempts + 1, ...said });
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
