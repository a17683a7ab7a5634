import type { WebhookConfig } from "../config/config.ts";
import type { Clock, Random } from "../ports/clock.ts";
import type { Delivery, Lease, Outbox, SharedDocuments } from "../ports/store.ts";
import type { DeliveryFact } from "../ports/telemetry.ts";
import { Aggregator, batchesOf } from "./aggregation.ts";
import { AttemptLog, type RecentAttempt } from "./attempt-log.ts";
import type { Sender } from "./deliver.ts";
import { Deliverer } from "./deliverer.ts";
import { DeliverySettler } from "./delivery-settler.ts";
import { DisableSwitch } from "./disable-switch.ts";
import { ALL_DUE, DueShards } from "./due-shards.ts";
import type { Format } from "./format.ts";
import { InFlight } from "./in-flight.ts";
import { NonDecreasingClock } from "./non-decreasing-clock.ts";
import { RateLimiter } from "./rate-limit.ts";
import { WakeSignal } from "./wake-signal.ts";
import { WebhookHealth } from "./webhook-health.ts";

export interface WorkerOptions {
  readonly webhook: WebhookConfig;
  readonly format: Format;
  readonly sender: Sender;
  readonly outbox: Outbox;
  readonly notes: SharedDocuments;
  readonly clock: Clock;
  readonly random: Random;
  /** Of the address that is sent to, where others send to it too. */
  readonly rateLimiter?: RateLimiter;
  /** The shards that this replica owns and means to keep. */
  leases(): readonly Lease[];
  /** Whether the lease, by its local deadline, still is this replica's. */
  stillMine(lease: Lease): boolean;
  emit(fact: DeliveryFact): void;
}

/** Commands put dead letters back and lift a 410 beside the daemon, and are to be seen within five seconds. */
const LOOK_AGAIN_MS = 4_000;
/** A store that says "due" and gives nothing is not asked faster than this. */
const EMPTY_CLAIM_MS = 100;
const STOP_GRACE_MS = 200;
/** Dead letters that need no attempt, settled in one write. */
const BURIED_AT_ONCE = 100;
const DISABLED = "disabled: the webhook is disabled";

/**
 * Delivers what is pending for one webhook, from all shards of this replica: claims heads of lanes, sends at
 * most `concurrency` requests at a time, settles each. A failing store or receiver only makes it wait. What it has
 * claimed it settles, unless the shard is lost or the stop's time is over: then the end of the lease frees it.
 */
export class WebhookWorker {
  readonly name: string;
  readonly #options: WorkerOptions;
  readonly #wakeSignal: WakeSignal;
  readonly #inFlight = new InFlight((shard) => this.wake(shard));
  readonly #aggregator: Aggregator | null;
  readonly #rateLimiter: RateLimiter;
  readonly #due = new DueShards(LOOK_AGAIN_MS);
  readonly #time: NonDecreasingClock;
  readonly #health: WebhookHealth;
  readonly #switch: DisableSwitch;
  readonly #log: AttemptLog;
  readonly #settler: DeliverySettler;
  readonly #deliverer: Deliverer;
  readonly #stopping = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #claiming: { readonly shard: number; readonly ended: Promise<unknown> } | null = null;
  #saidDisabled = false;
  /** Monotonic. */
  #lookForOldAt = Number.NEGATIVE_INFINITY;

  constructor(options: WorkerOptions) {
    const { webhook, format, notes, clock, random, emit } = options;
    this.name = webhook.name;
    this.#rateLimiter = options.rateLimiter ?? new RateLimiter(format.limits ?? []);
    this.#aggregator = webhook.group === null ? null : new Aggregator(webhook.group, format.maxEvents);
    this.#options = options;
    this.#wakeSignal = new WakeSignal(clock);
    this.#time = new NonDecreasingClock(clock);
    this.#switch = new DisableSwitch(notes, webhook, clock);
    this.#log = new AttemptLog(webhook.name, clock, emit);
    this.#health = new WebhookHealth(webhook, clock, random, emit);
    this.#settler = new DeliverySettler(options, this.#log, (lease) => this.#fenced(lease));
    this.#deliverer = new Deliverer({
      ...options,
      inFlight: this.#inFlight,
      rateLimiter: this.#rateLimiter,
      time: this.#time,
      health: this.#health,
      disableSwitch: this.#switch,
      log: this.#log,
      settler: this.#settler,
      onRefusedTogether: ({ lease, deliveries }) =>
        this.#aggregator?.addSingly(lease, deliveries, this.#time.now()),
      stopping: this.#stopping.signal,
    });
  }

  start(): void {
    this.#loop = this.#run();
  }

  /** Something was committed in the shard (in any, when null), or the leases changed. */
  wake(shard: number | null = null): void {
    this.#due.wake(shard);
    this.#wakeSignal.notify();
  }

  /** The shard's lease is lost: its deliveries are aborted and left to the next owner. */
  lost(shard: number): void {
    this.#aggregator?.release(shard);
    this.#inFlight.abort(new Error("lease lost"), shard);
    this.#due.forget(shard);
  }

  /** Resolves when nothing of the shard is in flight; `leases()` must not name it any more. */
  async idle(shard: number): Promise<void> {
    if (this.#claiming?.shard === shard) await this.#claiming.ended;
    this.#aggregator?.release(shard);
    await this.#inFlight.ended(shard);
  }

  /** Claims nothing more and gives back what waits; what is in flight may end within the time, then it is aborted. Never rejects. */
  async stop(withinMs = Number.POSITIVE_INFINITY): Promise<void> {
    this.#stopping.abort();
    this.#wakeSignal.notify();
    const allEnded = this.#loop.then(() => {
      for (const batch of batchesOf(this.#aggregator?.release(null) ?? [])) this.#deliverer.release(batch);
      return this.#inFlight.ended(null);
    });
    if (withinMs !== Number.POSITIVE_INFINITY) {
      const ended = new AbortController();
      const tooLate = this.#options.clock.sleep(withinMs, ended.signal).catch(() => undefined);
      await Promise.race([allEnded, tooLate]);
      ended.abort();
      this.#inFlight.close(new Error("stopped"));
      // A store that does not answer cannot be aborted, and must not hold up the stop.
      await Promise.race([allEnded, this.#options.clock.sleep(STOP_GRACE_MS)]);
    } else await allEnded;
    await this.#options.sender.close();
  }

  /** The last attempts, the oldest first. */
  recent(): readonly RecentAttempt[] {
    return this.#log.recent();
  }

  get disabled(): boolean {
    return this.#switch.disabled;
  }

  /** Taken for down: only probed. */
  get down(): boolean {
    return this.#health.down;
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#stopping.signal.aborted) {
      try {
        const wait = await this.#round();
        failures = 0;
        if (wait > 0) await this.#wakeSignal.wait(wait);
      } catch (error) {
        failures++;
        this.#settler.storeFailed("claim", error);
        await this.#settler.backOff(failures, this.#stopping.signal).catch(() => undefined);
      }
    }
  }

  /** Starts what can be started now. Returns the milliseconds until there may be more to do. */
  async #round(): Promise<number> {
    const { clock, leases } = this.#options;
    await this.#lookAtSwitch();
    await this.#buryOld();
    const held = this.#switch.disabled ? 0 : this.#health.retryIn();
    if (held > 0) return Math.min(held, LOOK_AGAIN_MS);
    for (const lease of this.#due.due(leases(), this.#time.now(), clock.monotonic())) {
      const limit = this.#free();
      if (limit === 0 || this.#stopping.signal.aborted) break;
      await this.#claim(lease, limit);
    }
    if (this.#stopping.signal.aborted) return LOOK_AGAIN_MS;
    const sendable = this.#sendGathered();
    const claimable = this.#free() === 0 ? this.#paceWait() : this.#due.wait(leases(), this.#time.now());
    return Math.min(sendable, claimable, LOOK_AGAIN_MS);
  }

  /** How many deliveries may be claimed now. */
  #free(): number {
    if (this.#switch.disabled) return this.#inFlight.size === 0 ? BURIED_AT_ONCE : 0;
    return this.#aggregator?.room ?? this.#sendable();
  }

  /** How many requests may begin now. */
  #sendable(): number {
    const limit = this.#health.down ? 1 : this.#options.webhook.concurrency;
    return Math.max(
      0,
      Math.min(limit - this.#inFlight.size, this.#rateLimiter.available(this.#options.clock.monotonic())),
    );
  }

  /** Returns the wait until the rate limit allows a request; a sending that ends wakes the worker by itself. */
  #paceWait(): number {
    return this.#rateLimiter.retryAfter(this.#options.clock.monotonic()) || LOOK_AGAIN_MS;
  }

  /** Sends the groups whose time has come. Returns the milliseconds until there may be more to send. */
  #sendGathered(): number {
    const aggregator = this.#aggregator;
    if (aggregator === null) return Number.POSITIVE_INFINITY;
    if (this.#switch.disabled) {
      for (const batch of batchesOf(aggregator.release(null))) this.#deliverer.deadLetter(batch, DISABLED);
      return Number.POSITIVE_INFINITY;
    }
    for (;;) {
      const wait = aggregator.wait(this.#time.now());
      if (wait > 0) return wait;
      if (this.#sendable() === 0) return this.#paceWait();
      const message = aggregator.take(this.#time.now());
      if (message === null) return LOOK_AGAIN_MS;
      const ended = (delivered: boolean) => aggregator.ended(message.group, delivered, this.#time.now());
      this.#deliverer.send(batchesOf(message.held), ended);
    }
  }

  /**
   * What is past its retry time while the webhook is down becomes dead letters, many at a time and without an attempt,
   * wherever it waits: one probe in minutes would not reach it. Not while anything is in flight, so that there is not
   * more of it in memory than a batch of each shard.
   */
  async #buryOld(): Promise<void> {
    const { outbox, clock, leases } = this.#options;
    const over = this.#switch.disabled ? null : this.#health.expiredBefore();
    if (over === null || this.#inFlight.size > 0 || clock.monotonic() < this.#lookForOldAt) return;
    const gathered = batchesOf(this.#aggregator?.releaseOld(over.until) ?? []);
    for (const batch of gathered) this.#deliverer.deadLetter(batch, over.reason);
    let found = gathered.length > 0;
    for (const lease of this.#due.usable(leases())) {
      if (this.#stopping.signal.aborted) return;
      await this.#ask(lease, outbox.claimOld(lease, this.name, BURIED_AT_ONCE, over.until), (claimed) => {
        const deliveries = this.#fresh(lease, claimed);
        this.#deliverer.deadLetter({ lease, deliveries }, over.reason);
        if (deliveries.length > 0) found = true;
      });
    }
    if (!found) this.#lookForOldAt = clock.monotonic() + LOOK_AGAIN_MS;
  }

  async #claim(lease: Lease, limit: number): Promise<void> {
    const { outbox, clock } = this.#options;
    const bury = this.#switch.disabled;
    this.#due.asking(lease, clock.monotonic());
    const now = bury ? ALL_DUE : this.#time.now();
    await this.#ask(lease, outbox.claim(lease, this.name, limit, now), ({ deliveries, nextDueAt }) => {
      if (deliveries.length === limit) this.#due.answered(lease, Number.NEGATIVE_INFINITY);
      else if (nextDueAt === null || deliveries.length > 0) this.#due.answered(lease, nextDueAt);
      else this.#due.answered(lease, Math.max(nextDueAt, this.#time.now() + EMPTY_CLAIM_MS));
      const fresh = this.#fresh(lease, deliveries);
      if (bury) this.#deliverer.deadLetter({ lease, deliveries: fresh }, DISABLED);
      else if (this.#aggregator === null)
        for (const delivery of fresh) this.#deliverer.send([{ lease, deliveries: [delivery] }]);
      // While the claim was under way the shard may have been given to another replica.
      else if (this.#deliverer.isHeld(lease)) this.#aggregator.add(lease, fresh, this.#time.now());
    });
  }

  /** Waits for the answer to a claim and takes it on; the shard is not idle before. */
  async #ask<T>(lease: Lease, claim: Promise<T | "fenced">, take: (claimed: T) => void): Promise<void> {
    const taken = claim.then((claimed) => {
      this.#settler.storeAnswered();
      if (claimed === "fenced") this.#fenced(lease);
      else take(claimed);
    });
    this.#claiming = { shard: lease.shard, ended: taken.catch(() => undefined) };
    await taken.finally(() => {
      this.#claiming = null;
    });
  }

  /** One whose settlement got no answer can come again; the sending still settles it. */
  #fresh(lease: Lease, deliveries: readonly Delivery[]): readonly Delivery[] {
    return deliveries.filter(
      (delivery) => !this.#inFlight.has(delivery) && !this.#aggregator?.has(lease, delivery),
    );
  }

  #fenced(lease: Lease): void {
    this.#due.fence(lease);
    this.#aggregator?.release(lease.shard);
    this.#inFlight.abort(new Error("lease lost"), lease.shard);
  }

  async #lookAtSwitch(): Promise<void> {
    await this.#switch.refresh(LOOK_AGAIN_MS);
    const disabled = this.#switch.disabled;
    if (disabled === this.#saidDisabled) return;
    this.#saidDisabled = disabled;
    this.#due.wake(null);
    this.#options.emit({ kind: disabled ? "disabled" : "enabled", webhook: this.name });
  }
}
