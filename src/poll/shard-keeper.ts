import { hash } from "../core/hash.ts";
import { shareOf } from "../core/shares.ts";
import { StoreError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Lease, Leases, StateStore } from "../ports/store.ts";
import type { Emit } from "../ports/telemetry.ts";
import { Shard } from "./shard.ts";

export interface ShardKeeperOptions {
  readonly leases: Leases;
  readonly state: StateStore;
  /** Unique to this process: a restarted replica is another member. */
  readonly member: string;
  readonly shards: number;
  /** Lease time, milliseconds. */
  readonly ttl: number;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly onGained: (shard: Shard) => void;
  /** Called when the shard is to be given back: nothing of it begins any more, what is in flight may end. */
  readonly onLeaving: (shard: Shard) => void;
  /** Called before anything of the shard may be another replica's, also while it is being given back. */
  readonly onLost: (shard: Shard) => void;
  /** Called when nothing of the shard is in flight any more and the lease is still ours. */
  readonly beforeRelease: (shard: Shard) => Promise<void>;
}

/** Between two tries of a shard that cannot be loaded. */
const FAILED_MIN_MS = 1_000;
const FAILED_MAX_MS = 60_000;

/** Is the store as a whole in trouble? It says so itself, and all shards have it. */
const isOfStore = (error: unknown): boolean =>
  error instanceof StoreError && error.code !== "mismatch" && error.code !== "unreadable";

/** Which shards are ours: takes a fair share, renews in good time, drops at once what is lost, gives back the rest. */
export class ShardKeeper {
  readonly #options: ShardKeeperOptions;
  readonly #owned = new Map<number, Shard>();
  readonly #leaving = new Map<number, { readonly shard: Shard; readonly done: Promise<void> }>();
  /** The last one of each shard that was ours. */
  readonly #fences = new Map<number, number>();
  /** Shards that could not be loaded, and by the monotonic clock when they are tried again. */
  readonly #failed = new Map<number, { readonly wait: number; readonly until: number }>();
  #members: readonly string[] = [];
  /** Where to look for a free shard next. */
  #cursor: number;
  #ticking: Promise<void> = Promise.resolve();
  #reloading: Promise<void> | null = null;
  #stopping = false;
  /** Lost or given back, told once: one may be lost while it waits to be given back, or a renewal crosses its release. */
  readonly #over = new WeakSet<Shard>();

  constructor(options: ShardKeeperOptions) {
    this.#options = options;
    // Replicas that start together begin at different places, so that they seldom try the same shard.
    this.#cursor = hash(options.member) % options.shards;
  }

  get owned(): ReadonlyMap<number, Shard> {
    return this.#owned;
  }

  get members(): readonly string[] {
    return this.#members;
  }

  stillMine(lease: Lease): boolean {
    const shard = this.#owned.get(lease.shard);
    return shard?.lease.fence === lease.fence && this.#options.clock.monotonic() < shard.deadline;
  }

  /** To be called well within a third of the lease time, one at a time. Rejects when the store does not answer. */
  tick(): Promise<void> {
    const done = this.#tick();
    this.#ticking = done.catch(() => {});
    return done;
  }

  /** Drops what ran out while the store, or this process, did not move. To be called more often than `tick` may last. */
  dropExpired(): void {
    const now = this.#options.clock.monotonic();
    for (const shard of this.#held()) if (now >= shard.deadline) this.#lose(shard);
  }

  /** Gives every lease back as soon as nothing of its shard is in flight. */
  async stop(): Promise<void> {
    this.#stopping = true;
    // First of all: with one replica less the others' shares grow, and they take each shard once it is free.
    const left = this.#options.leases.leave(this.#options.member);
    left.catch(() => {});
    for (const shard of this.#owned.values()) void this.#giveBack(shard);
    await this.#ticking;
    await Promise.all([...this.#leaving.values()].map((each) => each.done));
    await left;
  }

  async #tick(): Promise<void> {
    this.dropExpired();
    const { leases, member, ttl, shards } = this.#options;
    // In one turn: what is held must be renewed in good time, also when more is taken from a store that is slow.
    const [joined, renewed] = await Promise.allSettled([
      // A replica that stops must not announce itself again.
      this.#stopping ? this.#members : leases.join(member, ttl),
      this.#renew(),
    ]);
    if (joined.status === "rejected") throw joined.reason;
    if (renewed.status === "rejected") throw renewed.reason;
    this.#members = joined.value;
    if (this.#stopping) return;
    const share = shareOf(member, this.#members, shards);
    const surplus = this.#owned.size - share;
    for (const shard of [...this.#owned.values()].slice(0, Math.max(0, surplus))) void this.#giveBack(shard);
    if (surplus < 0) await this.#take(-surplus);
    // Beside the ticks: a store that is slow to load must not keep the leases from being renewed.
    this.#reloading ??= this.#reloadDropped()
      .catch(() => {})
      .finally(() => {
        this.#reloading = null;
      });
  }

  /** What is being given back is still ours until its last delivery has ended. */
  #held(): readonly Shard[] {
    return [...this.#owned.values(), ...[...this.#leaving.values()].map((each) => each.shard)];
  }

  async #renew(): Promise<void> {
    const held = this.#held().map((shard) => ({ shard, renewed: shard.renewing() }));
    if (held.length === 0) return;
    const { leases, ttl, clock } = this.#options;
    const deadline = clock.monotonic() + ttl;
    const answers = await leases.renew(
      held.map(({ shard }) => shard.lease),
      ttl,
    );
    for (const [index, { shard, renewed }] of held.entries()) {
      const answer = answers[index];
      // Without an answer it stays ours until its time is over.
      if (answer === null || answer === undefined) continue;
      if ("lost" in answer) this.#lose(shard);
      else if (renewed(deadline, answer.generation)) this.#forgot(shard.number);
    }
  }

  /** At once as many as are wanted: with a round trip for each, a takeover would last as long as the store is slow. */
  async #take(count: number): Promise<void> {
    const { leases, member, shards } = this.#options;
    const place = (shard: number) => (shard - this.#cursor + shards) % shards;
    const tried = (await leases.free(member))
      .filter((shard) => !this.#owned.has(shard) && !this.#leaving.has(shard) && !this.#waits(shard))
      .sort((a, b) => place(a) - place(b))
      .slice(0, count);
    this.#cursor = ((tried.at(-1) ?? this.#cursor) + 1) % shards;
    if (this.#stopping) return;
    const answers = await Promise.allSettled(tried.map((shard) => this.#tryToGain(shard)));
    for (const answer of answers) if (answer.status === "rejected") throw answer.reason;
  }

  /** Another replica may have been faster. */
  async #tryToGain(number: number): Promise<void> {
    const { leases, member, ttl, clock } = this.#options;
    const deadline = clock.monotonic() + ttl;
    const lease = await leases.acquire(number, member, ttl);
    if (lease) await this.#gain(lease, deadline);
  }

  /** What cannot be loaded, or comes when we stop, is left to others at once. */
  async #gain(lease: Lease, deadline: number): Promise<void> {
    const { state, emit, onGained, leases } = this.#options;
    try {
      const shard = await Shard.open(state, lease, deadline);
      if (!this.#stopping) {
        // Fences only grow, unless the store lost the last ones.
        if (lease.fence <= (this.#fences.get(lease.shard) ?? 0)) this.#forgot(lease.shard);
        this.#fences.set(lease.shard, lease.fence);
        this.#owned.set(lease.shard, shard);
        this.#failed.delete(lease.shard);
        emit({ kind: "lease.acquired", shard: lease.shard, fence: lease.fence });
        onGained(shard);
        return;
      }
    } catch (error) {
      await leases.release(lease).catch(() => {});
      if (isOfStore(error)) throw error;
      this.#fail(lease.shard, error);
      return;
    }
    await leases.release(lease);
  }

  /** The shard itself cannot be loaded: it is left to others, and tried again later, ever more seldom. */
  #fail(shard: number, error: unknown): void {
    const { clock, emit } = this.#options;
    const wait = Math.min((this.#failed.get(shard)?.wait ?? FAILED_MIN_MS / 2) * 2, FAILED_MAX_MS);
    this.#failed.set(shard, { wait, until: clock.monotonic() + wait });
    emit({ kind: "shard.failed", shard, error, at: clock.now() });
  }

  #waits(shard: number): boolean {
    return this.#options.clock.monotonic() < (this.#failed.get(shard)?.until ?? Number.NEGATIVE_INFINITY);
  }

  #forgot(shard: number): void {
    this.#options.emit({ kind: "store.forgot", shard });
  }

  async #reloadDropped(): Promise<void> {
    for (const shard of [...this.#owned.values()]) {
      if (!shard.dropped) continue;
      try {
        await shard.reload();
      } catch (error) {
        if (isOfStore(error)) throw error;
        // Without its state it is not watched, so it must not count as owned.
        if (this.#owned.get(shard.number) !== shard) continue;
        this.#fail(shard.number, error);
        void this.#giveBack(shard);
      }
    }
  }

  /** The write is fenced whatever we do here; this stops the shard's polls and deliveries and hides its series. */
  #lose(shard: Shard): void {
    if (this.#over.has(shard)) return;
    this.#over.add(shard);
    if (this.#owned.get(shard.number) === shard) this.#owned.delete(shard.number);
    this.#options.onLost(shard);
    this.#options.emit({ kind: "lease.lost", shard: shard.number });
    void shard.end();
  }

  async #giveBack(shard: Shard): Promise<void> {
    this.#owned.delete(shard.number);
    this.#options.onLeaving(shard);
    const done = shard
      .end()
      .then(() => this.#options.beforeRelease(shard))
      .then(() => this.#release(shard))
      // The lease runs out by itself.
      .catch(() => {})
      .finally(() => this.#leaving.delete(shard.number));
    this.#leaving.set(shard.number, { shard, done });
    await done;
  }

  async #release(shard: Shard): Promise<void> {
    if (this.#over.has(shard)) return;
    this.#over.add(shard);
    await this.#options.leases.release(shard.lease);
    this.#options.emit({ kind: "lease.released", shard: shard.number });
  }
}
