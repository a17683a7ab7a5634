import { hash } from "../core/hash.ts";
import { shareOf } from "../core/shares.ts";
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
  /** Called before anything of the shard may be another replica's. */
  readonly onLost: (shard: Shard) => void;
  /** Called when nothing of the shard is in flight any more and the lease is still ours. */
  readonly beforeRelease: (shard: Shard) => Promise<void>;
}

/** Which shards are ours: takes a fair share, renews in good time, drops at once what is lost, gives back the rest. */
export class ShardKeeper {
  readonly #options: ShardKeeperOptions;
  readonly #owned = new Map<number, Shard>();
  readonly #leaving = new Map<number, { readonly shard: Shard; readonly done: Promise<void> }>();
  #members: readonly string[] = [];
  #stopping = false;

  constructor(options: ShardKeeperOptions) {
    this.#options = options;
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

  /** To be called well within a third of the lease time. Rejects when the store does not answer. */
  async tick(): Promise<void> {
    this.#dropExpired();
    const { leases, member, ttl, shards } = this.#options;
    this.#members = await leases.join(member, ttl);
    await this.#renew();
    if (this.#stopping) return;
    const share = shareOf(member, this.#members, shards);
    const surplus = this.#owned.size - share;
    for (const shard of [...this.#owned.values()].slice(0, Math.max(0, surplus))) void this.#giveBack(shard);
    if (surplus < 0) await this.#take(-surplus);
    await this.#reloadDropped();
  }

  /** Gives every lease back as soon as nothing of its shard is in flight. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const shard of this.#owned.values()) void this.#giveBack(shard);
    await Promise.all([...this.#leaving.values()].map((each) => each.done));
    await this.#options.leases.leave(this.#options.member);
  }

  async #renew(): Promise<void> {
    // What is being given back is still ours until its last delivery has ended.
    const held = [...this.#owned.values(), ...[...this.#leaving.values()].map((each) => each.shard)];
    if (held.length === 0) return;
    const deadline = this.#options.clock.monotonic() + this.#options.ttl;
    const answers = await this.#options.leases.renew(
      held.map((shard) => shard.lease),
      this.#options.ttl,
    );
    for (const answer of answers) {
      if ("lost" in answer) this.#lose(answer.lost.shard);
      else this.#owned.get(answer.lease.shard)?.renewed(deadline, answer.generation);
    }
  }

  async #take(count: number): Promise<void> {
    const { leases, state, member, shards, ttl, clock, emit, onGained } = this.#options;
    let left = count;
    // Replicas that start together begin at different places, so that they seldom try the same shard.
    const first = hash(member) % shards;
    for (let step = 0; step < shards && left > 0; step++) {
      const number = (first + step) % shards;
      if (this.#owned.has(number) || this.#leaving.has(number)) continue;
      const deadline = clock.monotonic() + ttl;
      const lease = await leases.acquire(number, member, ttl);
      if (!lease) continue;
      const shard = await Shard.open(state, lease, deadline);
      this.#owned.set(number, shard);
      left -= 1;
      emit({ kind: "lease.acquired", shard: number, fence: lease.fence });
      onGained(shard);
    }
  }

  async #reloadDropped(): Promise<void> {
    for (const shard of this.#owned.values()) if (shard.dropped) await shard.reload();
  }

  #dropExpired(): void {
    const now = this.#options.clock.monotonic();
    for (const shard of this.#owned.values()) if (now >= shard.deadline) this.#lose(shard.number);
  }

  /** The write is fenced whatever we do here; this stops the shard's polls and deliveries and hides its series. */
  #lose(number: number): void {
    const shard = this.#owned.get(number);
    if (!shard) return;
    this.#owned.delete(number);
    this.#options.onLost(shard);
    this.#options.emit({ kind: "lease.lost", shard: number });
    void shard.end();
  }

  async #giveBack(shard: Shard): Promise<void> {
    this.#owned.delete(shard.number);
    this.#options.onLost(shard);
    const done = shard
      .end()
      .then(() => this.#options.beforeRelease(shard))
      .then(() => this.#options.leases.release(shard.lease))
      .then(() => this.#options.emit({ kind: "lease.released", shard: shard.number }))
      // The lease runs out by itself.
      .catch(() => {})
      .finally(() => this.#leaving.delete(shard.number));
    this.#leaving.set(shard.number, { shard, done });
    await done;
  }
}
