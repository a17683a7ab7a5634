import {
  type InstanceRecord,
  type InstanceState,
  instanceKey,
  type NameKnowledge,
  type TaskState,
} from "../core/state.ts";
import type { Batch, Lease, PollTimes, ShardState, StateStore, WriteResult } from "../ports/store.ts";

/**
 * One shard that this replica owns, with its state in memory. The lease makes the memory right; revision and
 * generation, checked at every commit and renewal, notice when it is not. Anything doubtful drops the memory: it is
 * loaded anew before the next use.
 */
export class Shard {
  readonly number: number;
  readonly #store: StateStore;
  readonly #abort = new AbortController();
  readonly #lease: Lease;
  /** Local monotonic time after which the lease may be somebody else's. */
  #deadline: number;
  #generation = 0;
  /** Commits without an answer. */
  #committing = 0;
  #dropped = false;
  /** Doubts and loads so far: a load must not clear a doubt that came while it was under way. */
  #drops = 0;
  #loads = 0;
  #loading: Promise<void> | null = null;
  #instances = new Map<string, Loaded>();
  #names = new Map<string, Map<string, NameKnowledge>>();
  #namesVersion = 0;
  #removals = new Map<string, number>();
  readonly #unflushed = new Set<string>();
  #busy = 0;
  /** Once it has ended. */
  readonly #idle = Promise.withResolvers<void>();

  private constructor(store: StateStore, lease: Lease, deadline: number) {
    this.number = lease.shard;
    this.#store = store;
    this.#lease = lease;
    this.#deadline = deadline;
  }

  static async open(store: StateStore, lease: Lease, deadline: number): Promise<Shard> {
    const shard = new Shard(store, lease, deadline);
    await shard.reload();
    return shard;
  }

  get lease(): Lease {
    return this.#lease;
  }

  get deadline(): number {
    return this.#deadline;
  }

  /** Aborted when the shard is lost or given back: nothing of it may go on. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** What this shard knows of the names of one project. */
  names(projectId: string): ReadonlyMap<string, NameKnowledge> {
    return this.#names.get(projectId) ?? new Map();
  }

  /** Grows with each change of what is known of names. */
  get namesVersion(): number {
    return this.#namesVersion;
  }

  get keys(): Iterable<string> {
    return this.#instances.keys();
  }

  /** What memory holds of an instance: for metrics. Tasks that are neither open nor alerting may be missing. */
  peek(key: string): InstanceState | undefined {
    return this.#instances.get(key)?.state;
  }

  /** The same as `whole`, where memory holds it all already; undefined where it does not. */
  wholeInMemory(key: string): InstanceState | undefined {
    const known = this.#dropped ? undefined : this.#instances.get(key);
    return known?.whole ? known.state : undefined;
  }

  /** All that is known of an instance, for a decision; undefined if the store does not know it. */
  async whole(key: string): Promise<InstanceState | undefined> {
    if (this.#dropped) await this.reload();
    const known = this.#instances.get(key);
    if (!known || known.whole) return known?.state;
    const state = await this.#store.loadInstance(this.number, key, this.#lease);
    if (state) this.#instances.set(key, { state, whole: true });
    return state ?? undefined;
  }

  /** How often an instance was removed that the store does not know: for its new record. */
  async removals(key: string): Promise<number> {
    if (this.#dropped) await this.reload();
    return this.#removals.get(key) ?? 0;
  }

  /**
   * A complete poll that wrote nothing: its times are flushed later, an older value only widens the next window.
   * `revision` is that of the state that it was decided on; if memory has another one by now, it says nothing.
   */
  completed(key: string, revision: number, record: InstanceRecord): void {
    const known = this.#instances.get(key);
    if (!known || this.#dropped || known.state.revision !== revision) return;
    this.#instances.set(key, { ...known, state: { ...known.state, record } });
    this.#unflushed.add(key);
  }

  async flush(): Promise<void> {
    // Times of a memory that may be ahead of the store would tell it that it saw what it has forgotten.
    if (this.#dropped) return;
    const keys = [...this.#unflushed];
    this.#unflushed.clear();
    const times: PollTimes[] = [];
    for (const key of keys) {
      const record = this.peek(key)?.record;
      if (record?.lastCompleteAt == null) continue;
      times.push({ key, lastCompleteAt: record.lastCompleteAt, lastSweepAt: record.lastSweepAt });
    }
    if (times.length > 0 && (await this.#store.touch(this.#lease, times)) === "fenced") this.drop();
  }

  /** Writes a batch and takes it into memory. A thrown error leaves the memory dropped: the outcome is unknown. */
  async commit(batch: Omit<Batch, "shard">): Promise<WriteResult["kind"]> {
    let result: WriteResult;
    const loads = this.#loads;
    // Before the answer, so that a commit that is made meanwhile adds to it instead of writing over it.
    this.#learn(batch.names);
    this.#committing += 1;
    try {
      result = await this.#store.commit(this.#lease, { ...batch, shard: this.number });
    } catch (error) {
      this.drop();
      throw error;
    } finally {
      this.#committing -= 1;
    }
    if (result.kind !== "ok") {
      this.drop();
      return result.kind;
    }
    this.#generation += 1;
    if (result.generation !== this.#generation) this.drop();
    else {
      if (this.#loads !== loads) this.#learn(batch.names);
      this.#apply(batch);
    }
    return "ok";
  }

  /** Something else wrote, or something failed: what memory holds is not to be trusted. */
  drop(): void {
    this.#dropped = true;
    this.#drops += 1;
  }

  /**
   * To be called right before a renewal is sent; what it gives is to be called with the answer. That tells whether the
   * store knows less than it had acknowledged.
   */
  renewing(): (deadline: number, generation: number) => boolean {
    const least = this.#generation;
    const loads = this.#loads;
    return (deadline, generation) => {
      this.#deadline = deadline;
      // A load that came between the two is newer than the answer.
      if (this.#dropped || this.#loads !== loads) return false;
      // Commits that were under way beside it may be counted in the answer or not; each checks its own.
      const most = this.#generation + this.#committing;
      if (generation < least || generation > most) this.drop();
      return generation < least;
    };
  }

  get dropped(): boolean {
    return this.#dropped;
  }

  reload(): Promise<void> {
    this.#loading ??= this.#load().finally(() => {
      this.#loading = null;
    });
    return this.#loading;
  }

  /** Nothing of the shard may go on; resolves when nothing does. */
  async end(): Promise<void> {
    this.#abort.abort(new Error(`shard ${this.number} is no longer owned`));
    if (this.#busy > 0) await this.#idle.promise;
  }

  /** Counts work in flight, so that the lease is given back only after it. */
  enter(): () => void {
    this.#busy += 1;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#busy -= 1;
      if (this.#busy === 0 && this.signal.aborted) this.#idle.resolve();
    };
  }

  async #load(): Promise<void> {
    const drops = this.#drops;
    const state: ShardState = await this.#store.load(this.number, this.#lease);
    this.#loads += 1;
    this.#unflushed.clear();
    this.#generation = state.generation;
    this.#instances = new Map(
      state.instances.map((each) => [
        instanceKey(each.record.projectId, each.record.instanceId),
        { state: each, whole: false },
      ]),
    );
    this.#removals = new Map(state.removals);
    this.#names = new Map();
    this.#namesVersion += 1;
    this.#learn(state.names);
    if (this.#drops === drops) this.#dropped = false;
  }

  #learn(names: readonly NameKnowledge[]): void {
    if (names.length === 0) return;
    for (const entry of names) {
      const known = this.#names.get(entry.projectId);
      if (known) known.set(entry.name, entry);
      else this.#names.set(entry.projectId, new Map([[entry.name, entry]]));
    }
    this.#namesVersion += 1;
  }

  #apply(batch: Omit<Batch, "shard">): void {
    if (batch.record === null) {
      this.#instances.delete(batch.key);
      if (batch.removal !== undefined) this.#removals.set(batch.key, batch.removal.removals);
      return;
    }
    const known = this.#instances.get(batch.key);
    const tasks = (known?.state.tasks ?? new Map()) as Map<string, TaskState>;
    for (const id of batch.removals) tasks.delete(id);
    for (const task of batch.upserts) tasks.set(task.id, task);
    this.#instances.set(batch.key, {
      state: { record: batch.record, revision: batch.expectRevision + 1, tasks },
      whole: known?.whole ?? true,
    });
  }
}

interface Loaded {
  readonly state: InstanceState;
  /** False while only the tasks that alert or run are in memory. */
  readonly whole: boolean;
}
