import type { Lease, Settlement } from "../ports/store.ts";
import { attempt } from "./attempt.ts";
import type { AttemptLog } from "./attempt-log.ts";
import type { DeliverySettler } from "./delivery-settler.ts";
import type { DisableSwitch } from "./disable-switch.ts";
import type { Batch, InFlight } from "./in-flight.ts";
import type { NonDecreasingClock } from "./non-decreasing-clock.ts";
import type { RateLimiter } from "./rate-limit.ts";
import { settlementsOf } from "./settlement.ts";
import type { WebhookHealth } from "./webhook-health.ts";
import type { WorkerOptions } from "./worker.ts";

export interface DelivererOptions
  extends Pick<WorkerOptions, "webhook" | "format" | "sender" | "clock" | "random" | "leases" | "stillMine"> {
  readonly flights: InFlight;
  readonly pace: RateLimiter;
  readonly time: NonDecreasingClock;
  readonly health: WebhookHealth;
  readonly disableSwitch: DisableSwitch;
  readonly log: AttemptLog;
  readonly settler: DeliverySettler;
  /** Takes back what was refused as one message, to send its events singly. */
  readonly onRefusedTogether: (load: Batch) => void;
  /** Aborted when nothing new begins. */
  readonly stopping: AbortSignal;
}

const LEASE_LOOK_MS = 100;

/** Takes what was claimed to its end: one request for the deliveries of a message, and what becomes of each, settled. */
export class Deliverer {
  readonly #options: DelivererOptions;

  constructor(options: DelivererOptions) {
    this.#options = options;
  }

  /** One request. `ended` is called once, with whether it was delivered. */
  send(loads: readonly Batch[], ended: (delivered: boolean) => void = () => undefined): void {
    const { pace, clock, stopping } = this.#options;
    pace.record(clock.monotonic());
    this.#fly(loads, async (signal) => {
      let delivered = false;
      try {
        delivered = await this.#deliver(loads, signal);
      } catch (error) {
        // One of several shards was lost: what is of the others goes out again.
        if (signal.aborted && !stopping.aborted)
          for (const load of loads) if (this.isHeld(load.lease)) this.release(load);
        throw error;
      } finally {
        ended(delivered);
      }
    });
  }

  /** Dead letters, without an attempt. */
  deadLetter(load: Batch, reason: string): void {
    const { lease, deliveries } = load;
    const { settler } = this.#options;
    this.#fly([load], (signal) => settler.settle(lease, deliveries, { kind: "dead", reason }, signal, 0));
  }

  /** Ends the hold on what was not sent, so that whoever claims next gets it. The store counts it as an attempt. */
  release({ lease, deliveries }: Batch): void {
    const { settler, time } = this.#options;
    const settlement: Settlement = { kind: "retry", at: time.now(), reason: "given back" };
    this.#fly([{ lease, deliveries }], (signal) => settler.settle(lease, deliveries, settlement, signal, 0));
  }

  isHeld({ shard, fence }: Lease): boolean {
    return this.#options.leases().some((held) => held.shard === shard && held.fence === fence);
  }

  #fly(loads: readonly Batch[], run: (signal: AbortSignal) => Promise<void>): void {
    if (loads.every(({ deliveries }) => deliveries.length === 0)) return;
    const { flights, settler } = this.#options;
    flights.start(loads, async (signal) => {
      try {
        await run(signal);
      } catch (error) {
        if (!signal.aborted) settler.storeFailed("deliver", error);
      }
    });
  }

  /** The deliveries go out in one request and are settled together. Whether they were delivered. */
  async #deliver(loads: readonly Batch[], signal: AbortSignal): Promise<boolean> {
    const { clock, format, sender, webhook, random, health, time, log, settler } = this.#options;
    const mine: Batch[] = [];
    for (const load of loads) if (await this.#mayGo(load.lease, signal)) mine.push(load);
    const deliveries = mine.flatMap((load) => load.deliveries);
    const [first] = deliveries;
    if (first === undefined) return false;
    const probe = health.down;
    const events = deliveries.map(({ eventId, type, body }) => ({ id: eventId, type, body }));
    const result = await attempt(format, sender, events, clock, signal);
    log.attempted({ ...first, events: deliveries.length }, result);
    health.record(result, probe);
    if (result.verdict.kind === "disable") await this.#disable();
    if (result.verdict.kind === "refused" && deliveries.length > 1) {
      for (const load of mine) this.#sendSingly(load);
      return false;
    }
    const context = {
      ...health.settlementContext(),
      retry: webhook.retry,
      now: clock.now(),
      dueFrom: time.now(),
      random: random(),
    };
    for (const load of mine)
      for (const group of settlementsOf(result.verdict, load.deliveries, result.message, context))
        await settler.settle(load.lease, group.deliveries, group.settlement, signal, 1);
    return result.verdict.kind === "delivered";
  }

  /** One event may be what the receiver refuses: only the ones refused singly become dead letters. */
  #sendSingly(load: Batch): void {
    if (this.#options.stopping.aborted) this.release(load);
    else if (this.isHeld(load.lease)) this.#options.onRefusedTogether(load);
  }

  /** At once, for the other replicas and for a stop that comes next; where that fails, the worker does it later. */
  async #disable(): Promise<void> {
    const { disableSwitch } = this.#options;
    disableSwitch.disable();
    await disableSwitch.refresh(Number.POSITIVE_INFINITY).catch(() => undefined);
  }

  /** Waits while the lease is in doubt; false when it is another's. */
  async #mayGo(lease: Lease, signal: AbortSignal): Promise<boolean> {
    const { stillMine, clock } = this.#options;
    for (;;) {
      signal.throwIfAborted();
      if (stillMine(lease)) return true;
      if (!this.isHeld(lease)) return false;
      await clock.sleep(LEASE_LOOK_MS, signal);
    }
  }
}
