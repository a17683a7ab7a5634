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
  readonly notes: SharedDocuments;
  readonly budget: Budget;
  readonly reader: Reader;
  readonly setAside: SetAside;
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
  /** With `record` null: kept beside the instance's state, and not removed with it. */
  readonly removal?: Removal;
  /**
   * The record to keep; null removes the instance with all its tasks, and `upserts` are not looked at. With
   * revision 0 it writes events that belong to no instance, such as a webhook's test.
   */
  readonly record: InstanceRecord | null;
  readonly upserts: readonly TaskState[];
  readonly removals: readonly string[];
  /**
   * Kept by id. One that is there already is replaced and takes its place at the end; but as long as a delivery
   * or dead letter of it is left, it stays as it is, so that each attempt sends the same bytes. Either way it
   * goes to its webhooks, save those that it is pending for; a dead letter of it becomes a delivery again.
   */
  readonly events: readonly EventWrite[];
  readonly names: readonly NameKnowledge[];
}

export interface EventWrite {
  /** Its `time` is also when it was put into the outbox. */
  readonly event: TaskwatchEvent;
  /** The CloudEvent, as it is sent, signed and replayed: byte by byte. */
  readonly body: string;
  /** Deliveries of one lane go out one after the other: the incident key, or the instance's or project's own. */
  readonly lane: string;
}

/** That an instance was removed, for the record that it gets when it comes again. */
export interface Removal {
  /** How often by now; `InstanceRecord.removals` of the next record. */
  readonly removals: number;
  readonly at: number;
}

export interface ShardState {
  readonly generation: number;
  /** With open tasks, open failures, and tasks with a verdict; the others come by `loadInstance`. */
  readonly instances: readonly InstanceState[];
  readonly names: readonly NameKnowledge[];
  /** How often each instance was removed, by its key, as far as it is still known. */
  readonly removals: ReadonlyMap<string, number>;
}

/** A record that this version cannot read: it is damaged, or a newer version wrote it. */
export interface Unreadable {
  /** 0 for a note, which belongs to no shard. */
  readonly shard: number;
  readonly kind: "instance" | "task" | "name" | "event" | "delivery" | "dead_letter" | "note" | "lease";
  /** What it is, or was, stored under. */
  readonly key: string;
  /** Such as "it has format 2, and this version knows up to 1". */
  readonly why: string;
  /** When it was set aside; null while it is still in its place. */
  readonly at: number | null;
}

/**
 * Records that cannot be read are set aside: out of use, and kept as they are, so that a newer version or a person can
 * look at them. There is one copy for each kind and key, the newest.
 */
export interface SetAside {
  /** Sorted by shard, kind and key. Those of shard 0 include the notes. */
  list(shards: readonly number[]): Promise<readonly Unreadable[]>;
  /** Removes copies for good. */
  drop(copies: readonly Pick<Unreadable, "shard" | "kind" | "key">[]): Promise<void>;
}

export interface StateStore {
  /**
   * Passes over what cannot be read. With the valid lease it sets that aside first, one record at a time: an instance
   * whose record is lost keeps its tasks and begins anew, one that loses a task is asked for all of them again.
   */
  load(shard: number, lease?: Lease): Promise<ShardState>;
  /**
   * All tasks of one instance, with the record and revision that they belong to; null if the store does not know it.
   * Tasks that cannot be read are treated as in `load`. Rejects with code `unreadable` where the record cannot be read
   * and there is no lease to set it aside.
   */
  loadInstance(shard: number, key: string, lease?: Lease): Promise<InstanceState | null>;
  /**
   * Writes all of the batch or nothing. `lease` null is a command's write beside the daemon: it is checked by
   * revision alone, and the generation that it advances makes the owner load anew.
   */
  commit(lease: Lease | null, batch: Batch): Promise<WriteResult>;
  /** Writes times of complete polls. Advances neither revision nor generation; unknown keys are passed over. */
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
   * Takes heads of lanes that are due and holds them until they are settled or the shard's next lease is
   * acquired, the longest due first: so nothing is passed over for long, whatever comes in. One that was never tried
   * is due since it was put in, whatever `now` is. `nextDueAt` is when to ask again if nothing else wakes the asker:
   * the least due time of what is not held, in the past where `limit` cut, null when nothing waits.
   */
  claim(
    lease: Lease,
    webhook: string,
    limit: number,
    now: number,
  ): Promise<{ readonly deliveries: readonly Delivery[]; readonly nextDueAt: number | null } | "fenced">;
  /**
   * Takes and holds heads of lanes that were put in at `until` or before, whatever their due time, the oldest first.
   * Fewer than `limit`, or none, do not say that there are no more while others of them are held.
   */
  claimOld(
    lease: Lease,
    webhook: string,
    limit: number,
    until: number,
  ): Promise<readonly Delivery[] | "fenced">;
  /**
   * Ends the hold. All of the deliveries or none; they are of the lease's shard and of one webhook. What this
   * lease does not hold is passed over. Each settlement but `delivered` adds one to the attempts.
   */
  settle(
    lease: Lease,
    webhook: string,
    deliveries: readonly Pick<Delivery, "eventId" | "lane">[],
    settlement: Settlement,
    now: number,
  ): Promise<"ok" | "fenced">;
  /** Of one shard, per webhook with anything in it, sorted by its name. */
  counts(shard: number): Promise<readonly OutboxCount[]>;
  /** Of all shards, the oldest first, in pages: bodies are large. */
  deadLetters(query: DeadLetterQuery): Promise<DeadLetterPage>;
  /**
   * Puts dead letters back as due deliveries, same id, same body, no attempts; all when `ids` is null. They go
   * by a lane beside their old one, in their old order, so they neither wait for its later events nor hold
   * them up. Advances the generation of the shards, which tells their owners. Returns the ids that it found.
   * Another webhook gets the event once, however many of its deliveries or dead letters that webhook has.
   */
  replay(ids: readonly string[] | null, now: number, route?: ReplayRoute): Promise<readonly string[]>;
  drop(ids: readonly string[] | null): Promise<readonly string[]>;
  /**
   * Prunes events older than `eventsBefore`, and each webhook's dead letters older than its time in
   * `deadBefore`. Kept are events with a delivery or a dead letter left, and those of a task that is stuck or
   * an open failure. Also what is known of removals before `removedBefore`. Bounded work per call: what one leaves,
   * the next ones find.
   */
  prune(
    lease: Lease,
    eventsBefore: number,
    deadBefore: ReadonlyMap<string, number>,
    removedBefore: number,
  ): Promise<"ok" | "fenced">;
}

export interface OutboxCount {
  readonly webhook: string;
  readonly pending: number;
  /** The least `since` of what is pending; null when nothing is. */
  readonly oldestAt: number | null;
  readonly dead: number;
}

export interface ReplayRoute {
  /** Only dead letters of this webhook; absent for all. */
  readonly from?: string | undefined;
  /** The webhook that gets them; absent for the one that they were for. */
  readonly to?: string | undefined;
}

export interface DeadLetterQuery {
  /** Opaque, from an earlier page; absent for the first. */
  readonly after?: string;
  readonly limit: number;
}

export interface DeadLetterPage {
  /** At most `limit`; fewer, or none, do not say that there is no next page. */
  readonly letters: readonly DeadLetter[];
  /** Null when there are no more. What is dropped or replayed in between moves nothing. */
  readonly next: string | null;
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
  /** Shards that `acquire` would give to the member at this moment, as far as the store answers. */
  free(member: string): Promise<readonly number[]>;
  /** Null while another owner's time has not run out. Raises the fence, and frees what the shard's outbox holds. */
  acquire(shard: number, member: string, ttl: number): Promise<Lease | null>;
  /**
   * In the order given. Only with equal owner and equal fence. `generation` tells whether somebody else wrote the shard.
   * Null where the part of the store that has the shard does not answer; rejects when nothing does.
   */
  renew(
    leases: readonly Lease[],
    ttl: number,
  ): Promise<
    readonly ({ readonly lease: Lease; readonly generation: number } | { readonly lost: Lease } | null)[]
  >;
  release(lease: Lease): Promise<void>;
}

/** Small documents outside any shard, written by compare and set: credential locks, webhook breakers, dialects. */
export interface SharedDocuments {
  read(name: string): Promise<{ readonly value: string; readonly version: number } | null>;
  /**
   * False when the version is not the expected one (0: must not exist). A null value removes; a name never
   * gets a version again that it had before.
   */
  write(name: string, value: string | null, expectVersion: number): Promise<boolean>;
  /** Sorted by name. */
  list(prefix: string): Promise<readonly { readonly name: string; readonly value: string }[]>;
  /** Removes a note that its reader cannot make sense of, and keeps a copy of it aside. False as for `write`. */
  setAside(name: string, expectVersion: number, why: string): Promise<boolean>;
}

/** A token bucket per project, shared by all replicas: holds less than one second's worth, and starts empty. */
export interface Budget {
  /**
   * Takes up to `want` tokens. With none granted, `retryIn` is the milliseconds until one is there. Answers at once
   * where the bucket is in this process.
   */
  take(projectId: string, ratePerSecond: number, want: number): Promise<Tokens> | Tokens;
}

export interface Tokens {
  readonly granted: number;
  readonly retryIn: number;
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
  /** In no order. */
  tasks(filter: TaskFilter): Promise<readonly { readonly key: string; readonly task: TaskState }[]>;
  /** A task by its id, wherever it is; ids may repeat over instances. */
  task(taskId: string): Promise<readonly { readonly key: string; readonly task: TaskState }[]>;
  /**
   * Events of one shard come in the order of their commits. Fewer than `limit` only at the end; the cursor of an
   * answer goes on right after it, also after events were pruned or put in. One that this store never gave, or that is
   * past its end because it lost what it had, begins at the oldest: the caller gets too much, never too little.
   */
  events(query: EventQuery): Promise<EventPage>;
  /** The last `limit` events, in their order; the cursor goes on after them. With 0, the end alone. */
  newestEvents(limit: number): Promise<EventPage>;
  /** Of all shards: a name that several know is there as often. */
  names(): Promise<readonly (NameKnowledge & { readonly shard: number })[]>;
  /** All that is set aside, and what the last call of each method above passed over because it cannot be read. */
  unreadable(): Promise<readonly Unreadable[]>;
}

export interface TaskFilter {
  /** `failed` is an open failure; `live` is any of those before it. */
  readonly state: "open" | "stuck" | "failed" | "live" | "all";
  /** Only of these. */
  readonly instances?: readonly { readonly shard: number; readonly key: string }[];
}

export interface EventPage {
  readonly events: readonly (StoredEvent & {
    /** Goes on right after this one. */
    readonly cursor: string;
  })[];
  readonly cursor: string;
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
