import type { Delivery, Lease } from "../ports/store.ts";

interface Flight {
  readonly lease: Lease;
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

/** What is claimed and not settled yet. */
export class Flights {
  readonly #flights = new Set<Flight>();
  readonly #places = new Set<string>();
  readonly #onEnd: (lease: Lease) => void;
  #closed = false;

  /** @param onEnd Called when a flight has ended and is counted out. */
  constructor(onEnd: (lease: Lease) => void) {
    this.#onEnd = onEnd;
  }

  get size(): number {
    return this.#flights.size;
  }

  has(delivery: Delivery): boolean {
    return this.#places.has(place(delivery));
  }

  /** `run` must not reject. */
  start(lease: Lease, deliveries: readonly Delivery[], run: (signal: AbortSignal) => Promise<void>): void {
    if (this.#closed) return;
    const abort = new AbortController();
    const places = deliveries.map(place);
    for (const one of places) this.#places.add(one);
    const ended = run(abort.signal).finally(() => {
      this.#flights.delete(flight);
      for (const one of places) this.#places.delete(one);
      this.#onEnd(lease);
    });
    const flight: Flight = { lease, abort, ended };
    this.#flights.add(flight);
  }

  /** Of one shard, or all. */
  abort(reason: Error, shard: number | null): void {
    for (const flight of this.#flights)
      if (shard === null || flight.lease.shard === shard) flight.abort.abort(reason);
  }

  /** Aborts all, and starts none any more. */
  close(reason: Error): void {
    this.#closed = true;
    this.abort(reason, null);
  }

  /** Resolves when those of the shard, or all, have ended. */
  async ended(shard: number | null): Promise<void> {
    for (;;) {
      const open = [...this.#flights].filter((flight) => shard === null || flight.lease.shard === shard);
      if (open.length === 0) return;
      await Promise.all(open.map((flight) => flight.ended));
    }
  }
}

/** An event that was put back from the dead letters may be there a second time, in another lane. */
const place = ({ shard, lane, eventId }: Delivery): string => JSON.stringify([shard, lane, eventId]);
