import type { Lease, Settlement } from "../ports/store.ts";
import { attempt } from "./attempt.ts";
import type { AttemptLog } from "./attempt-log.ts";
import type { DeliverySettler } from "./delivery-settler.ts";
import type { DisableSwitch } from "./disable-switch.ts";
import type { ClaimedBatch, InFlight } from "./in-flight.ts";
import type { NonDecreasingClock } from "./non-decreasing-clock.ts";
import type { RateLimiter } from "./rate-limit.ts";
import { settlementsOf } from "./settlement.ts";
import type { WebhookHealth } from "./webhook-health.ts";
import type { WorkerOptions } from "./worker.ts";

export interface DelivererOptions
  extends Pick<WorkerOptions, "webhook" | "format" | "sender" | "clock" | "random" | "leases" | "stillMine"> {
  readonly inFlight: InFlight;
  readonly rateLimiter: RateLimiter;
  readonly time: NonDecreasingClock;
  readonly health: WebhookHealth;
  readonly disableSwitch: DisableSwitch;
  readonly log: AttemptLog;
  readonly settler: DeliverySettler;
  /** Takes back what was refused as one message, to send its events singly. */
  readonly onRefusedTogether: (batch: ClaimedBatch) => void;
  /** Aborted when nothing new begins. */
  readonly stopping: AbortSignal;
}

const LEASE_LOOK_MS = 100;

/** Sends claimed batches, one request for each message, and records the outcome of each delivery. */
export class Deliverer {
  readonly #options: DelivererOptions;

  constructor(options: DelivererOptions) {
    this.#options = options;
  }

  /** Sends one request for the batches of a message. Calls `ended` once, with whether it was delivered. */
  send(batches: readonly ClaimedBatch[], ended: (delivered: boolean) => void = () => undefined): void {
    const { rateLimiter, clock, stopping } = this.#options;
    rateLimiter.record(clock.monotonic());
    this.#start(batches, async (signal) => {
      let delivered = false;
      try {
        delivered = await this.#deliver(batches, signal);
      } catch (error) {
        // One of several shards was lost: what is of the others goes out again.
        if (signal.aborted && !stopping.aborted)
          for (const batch of batches) if (this.isHeld(batch.lease)) this.release(batch);
        throw error;
      } finally {
        ended(delivered);
      }
    });
  }

  /** Makes dead letters of the deliveries without an attempt. */
  deadLetter(batch: ClaimedBatch, reason: string): void {
    const { lease, deliveries } = batch;
    const { settler } = this.#options;
    this.#start([batch], (signal) => settler.settle(lease, deliveries, { kind: "dead", reason }, signal, 0));
  }

  /** Ends the hold on what was not sent, so that whoever claims next gets it. The store counts it as an attempt. */
  release({ lease, deliveries }: ClaimedBatch): void {
    const { settler, time } = this.#options;
    const settlement: Settlement = { kind: "retry", at: time.now(), reason: "given back" };
    this.#start([{ lease, deliveries }], (signal) =>
      settler.settle(lease, deliveries, settlement, signal, 0),
    );
  }

  isHeld({ shard, fence }: Lease): boolean {
    return this.#options.leases().some((held) => held.shard === shard && held.fence === fence);
  }

  #start(batches: readonly ClaimedBatch[], run: (signal: AbortSignal) => Promise<void>): void {
    if (batches.every(({ deliveries }) => deliveries.length === 0)) return;
    const { inFlight, settler } = this.#options;
    inFlight.start(batches, async (signal) => {
      try {
        await run(signal);
      } catch (error) {
        if (!signal.aborted) settler.storeFailed("deliver", error);
      }
    });
  }

  /** Sends the deliveries in one request and settles them together. Resolves with whether they were delivered. */
  async #deliver(batches: readonly ClaimedBatch[], signal: AbortSignal): Promise<boolean> {
    const { clock, format, sender, webhook, random, health, time, log, settler } = this.#options;
    const mine: ClaimedBatch[] = [];
    for (const batch of batches) if (await this.#mayGo(batch.lease, signal)) mine.push(batch);
    const deliveries = mine.flatMap((batch) => batch.deliveries);
    const [first] = deliveries;
    if (first === undefined) return false;
    const probe = health.down;
    const events = deliveries.map(({ eventId, type, body }) => ({ id: eventId, type, body }));
    const result = await attempt(format, sender, events, clock, signal);
    log.attempted({ ...first, events: deliveries.length }, result);
    health.record(result, probe);
    if (result.verdict.kind === "disable") await this.#disable();
    if (result.verdict.kind === "refused" && deliveries.length > 1) {
      for (const batch of mine) this.#sendSingly(batch);
      return false;
    }
    const context = {
      ...health.settlementContext(),
      retry: webhook.retry,
      now: clock.now(),
      dueFrom: time.now(),
      random: random(),
    };
    for (const batch of mine)
      for (const group of settlementsOf(result.verdict, batch.deliveries, result.message, context))
        await settler.settle(batch.lease, group.deliveries, group.settlement, signal, 1);
    return result.verdict.kind === "delivered";
  }

  /** One event may be what the receiver refuses: only the ones refused singly become dead letters. */
  #sendSingly(batch: ClaimedBatch): void {
    if (this.#options.stopping.aborted) this.release(batch);
    else if (this.isHeld(batch.lease)) this.#options.onRefusedTogether(batch);
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
