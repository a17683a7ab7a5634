import type { Cause } from "../core/cause.ts";
import type { Fact } from "../core/decision.ts";
import type { EventType } from "../core/event.ts";
import type { ThresholdSource, VerdictKind } from "../core/state.ts";
import type { Unwatched } from "../core/unwatched.ts";
import type { Operation } from "./call-gate.ts";
import type { Unreadable } from "./store.ts";

/**
 * What happens while the program runs, for the log and the metrics (`observe/record.ts`). May be lost with a crash:
 * nothing that must reach somebody travels here. Names of projects and webhooks are those of the configuration.
 * Durations are seconds, points in time epoch milliseconds.
 */
export type RuntimeEvent = PollEvent | ApiEvent | HealthEvent | OutboxEvent | StoreEvent | ProcessEvent;

/** Why a request to a webhook failed, as the label `reason`. */
export const WEBHOOK_REASONS = [
  "refused",
  "timeout",
  "network",
  "throttled",
  "server_error",
  "disabled",
] as const;
export type WebhookReason = (typeof WEBHOOK_REASONS)[number];

/** Why an HTTP request was refused for safety, as the label `reason`. */
export const REFUSAL_REASONS = ["other_origin", "wrong_credentials", "too_many_failures"] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

/** Methods of the store's ports, as the label `operation`. */
export const STORE_OPERATIONS = [
  "ping",
  "load",
  "load_instance",
  "commit",
  "touch",
  "claim",
  "settle",
  "counts",
  "dead_letters",
  "replay",
  "drop",
  "prune",
  "join",
  "leave",
  "acquire",
  "renew",
  "release",
  "note",
  "take",
  "read",
] as const;
export type StoreOperation = (typeof STORE_OPERATIONS)[number];

interface OfProject {
  readonly project: string;
}

interface OfInstance extends OfProject {
  readonly instanceId: string;
  readonly instanceName: string;
}

export type PollEvent =
  | (OfInstance & {
      readonly kind: "poll.finished";
      readonly seconds: number;
      /** Start after the due time. */
      readonly lagSeconds: number;
      readonly complete: boolean;
      /** Why the listing is not complete; null if it is. A gap without an error is `bad_response`. */
      readonly cause: Cause | null;
      readonly error: unknown;
      /** Requests made. */
      readonly calls: number;
      /** The listing is complete, and the cloud's count says more than it holds. */
      readonly countedMore: boolean;
    })
  | (OfInstance & { readonly kind: "poll.merged" })
  /** An ask beside the listing got no answer: for a task by its id, for progress, for the scheduled tasks. */
  | (OfInstance & { readonly kind: "ask.failed"; readonly operation: Operation; readonly error: unknown })
  /** All calls of this kind in one poll were answered. */
  | (OfInstance & { readonly kind: "ask.answered"; readonly operation: Operation })
  /** After the commit that it belongs to. */
  | (OfInstance & { readonly kind: "fact"; readonly fact: Fact })
  /** An event was committed, whatever it is about. */
  | { readonly kind: "event.committed"; readonly type: EventType; readonly id: string }
  /** What the process polls of a project now, and what that needs. */
  | (OfProject & {
      readonly kind: "project.load";
      readonly instances: number;
      readonly neededPerSecond: number;
    })
  /** The limits of one project, all of them: what was said before is replaced. */
  | (OfProject & { readonly kind: "thresholds.known"; readonly thresholds: readonly KnownThreshold[] });

export interface KnownThreshold {
  readonly taskName: string;
  readonly verdict: VerdictKind;
  readonly source: ThresholdSource;
  readonly seconds: number;
}

export type ApiEvent =
  | (OfProject & {
      readonly kind: "api.request";
      readonly operation: Operation;
      /** The HTTP status, or `error` where there was no answer. */
      readonly code: number | "error";
      readonly seconds: number;
    })
  | (OfProject & { readonly kind: "api.throttled" })
  | (OfProject & { readonly kind: "api.budget_wait"; readonly seconds: number })
  /** What the project may make at present, over all replicas; below what is configured while it is throttled. */
  | (OfProject & {
      readonly kind: "api.budget";
      readonly perSecond: number;
      readonly configuredPerSecond: number;
    })
  | (OfProject & { readonly kind: "credentials.refused"; readonly error: unknown; readonly retryAt: number })
  | (OfProject & { readonly kind: "credentials.accepted" })
  /** It has other credentials than before, of which no refusal is known. */
  | (OfProject & { readonly kind: "credentials.untried" })
  | (OfProject & {
      readonly kind: "discovery.finished";
      readonly seconds: number;
      /** Those that the filters let through; found before and not left. */
      readonly found: number;
      /** Names. */
      readonly added: readonly string[];
      /** Names of those that are not listed any more. They are still watched. */
      readonly missing: readonly string[];
    })
  /** `known`: instances that were found before are still watched. */
  | (OfProject & { readonly kind: "discovery.failed"; readonly known: boolean; readonly error: unknown })
  /** Told at each change, and every few seconds. */
  | (OfProject & {
      readonly kind: "project.watch";
      readonly at: number;
      readonly unwatched: Unwatched | null;
      /** The project id is one that was remembered: the look-up fails. */
      readonly unconfirmed: Unwatched | null;
      /** Instances that discovery found and the filters let through; null where it has not listed. */
      readonly discovered: { readonly found: number; readonly listedAt: number } | null;
    });

/** Changes of reachability, in step with the events of the same meaning. */
export type HealthEvent =
  | (OfInstance & {
      readonly kind: "instance.down";
      readonly cause: Cause;
      readonly error: unknown;
      /** Failed in a row so far. */
      readonly failedPolls: number;
    })
  | (OfInstance & { readonly kind: "instance.up"; readonly downSeconds: number })
  /** Instances of any project were left out of the configuration; they are removed when the grace ends. */
  | {
      readonly kind: "instances.leaving";
      readonly names: readonly string[];
      readonly graceSeconds: number;
    }
  | (OfInstance & { readonly kind: "instance.removed"; readonly reason: string })
  | (OfProject & { readonly kind: "project.down"; readonly cause: Cause; readonly instances: number })
  | (OfProject & { readonly kind: "project.up"; readonly downSeconds: number })
  /** `window` names it as the configuration does, such as `maintenance[0]`. */
  | { readonly kind: "maintenance.opened"; readonly window: string; readonly until: number }
  | { readonly kind: "maintenance.closed"; readonly window: string };

export type OutboxEvent =
  | { readonly kind: "outbox"; readonly fact: DeliveryFact }
  /** What lies in the outbox of one webhook, over the shards that this process owns. */
  | {
      readonly kind: "outbox.counts";
      readonly webhook: string;
      /** False for one that was renamed or removed, and has something left. Zeros say that nothing is. */
      readonly configured: boolean;
      readonly pending: number;
      readonly oldestAt: number | null;
      readonly dead: number;
    };

/** What one request to a webhook came to. */
export type AttemptOutcome = "delivered" | "refused" | "disabled" | "retry";

/** What the outbox tells. No URL, no body, no secret is in it. */
export type DeliveryFact =
  /** One request. `attempt` counts from 1. `message` says what came back: "HTTP 503", or what broke. */
  | {
      readonly kind: "attempt";
      readonly webhook: string;
      readonly outcome: AttemptOutcome;
      readonly reason: WebhookReason | null;
      readonly status: number | null;
      readonly message: string;
      readonly seconds: number;
      readonly attempt: number;
      /** Of the first event of the request; null where it carries alerts. */
      readonly eventId: string | null;
      /** How many events or alerts it carries. */
      readonly events: number;
    }
  /** An Alertmanager took alerts: the state, of which no delivery is kept. */
  | { readonly kind: "posted"; readonly webhook: string; readonly alerts: number }
  | {
      readonly kind: "delivered";
      readonly webhook: string;
      readonly eventId: string;
      readonly type: EventType;
      readonly attempts: number;
      /** From the outbox to the receiver. */
      readonly seconds: number;
    }
  | {
      readonly kind: "dead";
      readonly webhook: string;
      readonly eventId: string;
      readonly type: EventType;
      readonly attempts: number;
      readonly reason: string;
    }
  /** Deliveries wait for a webhook that is not configured any more. */
  | {
      readonly kind: "orphaned";
      readonly webhook: string;
      readonly events: number;
      /** Until they become dead letters. */
      readonly graceSeconds: number;
    }
  /** They are dead letters now. */
  | { readonly kind: "dead_lettered"; readonly webhook: string; readonly events: number }
  | { readonly kind: "disabled"; readonly webhook: string }
  | { readonly kind: "enabled"; readonly webhook: string }
  /** It is only probed from now on. */
  | { readonly kind: "breaker_opened"; readonly webhook: string; readonly reason: WebhookReason }
  | { readonly kind: "breaker_closed"; readonly webhook: string }
  /** The store did not do what was asked; said once until it works again. */
  | {
      readonly kind: "store_failed";
      readonly webhook: string;
      readonly operation: string;
      readonly message: string;
    };

export type StoreEvent =
  | { readonly kind: "store.operation"; readonly operation: StoreOperation; readonly seconds: number }
  /** When it begins, when its cause changes, and again every hour. */
  | { readonly kind: "store.down"; readonly error: unknown }
  /** Also once after the start, with 0. */
  | { readonly kind: "store.up"; readonly downSeconds: number }
  /** It knows less of a shard than it had acknowledged to this process: it came back empty, or with older data. */
  | { readonly kind: "store.forgot"; readonly shard: number }
  /** All that cannot be read of the shards that this process owns; told at every look. */
  | { readonly kind: "records.unreadable"; readonly records: readonly Unreadable[]; readonly at: number }
  /** It could not be loaded, for a reason of its own; it is left to others and tried again. Told at each try. */
  | { readonly kind: "shard.failed"; readonly shard: number; readonly error: unknown; readonly at: number }
  | { readonly kind: "lease.acquired"; readonly shard: number; readonly fence: number }
  | { readonly kind: "lease.lost"; readonly shard: number }
  | { readonly kind: "lease.released"; readonly shard: number }
  /** After each look at the leases, also one that failed. */
  | {
      readonly kind: "leases.held";
      readonly owned: number;
      readonly shards: number;
      readonly replicas: number;
    };

type ProcessEvent =
  /** At the start and after each good reload. `hash` is a whole number below 2^53. */
  | {
      readonly kind: "config.loaded";
      readonly at: number;
      readonly hash: number;
      readonly reload: boolean;
      /** Paths of the keys that changed, without values. */
      readonly changed: readonly string[];
    }
  | { readonly kind: "reload.failed"; readonly error: unknown }
  /** The server refused a request for safety. `client` is the address of the connection. */
  | {
      readonly kind: "http.refused";
      readonly at: number;
      readonly reason: RefusalReason;
      readonly client: string;
    }
  /** A person's command or request was carried out. */
  | {
      readonly kind: "acknowledged";
      readonly by: string;
      readonly tasks: readonly string[];
      readonly reason: string | null;
    };

export type Emit = (event: RuntimeEvent) => void;

/** An `Emit` for workers: a listener that throws is told about, and never breaks the one who emits. */
export function safeEmit(listener: Emit, onError: (error: unknown, event: RuntimeEvent) => void): Emit {
  return (event) => {
    try {
      listener(event);
    } catch (error) {
      try {
        onError(error, event);
      } catch {
        // There is nobody left to tell.
      }
    }
  };
}
