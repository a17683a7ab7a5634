import { backoff } from "../core/backoff.ts";
import { StoreError } from "../errors.ts";
import type { Delivery, Lease, Settlement } from "../ports/store.ts";
import type { AttemptLog } from "./attempt-log.ts";
import type { WorkerOptions } from "./worker.ts";

const STORE_RETRY_MS = { min: 100, max: 5_000 };

/** Writes down what became of one webhook's deliveries, and waits while the store does not answer. */
export class DeliverySettler {
  readonly #options: Pick<WorkerOptions, "webhook" | "outbox" | "clock" | "random" | "emit">;
  readonly #log: AttemptLog;
  readonly #onFenced: (lease: Lease) => void;
  #failing = false;

  constructor(
    options: Pick<WorkerOptions, "webhook" | "outbox" | "clock" | "random" | "emit">,
    log: AttemptLog,
    onFenced: (lease: Lease) => void,
  ) {
    this.#options = options;
    this.#log = log;
    this.#onFenced = onFenced;
  }

  /** Until the store has answered: a settlement may be repeated, not dropped. `made` is the attempts just made. */
  async settle(
    lease: Lease,
    deliveries: readonly Delivery[],
    settlement: Settlement,
    signal: AbortSignal,
    made: 0 | 1,
  ): Promise<void> {
    const { webhook, outbox, clock } = this.#options;
    for (let failures = 1; ; failures++) {
      signal.throwIfAborted();
      try {
        const result = await outbox.settle(lease, webhook.name, deliveries, settlement, clock.now());
        this.storeAnswered();
        if (result === "fenced") this.#onFenced(lease);
        else this.#log.settled(deliveries, settlement, made);
        return;
      } catch (error) {
        this.storeFailed("settle", error);
        await this.backOff(failures, signal);
      }
    }
  }

  storeAnswered(): void {
    this.#failing = false;
  }

  /** Said once until the store works again. */
  storeFailed(operation: string, error: unknown): void {
    if (this.#failing) return;
    this.#failing = true;
    const message =
      error instanceof StoreError ? error.message : String(error instanceof Error ? error.name : error);
    this.#options.emit({ kind: "store_failed", webhook: this.#options.webhook.name, operation, message });
  }

  backOff(failures: number, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    return clock.sleep(backoff(failures, STORE_RETRY_MS, random()), signal);
  }
}
