import type { WebhookConfig } from "../config/config.ts";
import { backoff } from "../core/backoff.ts";
import { StoreError } from "../errors.ts";
import type { Clock, Random } from "../ports/clock.ts";
import type { Delivery, Lease, Notes, Outbox, Settlement } from "../ports/store.ts";
import type { DeliveryFact } from "../ports/telemetry.ts";
import { attempt } from "./attempt.ts";
import { AttemptLog, type RecentAttempt } from "./attempt-log.ts";
import { Bell } from "./bell.ts";
import type { Sender } from "./deliver.ts";
import { DisableSwitch } from "./disable-switch.ts";
import { DueShards } from "./due-shards.ts";
import { Flights } from "./flights.ts";
import type { Format } from "./format.ts";
import { Health } from "./health.ts";
import { settlementsOf } from "./settlement.ts";
import { SteadyTime } from "./steady-time.ts";

export interface WorkerOptions {
  readonly webhook: WebhookConfig;
  readonly format: Format;
  readonly sender: Sender;
  readonly outbox: Outbox;
  readonly notes: Notes;
  readonly clock: Clock;
  readonly random: Random;
  /** The shards that this replica owns and means to keep. */
  leases(): readonly Lease[];
  /** Whether the lease, by its local deadline, still is this replica's. */
  stillMine(lease: Lease): boolean;
  emit(fact: DeliveryFact): void;
}

/** Commands put dead letters back and lift a 410 beside the daemon, and are to be seen within five seconds. */
const LOOK_AGAIN_MS = 4_000;
const STORE_RETRY_MS = { min: 100, max: 5_000 };
const LEASE_LOOK_MS = 100;
/** A store that says "due" and gives nothing is not asked faster than this. */
const EMPTY_CLAIM_MS = 100;
const STOP_GRACE_MS = 200;
/** Dead letters of a disabled webhook settled in one write. */
const BURIED_AT_ONCE = 100;
/** As a claim's "now": heads of lanes whatever their due time. */
const WHATEVER_IS_DUE = Number.MAX_SAFE_INTEGER;

/**
 * Delivers what is pending for one webhook, from all shards of this replica: claims heads of lanes, sends at
 * most `concurrency` requests at a time, settles each. A failing store or receiver only makes it wait. What it has
 * claimed it settles, unless the shard is lost or the stop's time is over: then the end of the lease frees it.
 */
export class WebhookWorker {
  readonly name: string;
  readonly #options: WorkerOptions;
  readonly #bell: Bell;
  readonly #flights = new Flights(({ shard }) => this.wake(shard));
  readonly #due = new DueShards(LOOK_AGAIN_MS);
  readonly #time: SteadyTime;
  readonly #health: Health;
  readonly #switch: DisableSwitch;
  readonly #log: AttemptLog;
  readonly #stopping = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #claiming: { readonly shard: number; readonly ended: Promise<unknown> } | null = null;
  #saidDisabled = false;
  #storeFailing = false;

  constructor(options: WorkerOptions) {
    const { webhook, notes, clock, random, emit } = options;
    this.name = webhook.name;
    this.#options = options;
    this.#bell = new Bell(clock);
    this.#time = new SteadyTime(clock);
    this.#switch = new DisableSwitch(notes, webhook, clock);
    this.#log = new AttemptLog(webhook.name, clock, emit);
    this.#health = new Health(webhook, clock, random, emit);
  }

  start(): void {
    this.#loop = this.#run();
  }

  /** Something was committed in the shard (in any, when null), or the leases changed. */
  wake(shard: number | null = null): void {
    this.#due.wake(shard);
    this.#bell.ring();
  }

  /** The shard's lease is lost: its deliveries are aborted and left to the next owner. */
  lost(shard: number): void {
    this.#flights.abort(new Error("lease lost"), shard);
    this.#due.forget(shard);
  }

  /** Resolves when nothing of the shard is in flight; `leases()` must not name it any more. */
  async idle(shard: number): Promise<void> {
    if (this.#claiming?.shard === shard) await this.#claiming.ended;
    await this.#flights.ended(shard);
  }

  /** Claims nothing more; what is in flight may end within the time, then it is aborted. Never rejects. */
  async stop(withinMs = Number.POSITIVE_INFINITY): Promise<void> {
    this.#stopping.abort();
    this.#bell.ring();
    const allEnded = this.#loop.then(() => this.#flights.ended(null));
    if (withinMs !== Number.POSITIVE_INFINITY) {
      const ended = new AbortController();
      const tooLate = this.#options.clock.sleep(withinMs, ended.signal).catch(() => undefined);
      await Promise.race([allEnded, tooLate]);
      ended.abort();
      this.#flights.close(new Error("stopped"));
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
        if (wait > 0) await this.#bell.wait(wait);
      } catch (error) {
        failures++;
        this.#storeFailed("claim", error);
        await this.#storePause(failures, this.#stopping.signal).catch(() => undefined);
      }
    }
  }

  /** Starts what can be started now. Returns the milliseconds until there may be more to do. */
  async #round(): Promise<number> {
    const { clock, leases } = this.#options;
    await this.#lookAtSwitch();
    const held = this.#switch.disabled ? 0 : this.#health.held();
    if (held > 0) return Math.min(held, LOOK_AGAIN_MS);
    for (const lease of this.#due.due(leases(), this.#time.now(), clock.monotonic())) {
      const limit = this.#free();
      if (limit === 0 || this.#stopping.signal.aborted) return LOOK_AGAIN_MS;
      await this.#claim(lease, limit);
    }
    return this.#free() === 0 ? LOOK_AGAIN_MS : this.#due.wait(leases(), this.#time.now());
  }

  /** How many deliveries may be claimed now. */
  #free(): number {
    if (this.#switch.disabled) return this.#flights.size === 0 ? BURIED_AT_ONCE : 0;
    const limit = this.#health.down ? 1 : this.#options.webhook.concurrency;
    return Math.max(0, limit - this.#flights.size);
  }

  async #claim(lease: Lease, limit: number): Promise<void> {
    const { outbox, clock } = this.#options;
    const bury = this.#switch.disabled;
    this.#due.asking(lease, clock.monotonic());
    const claim = outbox.claim(lease, this.name, limit, bury ? WHATEVER_IS_DUE : this.#time.now());
    this.#claiming = { shard: lease.shard, ended: claim.catch(() => undefined) };
    const claimed = await claim.finally(() => {
      this.#claiming = null;
    });
    this.#storeFailing = false;
    if (claimed === "fenced") {
      this.#fenced(lease);
      return;
    }
    const { deliveries, nextDueAt } = claimed;
    if (deliveries.length === limit) this.#due.answered(lease, Number.NEGATIVE_INFINITY);
    else if (nextDueAt === null || deliveries.length > 0) this.#due.answered(lease, nextDueAt);
    else this.#due.answered(lease, Math.max(nextDueAt, this.#time.now() + EMPTY_CLAIM_MS));
    // One whose settlement got no answer can come again; its flight still settles it.
    const fresh = deliveries.filter((delivery) => !this.#flights.has(delivery));
    if (bury)
      this.#fly(lease, fresh, (signal) =>
        this.#bury(lease, fresh, "disabled: the webhook is disabled", signal),
      );
    else
      for (const delivery of fresh)
        this.#fly(lease, [delivery], (signal) => this.#deliver(lease, [delivery], signal));
  }

  #fly(lease: Lease, deliveries: readonly Delivery[], run: (signal: AbortSignal) => Promise<void>): void {
    if (deliveries.length === 0) return;
    this.#flights.start(lease, deliveries, async (signal) => {
      try {
        await run(signal);
      } catch (error) {
        if (!signal.aborted) this.#storeFailed("deliver", error);
      }
    });
  }

  /** The deliveries go out in one request and are settled together. */
  async #deliver(lease: Lease, deliveries: readonly Delivery[], signal: AbortSignal): Promise<void> {
    const { clock, format, sender, webhook, random } = this.#options;
    const overdue = this.#health.overdue(deliveries);
    if (overdue !== null) return this.#bury(lease, deliveries, overdue, signal);
    if (!(await this.#mayGo(lease, signal))) return;
    const probe = this.#health.down;
    const events = deliveries.map(({ eventId, type, body }) => ({ id: eventId, type, body }));
    const result = await attempt(format, sender, events, clock, signal);
    this.#log.attempted(deliveries, result);
    this.#health.learn(result, probe);
    if (result.verdict.kind === "disable") {
      this.#switch.disable();
      // Now, for the other replicas and for a stop that comes next; if it fails, the loop does it later.
      await this.#switch.refresh(LOOK_AGAIN_MS).catch(() => undefined);
    }
    const context = {
      ...this.#health.settlementContext(),
      retry: webhook.retry,
      now: clock.now(),
      dueFrom: this.#time.now(),
      random: random(),
    };
    for (const group of settlementsOf(result.verdict, deliveries, result.message, context))
      await this.#settle(lease, group.deliveries, group.settlement, signal, 1);
  }

  #bury(lease: Lease, deliveries: readonly Delivery[], reason: string, signal: AbortSignal): Promise<void> {
    return this.#settle(lease, deliveries, { kind: "dead", reason }, signal, 0);
  }

  /** Waits while the lease is in doubt; false when it is another's. */
  async #mayGo(lease: Lease, signal: AbortSignal): Promise<boolean> {
    const { leases, stillMine, clock } = this.#options;
    for (;;) {
      signal.throwIfAborted();
      if (stillMine(lease)) return true;
      if (!leases().some((held) => held.shard === lease.shard && held.fence === lease.fence)) return false;
      await clock.sleep(LEASE_LOOK_MS, signal);
    }
  }

  /** Until the store has answered: a settlement may be repeated, not dropped. `made` is the attempts just made. */
  async #settle(
    lease: Lease,
    deliveries: readonly Delivery[],
    settlement: Settlement,
    signal: AbortSignal,
    made: 0 | 1,
  ): Promise<void> {
    const { outbox, clock } = this.#options;
    for (let failures = 1; ; failures++) {
      signal.throwIfAborted();
      try {
        const result = await outbox.settle(lease, this.name, deliveries, settlement, clock.now());
        this.#storeFailing = false;
        if (result === "fenced") this.#fenced(lease);
        else this.#log.settled(deliveries, settlement, made);
        return;
      } catch (error) {
        this.#storeFailed("settle", error);
        await this.#storePause(failures, signal);
      }
    }
  }

  #fenced(lease: Lease): void {
    this.#due.fence(lease);
    this.#flights.abort(new Error("lease lost"), lease.shard);
  }

  async #lookAtSwitch(): Promise<void> {
    await this.#switch.refresh(LOOK_AGAIN_MS);
    const disabled = this.#switch.disabled;
    if (disabled === this.#saidDisabled) return;
    this.#saidDisabled = disabled;
    this.#due.wake(null);
    this.#options.emit({ kind: disabled ? "disabled" : "enabled", webhook: this.name });
  }

  #storeFailed(operation: string, error: unknown): void {
    if (this.#storeFailing) return;
    this.#storeFailing = true;
    const message =
      error instanceof StoreError ? error.message : String(error instanceof Error ? error.name : error);
    this.#options.emit({ kind: "store_failed", webhook: this.name, operation, message });
  }

  #storePause(failures: number, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    return clock.sleep(backoff(failures, STORE_RETRY_MS, random()), signal);
  }
}
