import type { EventType } from "../core/event.ts";
import type { Engine } from "../core/task.ts";
import type { Secret } from "./secret.ts";

/*
 * The resolved configuration. Keys are those of the file, so that code, documentation and messages use one name.
 * Durations are milliseconds, `off` and "not set" are null, files are read, endpoints derived, defaults applied.
 * Nothing in it changes after loading: a reload makes a new one.
 */

export const ENGINES = ["kafka", "rabbitmq", "rocketmq"] as const satisfies readonly Engine[];
export type { Engine };

export const FORMATS = [
  "cloudevents",
  "alertmanager",
  "slack",
  "teams",
  "pagerduty",
  "feishu",
  "dingtalk",
  "wecom",
  "template",
] as const;
export type WebhookFormat = (typeof FORMATS)[number];

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface Config {
  readonly projects: readonly ProjectConfig[];
  readonly poll: PollConfig;
  readonly window: WindowConfig;
  readonly stuck: StuckConfig;
  readonly failures: FailuresConfig;
  readonly store: StoreConfig;
  readonly webhooks: readonly WebhookConfig[];
  readonly maintenance: readonly MaintenanceConfig[];
  readonly server: ServerConfig;
  readonly privacy: PrivacyConfig;
  readonly log: LogConfig;
}

export interface ProjectConfig {
  /** Unique; the label `project`. */
  readonly name: string;
  readonly region: string;
  /** Null: to be looked up in IAM by the region's name. */
  readonly project_id: string | null;
  /** Origin of the message-queue API, without a trailing slash. */
  readonly endpoint: string;
  /** Origin of IAM, without a trailing slash. */
  readonly iam_endpoint: string;
  readonly credentials: CredentialsConfig;
  readonly requests_per_second: number;
  readonly tls: ClientTlsConfig | null;
  /** Null: HTTPS_PROXY and NO_PROXY decide. A secret because it may carry a password. */
  readonly proxy: Secret | null;
  readonly discover: DiscoverConfig | null;
  readonly scheduled_tasks: boolean;
  readonly instances: readonly InstanceConfig[];
}

/** A `profile` is read while loading and becomes `keys`. */
export type CredentialsConfig =
  | {
      readonly kind: "keys";
      readonly access_key: string;
      readonly secret_key: Secret;
      readonly security_token: Secret | null;
    }
  | { readonly kind: "token"; readonly token: Secret }
  | { readonly kind: "password"; readonly user: string; readonly password: Secret; readonly domain: string }
  /** Keys of the ECS agency; `endpoint` null is the well-known link-local address. */
  | { readonly kind: "metadata"; readonly endpoint: string | null };

export interface DiscoverConfig {
  readonly engines: readonly Engine[];
  readonly every: number;
  /** Globs on the instance's name. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly enterprise_project_id: string | null;
}

/** A named instance with its overrides merged into what holds for all. */
export interface InstanceConfig {
  readonly id: string;
  readonly name: string;
  readonly engine: Engine;
  readonly poll: InstancePollConfig;
  readonly window: WindowConfig;
  readonly stuck: InstanceStuckConfig;
}

/** What decides when one instance is polled. */
export interface InstancePollConfig {
  /** Six cron fields, seconds first. */
  readonly schedule: string;
  readonly active_schedule: string | null;
  readonly timezone: string;
  readonly timeout: number;
}

export interface PollConfig extends InstancePollConfig {
  /** Polls in flight at once, over all projects. */
  readonly concurrency: number;
}

export interface WindowConfig {
  readonly lookback: number;
  readonly overlap: number;
  readonly max_lookback: number;
  readonly sweep: number | null;
  /** Milliseconds east of UTC. */
  readonly utc_offset: number;
  readonly first_poll: "baseline" | "emit";
}

export interface StuckConfig {
  readonly queued_after: number;
  readonly running_after: number;
  /** Running limit by task name; no prototype, so any name is a safe key. */
  readonly by_task: Readonly<Record<string, number>>;
  readonly no_progress_after: number | null;
  readonly learn: LearnConfig;
  readonly repeat: number | null;
}

/**
 * The first limit that is set wins: the instance's by_task, the instance's running_after, by_task for all, learned,
 * running_after for all. So these two hold only what the instance itself sets; the rest is merged.
 */
export interface InstanceStuckConfig extends Omit<StuckConfig, "running_after"> {
  readonly running_after: number | null;
}

export interface LearnConfig {
  readonly enabled: boolean;
  readonly quantile: number;
  readonly factor: number;
  readonly min_samples: number;
  readonly floor: number;
  readonly ceiling: number;
}

export interface FailuresConfig {
  /** Null: never expires. */
  readonly keep_open: number | null;
}

export interface StoreConfig {
  /** As configured; it may carry a password. */
  readonly url: Secret;
  readonly kind: "sqlite" | "redis";
  /** SQLite: the file, relative to the working directory, or `:memory:`. Null for Redis. */
  readonly path: string | null;
  readonly key_prefix: string;
  readonly shards: number;
  readonly lease: number;
  readonly keep_events: number;
  readonly username: string | null;
  readonly password: Secret | null;
  readonly tls: MutualTlsConfig | null;
}

export interface WebhookConfig {
  readonly name: string;
  /** One, but for format alertmanager, where 2xx from one of them is success. */
  readonly urls: readonly [Secret, ...Secret[]];
  /** Signing secrets; several while rotating, none means unsigned. */
  readonly secrets: readonly Secret[];
  readonly format: WebhookFormat;
  /** `test` may be named and changes nothing: it is sent on demand, whatever a webhook takes. */
  readonly events: readonly EventType[];
  readonly match: MatchConfig;
  readonly headers: Readonly<Record<string, Secret>>;
  readonly auth: AuthConfig | null;
  readonly tls: ClientTlsConfig | null;
  readonly timeout: number;
  readonly retry: RetryConfig;
  readonly concurrency: number;
  readonly group: GroupConfig | null;
  readonly dead_letters: number;
  /** Format pagerduty only. */
  readonly routing_key: Secret | null;
  /** Format template only. */
  readonly template: string | null;
  /** Format template only. */
  readonly content_type: string | null;
}

export interface RetryConfig {
  readonly for: number;
  readonly refused_for: number;
  readonly min: number;
  readonly max: number;
}

export const GROUP_KEYS = ["project", "instance", "task", "engine", "region"] as const;
export type GroupKey = (typeof GROUP_KEYS)[number];

export interface GroupConfig {
  readonly by: readonly GroupKey[];
  readonly wait: number;
  readonly interval: number;
}

/** Lists of globs; null matches everything, keys are AND, a list is OR. `instance` is tried on name and id. */
export interface MatchConfig {
  readonly project: readonly string[] | null;
  readonly instance: readonly string[] | null;
  readonly task: readonly string[] | null;
  readonly engine: readonly string[] | null;
  readonly region: readonly string[] | null;
}

export const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const;
export type Weekday = (typeof WEEKDAYS)[number];

export type MaintenanceConfig =
  | {
      readonly kind: "weekly";
      readonly days: readonly Weekday[];
      /** Minutes after midnight of the local clock. `to` at or before `from` is on the next day. */
      readonly from: number;
      readonly to: number;
      readonly timezone: string;
      readonly match: MatchConfig;
    }
  /** Epoch milliseconds. */
  | { readonly kind: "absolute"; readonly start: number; readonly end: number; readonly match: MatchConfig };

export interface ServerConfig {
  readonly listen: { readonly host: string; readonly port: number };
  /** Without a trailing slash; empty when not set. */
  readonly external_url: string;
  readonly tls: { readonly cert: string; readonly key: Secret } | null;
  readonly auth: AuthConfig | null;
  readonly metrics_auth: boolean;
  readonly reload: boolean;
  readonly stop_timeout: number;
}

export type AuthConfig =
  | { readonly kind: "bearer"; readonly token: Secret }
  | { readonly kind: "basic"; readonly user: string; readonly password: Secret };

/** PEM text. */
export interface ClientTlsConfig {
  readonly ca: string;
}

/** PEM text; `cert` and `key` come together. */
export interface MutualTlsConfig {
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: Secret | null;
}

export interface PrivacyConfig {
  readonly task_params: boolean;
  readonly user_names: boolean;
}

export interface LogConfig {
  readonly level: LogLevel;
}
