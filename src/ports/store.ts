import type { EventType, TaskwatchEvent } from "../core/event.ts";
import type { InstanceRecord, InstanceState, NameKnowledge, TaskState } from "../core/state.ts";

/**
 * The store as the rest of the program sees it: small ports over one connection, shaped by what must be
 * atomic. No connection, transaction or script appears here. Left out on purpose: any read of a
 * task by the poll (the owner of a shard holds its state in memory) and any partial write of a listing.
 *
 * Every method may throw `StoreError` with code `unavailable`: the outcome of the write is then unknown, and
 * whoever wrote must load the shard anew before going on.
 */
export interface Store {
  readonly kind: "sqlite" | "redis";
  readonly state: StateStore;
  readonly outbox: Outbox;
  readonly leases: Leases;
  readonly notes: Notes;
  readonly budget: Budget;
  readonly reader: Reader;
  /** Rejects when the store does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** The right to write one shard. `fence` grows each time that a shard changes hands, and the write itself checks it. */
export interface Lease {
  readonly shard: number;
  readonly owner: string;
  readonly fence: number;
}

export type WriteResult =
  | { readonly kind: "ok" /** Of the shard, after the write. */; readonly generation: number }
  /** The instance's revision is not the expected one: somebody else wrote. Nothing was written. */
  | { readonly kind: "stale" }
  /** The lease is not (or no longer) the valid one. Nothing was written. */
  | { readonly kind: "fenced" };

export interface Batch {
  readonly shard: number;
  /** `instanceKey()` of the record. */
  readonly key: string;
  /** Revision that the decision was made on; 0 for an instance that the store does not know. */
  readonly expectRevision: number;
  /** The record to keep; null removes the instance with all its tasks. */
  readonly record: InstanceRecord | null;
  readonly upserts: readonly TaskState[];
  readonly removals: readonly string[];
  /** Kept by id: one that is there already is replaced, and not delivered again while it still is pending. */
  readonly events: readonly EventWrite[];
  readonly names: readonly NameKnowledge[];
}

export interface EventWrite {
  readonly event: TaskwatchEvent;
  /** The CloudEvent, as it is sent, signed and replayed: byte by byte. */
  readonly body: string;
  /** Deliveries of one lane go out one after the other: the incident key, or the instance's or project's own. */
  readonly lane: string;
}

export interface ShardState {
  readonly generation: number;
  /** With open tasks, open failures, and tasks with a verdict; the others come by `loadTasks`. */
  readonly instances: readonly InstanceState[];
  readonly names: readonly NameKnowledge[];
}

export interface StateStore {
  load(shard: number): Promise<ShardState>;
  /** All tasks of one instance, with the record and revision that they belong to; null if the store does not know it. */
  loadInstance(shard: number, key: string): Promise<InstanceState | null>;
  /**
   * Writes all of the batch or nothing. `lease` null is a command's write beside the daemon: it is checked by
   * revision alone, and the generation that it advances makes the owner load anew.
   */
  commit(lease: Lease | null, batch: Batch): Promise<WriteResult>;
  /** Flushes times of complete polls. Advances neither revision nor generation; unknown keys are passed over. */
  touch(lease: Lease, times: readonly PollTimes[]): Promise<"ok" | "fenced">;
}

export interface PollTimes {
  readonly key: string;
  readonly lastCompleteAt: number;
  readonly lastSweepAt: number | null;
}

export interface Delivery {
  readonly shard: number;
  readonly webhook: string;
  readonly lane: string;
  readonly eventId: string;
  readonly type: EventType;
  readonly body: string;
  /** Attempts made before this one. */
  readonly attempts: number;
  /** When it was put into the outbox. */
  readonly since: number;
}

export type Settlement =
  | { readonly kind: "delivered" }
  | { readonly kind: "retry"; readonly at: number; readonly reason: string }
  | { readonly kind: "dead"; readonly reason: string };

export interface Outbox {
  /**
   * Takes heads of lanes that are due, the longest due first, and holds them until they are settled or the
   * lease ends. `nextDueAt` is when to ask again if nothing else wakes the asker; null when nothing waits.
   */
  claim(
    lease: Lease,
    webhook: string,
    limit: number,
    now: number,
  ): Promise<{ readonly deliveries: readonly Delivery[]; readonly nextDueAt: number | null } | "fenced">;
  /** Ends the hold. All of the deliveries or none; they are of the lease's shard and of one webhook. */
  settle(
    lease: Lease,
    webhook: string,
    deliveries: readonly Pick<Delivery, "eventId" | "lane">[],
    settlement: Settlement,
    now: number,
  ): Promise<"ok" | "fenced">;
  /** Of one shard, per webhook with anything in it. */
  counts(shard: number): Promise<readonly OutboxCount[]>;
  deadLetters(): Promise<readonly DeadLetter[]>;
  /** Puts dead letters back as due deliveries, same id, same body. Returns the ids that it found; all when `ids` is null. */
  replay(ids: readonly string[] | null, now: number): Promise<readonly string[]>;
  drop(ids: readonly string[] | null): Promise<readonly string[]>;
  /** Prunes delivered events older than `eventsBefore` and the webhook's dead letters older than theirs. Bounded work per call. */
  prune(
    lease: Lease,
    eventsBefore: number,
    deadBefore: ReadonlyMap<string, number>,
  ): Promise<"ok" | "fenced">;
}

export interface OutboxCount {
  readonly webhook: string;
  readonly pending: number;
  readonly oldestAt: number | null;
  readonly dead: number;
}

export interface DeadLetter {
  readonly webhook: string;
  readonly eventId: string;
  readonly type: EventType;
  readonly at: number;
  readonly since: number;
  readonly attempts: number;
  readonly reason: string;
  readonly body: string;
}

export interface Leases {
  /** Announces a replica for `ttl` milliseconds and returns the live ones, itself among them, sorted. */
  join(member: string, ttl: number): Promise<readonly string[]>;
  leave(member: string): Promise<void>;
  /** Null while another owner's time has not run out. Raises the fence. */
  acquire(shard: number, member: string, ttl: number): Promise<Lease | null>;
  /** Only with equal owner and equal fence. `generation` tells whether somebody else wrote the shard. */
  renew(
    leases: readonly Lease[],
    ttl: number,
  ): Promise<readonly ({ readonly lease: Lease; readonly generation: number } | { readonly lost: Lease })[]>;
  release(lease: Lease): Promise<void>;
}

/** Small documents outside any shard, written by compare and set: credential locks, webhook breakers, dialects. */
export interface Notes {
  read(name: string): Promise<{ readonly value: string; readonly version: number } | null>;
  /** False when the version is not the expected one (0: must not exist yet). A null value removes. */
  write(name: string, value: string | null, expectVersion: number): Promise<boolean>;
  list(prefix: string): Promise<readonly { readonly name: string; readonly value: string }[]>;
}

/** A token bucket per project, shared by all replicas: holds one second's worth, and starts empty. */
export interface Budget {
  /** Takes up to `want` tokens. With none granted, `retryIn` is the milliseconds until one is there. */
  take(
    projectId: string,
    ratePerSecond: number,
    want: number,
  ): Promise<{ readonly granted: number; readonly retryIn: number }>;
}

/** Reads over all shards, beside the owners, for commands and the HTTP API. May be a moment behind. */
export interface Reader {
  instances(): Promise<
    readonly {
      readonly key: string;
      readonly shard: number;
      readonly record: InstanceRecord;
      readonly revision: number;
    }[]
  >;
  /** Tasks that are open, failed open, stuck, or all; of one instance where `key` is given. */
  tasks(filter: TaskFilter): Promise<readonly { readonly key: string; readonly task: TaskState }[]>;
  /** A task by its id, wherever it is; ids may repeat over instances. */
  task(taskId: string): Promise<readonly { readonly key: string; readonly task: TaskState }[]>;
  events(query: EventQuery): Promise<{ readonly events: readonly StoredEvent[]; readonly cursor: string }>;
  names(): Promise<readonly NameKnowledge[]>;
}

export interface TaskFilter {
  readonly state: "open" | "stuck" | "failed" | "all";
  readonly key?: string;
}

export interface EventQuery {
  /** Opaque, from an earlier answer; absent for the oldest kept. */
  readonly after?: string;
  readonly limit: number;
  readonly types?: readonly EventType[];
  /** Only of this task. */
  readonly taskId?: string;
}

export interface StoredEvent {
  readonly id: string;
  readonly type: EventType;
  readonly time: number;
  readonly body: string;
}
