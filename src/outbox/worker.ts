import type { WebhookConfig } from "../config/config.ts";
import type { Clock, Random } from "../ports/clock.ts";
import type { Delivery, Lease, Notes, Outbox, Settlement } from "../ports/store.ts";
import type { DeliveryFact } from "../ports/telemetry.ts";
import { attempt } from "./attempt.ts";
import { AttemptLog, type RecentAttempt } from "./attempt-log.ts";
import { Bell } from "./bell.ts";
import type { Sender } from "./deliver.ts";
import { DisableSwitch } from "./disable-switch.ts";
import { DueShards } from "./due-shards.ts";
import { Flights, type Load } from "./flights.ts";
import type { Format } from "./format.ts";
import { Gathering, type Held } from "./gathering.ts";
import { Health } from "./health.ts";
import { Pace } from "./pace.ts";
import { settlementsOf } from "./settlement.ts";
import { Settler } from "./settler.ts";
import { SteadyTime } from "./steady-time.ts";

export interface WorkerOptions {
  readonly webhook: WebhookConfig;
  readonly format: Format;
  readonly sender: Sender;
  readonly outbox: Outbox;
  readonly notes: Notes;
  readonly clock: Clock;
  readonly random: Random;
  /** Of the address that is sent to, where others send to it too. */
  readonly pace?: Pace;
  /** The shards that this replica owns and means to keep. */
  leases(): readonly Lease[];
  /** Whether the lease, by its local deadline, still is this replica's. */
  stillMine(lease: Lease): boolean;
  emit(fact: DeliveryFact): void;
}

/** Commands put dead letters back and lift a 410 beside the daemon, and are to be seen within five seconds. */
const LOOK_AGAIN_MS = 4_000;
const LEASE_LOOK_MS = 100;
/** A store that says "due" and gives nothing is not asked faster than this. */
const EMPTY_CLAIM_MS = 100;
const STOP_GRACE_MS = 200;
/** Dead letters of a disabled webhook settled in one write. */
const BURIED_AT_ONCE = 100;
/** As a claim's "now": heads of lanes whatever their due time. */
export const WHATEVER_IS_DUE = Number.MAX_SAFE_INTEGER;

/**
 * Delivers what is pending for one webhook, from all shards of this replica: claims heads of lanes, sends at
 * most `concurrency` requests at a time, settles each. A failing store or receiver only makes it wait. What it has
 * claimed it settles, unless the shard is lost or the stop's time is over: then the end of the lease frees it.
 */
export class WebhookWorker {
  readonly name: string;
  readonly #options: WorkerOptions;
  readonly #bell: Bell;
  readonly #flights = new Flights((shard) => this.wake(shard));
  readonly #gathering: Gathering | null;
  readonly #pace: Pace;
  readonly #due = new DueShards(LOOK_AGAIN_MS);
  readonly #time: SteadyTime;
  readonly #health: Health;
  readonly #switch: DisableSwitch;
  readonly #log: AttemptLog;
  readonly #settler: Settler;
  readonly #stopping = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #claiming: { readonly shard: number; readonly ended: Promise<unknown> } | null = null;
  #saidDisabled = false;

  constructor(options: WorkerOptions) {
    const { webhook, format, notes, clock, random, emit } = options;
    this.name = webhook.name;
    this.#pace = options.pace ?? new Pace(format.pace ?? []);
    this.#gathering = webhook.group === null ? null : new Gathering(webhook.group, format.maxEvents);
    this.#options = options;
    this.#bell = new Bell(clock);
    this.#time = new SteadyTime(clock);
    this.#switch = new DisableSwitch(notes, webhook, clock);
    this.#log = new AttemptLog(webhook.name, clock, emit);
    this.#health = new Health(webhook, clock, random, emit);
    this.#settler = new Settler(options, this.#log, (lease) => this.#fenced(lease));
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
    this.#gathering?.release(shard);
    this.#flights.abort(new Error("lease lost"), shard);
    this.#due.forget(shard);
  }

  /** Resolves when nothing of the shard is in flight; `leases()` must not name it any more. */
  async idle(shard: number): Promise<void> {
    if (this.#claiming?.shard === shard) await this.#claiming.ended;
    this.#gathering?.release(shard);
    await this.#flights.ended(shard);
  }

  /** Claims nothing more and gives back what waits; what is in flight may end within the time, then it is aborted. Never rejects. */
  async stop(withinMs = Number.POSITIVE_INFINITY): Promise<void> {
    this.#stopping.abort();
    this.#bell.ring();
    const allEnded = this.#loop.then(() => {
      for (const load of loadsOf(this.#gathering?.release(null) ?? [])) this.#giveBack(load);
      return this.#flights.ended(null);
    });
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
        this.#settler.failed("claim", error);
        await this.#settler.pause(failures, this.#stopping.signal).catch(() => undefined);
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
    if (this.#switch.disabled) return this.#flights.size === 0 ? BURIED_AT_ONCE : 0;
    return this.#gathering?.room ?? this.#sendable();
  }

  /** How many requests may begin now. */
  #sendable(): number {
    const limit = this.#health.down ? 1 : this.#options.webhook.concurrency;
    return Math.max(
      0,
      Math.min(limit - this.#flights.size, this.#pace.free(this.#options.clock.monotonic())),
    );
  }

  /** Until the pace allows a request; the end of a flight rings by itself. */
  #paceWait(): number {
    return this.#pace.wait(this.#options.clock.monotonic()) || LOOK_AGAIN_MS;
  }

  /** Sends the groups whose time has come. Returns the milliseconds until there may be more to send. */
  #sendGathered(): number {
    const gathering = this.#gathering;
    if (gathering === null) return Number.POSITIVE_INFINITY;
    if (this.#switch.disabled) {
      for (const load of loadsOf(gathering.release(null))) this.#buryDisabled(load);
      return Number.POSITIVE_INFINITY;
    }
    for (;;) {
      const wait = gathering.wait(this.#time.now());
      if (wait > 0) return wait;
      if (this.#sendable() === 0) return this.#paceWait();
      const parcel = gathering.take(this.#time.now());
      if (parcel === null) return LOOK_AGAIN_MS;
      const ended = (delivered: boolean) => gathering.ended(parcel.group, delivered, this.#time.now());
      this.#send(loadsOf(parcel.held), ended);
    }
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
    this.#settler.answered();
    if (claimed === "fenced") {
      this.#fenced(lease);
      return;
    }
    const { deliveries, nextDueAt } = claimed;
    if (deliveries.length === limit) this.#due.answered(lease, Number.NEGATIVE_INFINITY);
    else if (nextDueAt === null || deliveries.length > 0) this.#due.answered(lease, nextDueAt);
    else this.#due.answered(lease, Math.max(nextDueAt, this.#time.now() + EMPTY_CLAIM_MS));
    // One whose settlement got no answer can come again; its flight still settles it.
    const fresh = deliveries.filter(
      (delivery) => !this.#flights.has(delivery) && !this.#gathering?.has(lease, delivery),
    );
    if (bury) this.#buryDisabled({ lease, deliveries: fresh });
    else if (this.#gathering === null)
      for (const delivery of fresh) this.#send([{ lease, deliveries: [delivery] }]);
    // While the claim was under way the shard may have been given to another replica.
    else if (this.#isHeld(lease)) this.#gathering.add(lease, fresh, this.#time.now());
  }

  /** One request. `ended` is called once, with whether it was delivered. */
  #send(loads: readonly Load[], ended: (delivered: boolean) => void = () => undefined): void {
    this.#pace.took(this.#options.clock.monotonic());
    this.#fly(loads, async (signal) => {
      let delivered = false;
      try {
        delivered = await this.#deliver(loads, signal);
      } catch (error) {
        // One of several shards was lost: what is of the others goes out again.
        if (signal.aborted && !this.#stopping.signal.aborted)
          for (const load of loads) if (this.#isHeld(load.lease)) this.#giveBack(load);
        throw error;
      } finally {
        ended(delivered);
      }
    });
  }

  #fly(loads: readonly Load[], run: (signal: AbortSignal) => Promise<void>): void {
    if (loads.every(({ deliveries }) => deliveries.length === 0)) return;
    this.#flights.start(loads, async (signal) => {
      try {
        await run(signal);
      } catch (error) {
        if (!signal.aborted) this.#settler.failed("deliver", error);
      }
    });
  }

  /** The deliveries go out in one request and are settled together. Whether they were delivered. */
  async #deliver(loads: readonly Load[], signal: AbortSignal): Promise<boolean> {
    const { clock, format, sender, webhook, random } = this.#options;
    const all = loads.flatMap(({ deliveries }) => deliveries);
    const overdue = this.#health.overdue(all);
    if (overdue !== null) {
      for (const load of loads) await this.#bury(load, overdue, signal);
      return false;
    }
    const mine: Load[] = [];
    for (const load of loads) if (await this.#mayGo(load.lease, signal)) mine.push(load);
    const deliveries = mine.flatMap((load) => load.deliveries);
    const [first] = deliveries;
    if (first === undefined) return false;
    const probe = this.#health.down;
    const events = deliveries.map(({ eventId, type, body }) => ({ id: eventId, type, body }));
    const result = await attempt(format, sender, events, clock, signal);
    this.#log.attempted({ ...first, events: deliveries.length }, result);
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
    for (const load of mine)
      for (const group of settlementsOf(result.verdict, load.deliveries, result.message, context))
        await this.#settler.settle(load.lease, group.deliveries, group.settlement, signal, 1);
    return result.verdict.kind === "delivered";
  }

  #buryDisabled(load: Load): void {
    this.#fly([load], (signal) => this.#bury(load, "disabled: the webhook is disabled", signal));
  }

  #bury({ lease, deliveries }: Load, reason: string, signal: AbortSignal): Promise<void> {
    return this.#settler.settle(lease, deliveries, { kind: "dead", reason }, signal, 0);
  }

  /** Ends the hold on what was not sent, so that whoever claims next gets it. The store counts it as an attempt. */
  #giveBack(load: Load): void {
    const settlement: Settlement = { kind: "retry", at: this.#time.now(), reason: "given back" };
    this.#fly([load], (signal) => this.#settler.settle(load.lease, load.deliveries, settlement, signal, 0));
  }

  #isHeld({ shard, fence }: Lease): boolean {
    return this.#options.leases().some((held) => held.shard === shard && held.fence === fence);
  }

  /** Waits while the lease is in doubt; false when it is another's. */
  async #mayGo(lease: Lease, signal: AbortSignal): Promise<boolean> {
    const { stillMine, clock } = this.#options;
    for (;;) {
      signal.throwIfAborted();
      if (stillMine(lease)) return true;
      if (!this.#isHeld(lease)) return false;
      await clock.sleep(LEASE_LOOK_MS, signal);
    }
  }

  #fenced(lease: Lease): void {
    this.#due.fence(lease);
    this.#gathering?.release(lease.shard);
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
}

/** By the lease under which they were claimed, each in the order in which they are. */
function loadsOf(held: readonly Held[]): readonly Load[] {
  const loads = new Map<Lease, Delivery[]>();
  for (const { lease, delivery } of held) {
    const deliveries = loads.get(lease);
    if (deliveries === undefined) loads.set(lease, [delivery]);
    else deliveries.push(delivery);
  }
  return [...loads].map(([lease, deliveries]) => ({ lease, deliveries }));
}
