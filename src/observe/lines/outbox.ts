import type { DeliveryFact, OutboxEvent } from "../../ports/telemetry.ts";
import { assertNever } from "../../util/assert-never.ts";
import { type Handlers, nothing } from "../handlers.ts";
import type { Log, Logger } from "../logger.ts";
import { round } from "./fields.ts";

/** One debug line per request; a webhook that is down is said once, and what it cost when it is back. */
export function outboxLines(log: Log): Handlers<OutboxEvent["kind"]> {
  const logger = log.component("webhook");
  /** Failed attempts by webhook since it last went up. */
  const failed = new Map<string, number>();
  return {
    outbox: ({ fact }) => {
      if (fact.kind === "attempt" && fact.reason !== null) {
        failed.set(fact.webhook, (failed.get(fact.webhook) ?? 0) + 1);
      }
      tellDelivery(logger, fact, failed.get(fact.webhook) ?? 0);
      if (fact.kind === "breaker_closed") failed.delete(fact.webhook);
    },
    "outbox.counts": nothing,
  };
}

function tellDelivery(log: Logger, fact: DeliveryFact, failedAttempts: number): void {
  const { webhook } = fact;
  switch (fact.kind) {
    case "attempt":
      log.debug(
        {
          webhook,
          outcome: fact.outcome,
          event_id: fact.eventId,
          events: fact.events,
          attempt: fact.attempt,
          status: fact.status,
          reason: fact.reason,
          seconds: round(fact.seconds),
          detail: fact.message,
        },
        "attempt",
      );
      break;
    case "delivered":
      log.debug(
        {
          webhook,
          event_id: fact.eventId,
          type: fact.type,
          attempts: fact.attempts,
          seconds: round(fact.seconds),
        },
        "delivered",
      );
      break;
    case "posted":
      log.debug({ webhook, alerts: fact.alerts }, "alerts posted");
      break;
    case "dead":
      log.warn(
        { webhook, event_id: fact.eventId, type: fact.type, attempts: fact.attempts, reason: fact.reason },
        "given up: now a dead letter",
      );
      break;
    case "orphaned":
      log.warn(
        { webhook, events: fact.events, grace_seconds: fact.graceSeconds },
        "webhook is not configured any more: what waits for it will be dead letters, unless it is put back",
      );
      break;
    case "dead_lettered":
      log.warn(
        { webhook, events: fact.events },
        "webhook is not configured: what waited is dead letters now",
      );
      break;
    case "disabled":
      log.error({ webhook }, "webhook answered 410 and is disabled");
      break;
    case "enabled":
      log.info({ webhook }, "webhook is enabled again");
      break;
    case "breaker_opened":
      log.warn({ webhook, reason: fact.reason }, "webhook is down: it is only probed");
      break;
    case "breaker_closed":
      log.info({ webhook, failed_attempts: failedAttempts }, "webhook works again");
      break;
    case "store_failed":
      log.warn(
        { webhook, operation: fact.operation, detail: fact.message },
        "the store did not serve the outbox",
      );
      break;
    default:
      assertNever(fact);
  }
}
