import type { Delivery, Lease } from "../ports/store.ts";

/** What goes out under one lease. */
export interface Batch {
  readonly lease: Lease;
  readonly deliveries: readonly Delivery[];
}

interface Flight {
  readonly loads: readonly Batch[];
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

/** What is claimed and not settled yet. */
export class InFlight {
  readonly #flights = new Set<Flight>();
  readonly #places = new Set<string>();
  readonly #onEnd: (shard: number) => void;
  #closed = false;

  /** @param onEnd Called for each of its shards when a flight has ended and is counted out. */
  constructor(onEnd: (shard: number) => void) {
    this.#onEnd = onEnd;
  }

  get size(): number {
    return this.#flights.size;
  }

  has(delivery: Delivery): boolean {
    return this.#places.has(place(delivery));
  }

  /** `run` must not reject. */
  start(loads: readonly Batch[], run: (signal: AbortSignal) => Promise<void>): void {
    if (this.#closed) return;
    const abort = new AbortController();
    const places = loads.flatMap(({ deliveries }) => deliveries.map(place));
    for (const one of places) this.#places.add(one);
    const ended = run(abort.signal).finally(() => {
      this.#flights.delete(flight);
      for (const one of places) this.#places.delete(one);
      for (const { lease } of loads) this.#onEnd(lease.shard);
    });
    const flight: Flight = { loads, abort, ended };
    this.#flights.add(flight);
  }

  /** Of one shard, or all. */
  abort(reason: Error, shard: number | null): void {
    for (const flight of this.#flights) if (isOf(flight, shard)) flight.abort.abort(reason);
  }

  /** Aborts all, and starts none any more. */
  close(reason: Error): void {
    this.#closed = true;
    this.abort(reason, null);
  }

  /** Resolves when those of the shard, or all, have ended. */
  async ended(shard: number | null): Promise<void> {
    for (;;) {
      const open = [...this.#flights].filter((flight) => isOf(flight, shard));
      if (open.length === 0) return;
      await Promise.all(open.map((flight) => flight.ended));
    }
  }
}

const isOf = ({ loads }: Flight, shard: number | null): boolean =>
  shard === null || loads.some(({ lease }) => lease.shard === shard);

/** An event that was put back from the dead letters may be there a second time, in another lane. */
const place = ({ shard, lane, eventId }: Delivery): string => JSON.stringify([shard, lane, eventId]);
