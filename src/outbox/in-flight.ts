import type { Delivery, Lease } from "../ports/store.ts";

/** The deliveries of one message that were claimed under one lease. */
export interface ClaimedBatch {
  readonly lease: Lease;
  readonly deliveries: readonly Delivery[];
}

interface Sending {
  readonly batches: readonly ClaimedBatch[];
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

/** The deliveries that are claimed and not settled yet. */
export class InFlight {
  readonly #sendings = new Set<Sending>();
  readonly #keys = new Set<string>();
  readonly #onEnd: (shard: number) => void;
  #closed = false;

  /** @param onEnd Called with each shard of a sending that has ended and is not counted any more. */
  constructor(onEnd: (shard: number) => void) {
    this.#onEnd = onEnd;
  }

  get size(): number {
    return this.#sendings.size;
  }

  has(delivery: Delivery): boolean {
    return this.#keys.has(deliveryKey(delivery));
  }

  /** Starts `run`, which must not reject, and keeps the batches in flight until it ends. */
  start(batches: readonly ClaimedBatch[], run: (signal: AbortSignal) => Promise<void>): void {
    if (this.#closed) return;
    const abort = new AbortController();
    const keys = batches.flatMap(({ deliveries }) => deliveries.map(deliveryKey));
    for (const one of keys) this.#keys.add(one);
    const ended = run(abort.signal).finally(() => {
      this.#sendings.delete(sending);
      for (const one of keys) this.#keys.delete(one);
      for (const { lease } of batches) this.#onEnd(lease.shard);
    });
    const sending: Sending = { batches, abort, ended };
    this.#sendings.add(sending);
  }

  /** Aborts the sendings of one shard, or all of them. */
  abort(reason: Error, shard: number | null): void {
    for (const sending of this.#sendings) if (isOf(sending, shard)) sending.abort.abort(reason);
  }

  /** Aborts all sendings, and starts none any more. */
  close(reason: Error): void {
    this.#closed = true;
    this.abort(reason, null);
  }

  /** Resolves when the sendings of the shard, or all of them, have ended. */
  async ended(shard: number | null): Promise<void> {
    for (;;) {
      const open = [...this.#sendings].filter((sending) => isOf(sending, shard));
      if (open.length === 0) return;
      await Promise.all(open.map((sending) => sending.ended));
    }
  }
}

const isOf = ({ batches }: Sending, shard: number | null): boolean =>
  shard === null || batches.some(({ lease }) => lease.shard === shard);

/** With the lane: a replayed dead letter may be in the outbox a second time, in another lane. */
const deliveryKey = ({ shard, lane, eventId }: Delivery): string => JSON.stringify([shard, lane, eventId]);
