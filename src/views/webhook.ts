import { iso } from "../core/data.ts";

/** Public interface. Of a webhook's URL the host alone is shown. */
export interface WebhookJson {
  readonly name: string;
  readonly format: string;
  readonly hosts: readonly string[];
  readonly events: readonly string[];
  /** `down`: only probed. `disabled`: it answered 410. */
  readonly state: "ok" | "down" | "disabled";
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
  readonly format: string;
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

export const webhookJson = (facts: WebhookFacts): WebhookJson => ({
  name: facts.name,
  format: facts.format,
  hosts: facts.urls.map((url) => URL.parse(url)?.host ?? ""),
  events: facts.events,
  state: facts.disabled ? "disabled" : facts.down ? "down" : "ok",
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
