import type { Cause } from "../core/cause.ts";
import type { TaskCounts, UnreachableJson } from "./instance.ts";

/** The monitor's own health. Public interface. */
export interface StatusJson {
  readonly version: string;
  readonly revision: string;
  /** Of this answer. */
  readonly time: string | null;
  /** Of this process. */
  readonly ready: boolean;
  readonly reasons: readonly string[];
  readonly replica: string;
  /** Those that are alive, this one among them; empty before the first look. */
  readonly replicas: readonly string[];
  /** `owned` by this process. */
  readonly shards: { readonly total: number; readonly owned: number };
  readonly store: {
    readonly kind: "sqlite" | "redis";
    readonly up: boolean;
    /** Of all shards; null while the store does not answer. */
    readonly unreadable_records: number | null;
  };
  readonly config: {
    /** As `taskwatch_config_hash`. */
    readonly hash: number;
    readonly loaded_at: string | null;
    /** The last try since the start; null before the first one. */
    readonly last_reload: {
      readonly at: string | null;
      readonly successful: boolean;
      readonly problems: readonly string[];
    } | null;
  };
  readonly instances: number;
  /** Null while the store does not answer. */
  readonly tasks: TaskCounts | null;
  readonly projects: readonly ProjectJson[];
}

export interface ProjectJson {
  readonly name: string;
  /** Null until it is looked up. */
  readonly id: string | null;
  readonly region: string;
  /** Watched. */
  readonly instances: number;
  /** Null while all of it is watched, and before the store answers. `cause` is null before the first try failed. */
  readonly not_watched: {
    readonly since: string | null;
    readonly cause: Cause | null;
    readonly reason: string;
  } | null;
  readonly unreachable: UnreachableJson | null;
  /** False from a refusal until they are accepted again; null before the store answers. */
  readonly credentials_valid: boolean | null;
  /** Of its instances, the one that was polled last and the one that waits longest. */
  readonly last_complete_poll_at: string | null;
  readonly oldest_complete_poll_at: string | null;
  /** Calls per second: as configured, what is used of it while the cloud throttles, and what the schedules need. */
  readonly budget: {
    readonly requests_per_second: number;
    readonly current: number | null;
    readonly needed: number;
  };
  /** Null without discovery. */
  readonly discovery: { readonly found: number | null; readonly last_success_at: string | null } | null;
}
