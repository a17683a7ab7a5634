import { iso } from "../core/data.ts";

/** Public interface. Of a webhook's URL the host alone is shown. */
export interface WebhookJson {
  readonly name: string;
  /** Null for one that is not configured any more. */
  readonly format: string | null;
  readonly hosts: readonly string[];
  readonly events: readonly string[];
  /** `down`: only probed. `disabled`: it answered 410. `not_configured`: something of it is left in the outbox. */
  readonly state: "ok" | "down" | "disabled" | "not_configured";
  readonly pending: number;
  readonly oldest_pending_at: string | null;
  readonly dead_letters: number;
  /** The last ones of this replica, the newest first. */
  readonly attempts: readonly {
    readonly at: string | null;
    /** Null where no answer came. */
    readonly status: number | null;
    /** Null for one that was delivered. */
    readonly reason: string | null;
    /** Of the first event of the request; null with format alertmanager, which sends no events. */
    readonly event_id: string | null;
    readonly type: string | null;
    /** How many events, or alerts, the request carried. */
    readonly events: number;
    readonly duration_seconds: number;
  }[];
}

export interface WebhookFacts {
  readonly name: string;
  /** Null for one that is not configured any more. */
  readonly format: string | null;
  /** Secrets: they are cut here. */
  readonly urls: readonly string[];
  readonly events: readonly string[];
  readonly disabled: boolean;
  readonly down: boolean;
  readonly pending: number;
  readonly oldestAt: number | null;
  readonly dead: number;
  /** The oldest first. */
  readonly recent: readonly {
    readonly at: number;
    readonly status: number | null;
    readonly reason: string | null;
    readonly eventId: string | null;
    readonly type: string | null;
    readonly events: number;
    readonly seconds: number;
  }[];
}

function stateOf({ format, disabled, down }: WebhookFacts): WebhookJson["state"] {
  if (format === null) return "not_configured";
  if (disabled) return "disabled";
  return down ? "down" : "ok";
}

export const webhookJson = (facts: WebhookFacts): WebhookJson => ({
  name: facts.name,
  format: facts.format,
  hosts: facts.urls.map((url) => URL.parse(url)?.host ?? ""),
  events: facts.events,
  state: stateOf(facts),
  pending: facts.pending,
  oldest_pending_at: iso(facts.oldestAt),
  dead_letters: facts.dead,
  attempts: facts.recent
    .map(({ at, status, reason, eventId, type, events, seconds }) => ({
      at: iso(at),
      status,
      reason,
      event_id: eventId,
      type,
      events,
      duration_seconds: seconds,
    }))
    .reverse(),
});
