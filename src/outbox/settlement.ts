import { backoff } from "../core/backoff.ts";
import type { Delivery, Settlement } from "../ports/store.ts";
import { assertNever } from "../util/assert-never.ts";
import type { AttemptResult } from "./attempt-result.ts";

/** Milliseconds. */
export interface RetryTimes {
  readonly for: number;
  readonly refused_for: number;
  readonly min: number;
  readonly max: number;
}

export interface SettlementContext {
  readonly retry: RetryTimes;
  /** Epoch milliseconds, for the age. */
  readonly now: number;
  /** Epoch milliseconds that never ran backwards, from which the next due time is counted. */
  readonly dueFrom: number;
  /** When the webhook was last seen down rather than refusing; null when it was not. */
  readonly lastDownAt: number | null;
  /** Nothing is sent to the webhook for this long, in milliseconds; 0 when it is not held back. */
  readonly held: number;
  /** While the breaker is open the probes have the waits; a delivery gets none of its own on top. */
  readonly breakerOpen: boolean;
  /** In [0, 1). */
  readonly random: number;
}

/** The longest `Retry-After` that is honoured, unless `retry.max` is longer. */
const LONGEST_RETRY_AFTER_MS = 3_600_000;

export function cappedRetryAfter(retryAfter: number, retry: RetryTimes): number {
  return Math.min(retryAfter, Math.max(retry.max, LONGEST_RETRY_AFTER_MS));
}

/**
 * What becomes of one delivery.
 * @param detail What was answered, for the dead letter's reason; safe to show.
 */
export function settlementOf(
  verdict: AttemptResult,
  delivery: Pick<Delivery, "since" | "attempts">,
  detail: string,
  context: SettlementContext,
): Settlement {
  switch (verdict.kind) {
    case "delivered":
      return { kind: "delivered" };
    case "refused":
    case "disable":
      return { kind: "dead", reason: `${verdict.reason}: ${detail}` };
    case "retry": {
      if (delivery.since <= overUntil(verdict.group, context))
        return { kind: "dead", reason: `${verdict.reason}: ${detail}, retry time ended` };
      const own = context.breakerOpen ? 0 : backoff(delivery.attempts + 1, context.retry, context.random);
      return { kind: "retry", at: context.dueFrom + Math.max(own, context.held), reason: verdict.reason };
    }
    default:
      return assertNever(verdict);
  }
}

/** The deliveries of one request, by what becomes of them: some may be over while the others are tried again, together. */
export function settlementsOf<T extends Pick<Delivery, "since" | "attempts">>(
  verdict: AttemptResult,
  deliveries: readonly T[],
  detail: string,
  context: SettlementContext,
): readonly { readonly deliveries: readonly T[]; readonly settlement: Settlement }[] {
  const groups = new Map<Settlement["kind"], { deliveries: T[]; settlement: Settlement }>();
  for (const delivery of deliveries) {
    const settlement = settlementOf(verdict, delivery, detail, context);
    const group = groups.get(settlement.kind);
    if (group === undefined) groups.set(settlement.kind, { deliveries: [delivery], settlement });
    else group.deliveries.push(delivery);
  }
  return [...groups.values()];
}

/**
 * The retry time of events that were put in at this time or before has ended. The shorter time of refusals starts anew
 * when the webhook was down: a proxy in front of a receiver that comes back answers 404 for a moment, and must not
 * cost the whole backlog.
 */
export function overUntil(
  group: "for" | "refused_for",
  { retry, now, lastDownAt }: Pick<SettlementContext, "retry" | "now" | "lastDownAt">,
): number {
  const refused = now - retry.refused_for;
  const wasDown = lastDownAt !== null && lastDownAt > refused;
  return group === "for" || wasDown ? now - retry.for : Math.max(refused, now - retry.for);
}
