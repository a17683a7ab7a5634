import { StoreError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Store } from "../ports/store.ts";
import type { Emit, StoreOperation } from "../ports/telemetry.ts";

const OPERATIONS = {
  state: { load: "load", loadInstance: "load_instance", commit: "commit", touch: "touch" },
  outbox: {
    claim: "claim",
    claimOld: "claim",
    settle: "settle",
    counts: "counts",
    deadLetters: "dead_letters",
    replay: "replay",
    drop: "drop",
    prune: "prune",
  },
  leases: {
    join: "join",
    leave: "leave",
    free: "acquire",
    acquire: "acquire",
    renew: "renew",
    release: "release",
  },
  notes: { read: "note", write: "note", list: "note", setAside: "note" },
  budget: { take: "take" },
  reader: {
    instances: "read",
    tasks: "read",
    task: "read",
    events: "read",
    newestEvents: "read",
    names: "read",
    unreadable: "read",
  },
  setAside: { list: "read" },
} as const satisfies { readonly [P in keyof Store]?: { readonly [M in keyof Store[P]]: StoreOperation } };

/** What takes room, and comes again by itself as long as anything is watched. */
const PROOF_OF_ROOM: ReadonlySet<StoreOperation> = new Set(["commit", "touch", "take"]);

/** It answers, and refuses what is to be written. */
const refusesWrites = ({ code }: StoreError): boolean => code === "full" || code === "read_only";

/**
 * A store whose operations are timed, and whose outages are told once each, when they begin and when they end. Where
 * writes were refused, an answer to a question does not end it.
 */
export class ObservedStore {
  readonly store: Store;
  #downSince: number | null = null;
  #refusing = false;

  constructor(inner: Store, clock: Clock, emit: Emit) {
    const observed = <A extends unknown[], R>(
      operation: StoreOperation,
      call: (...args: A) => Promise<R>,
    ) => {
      return async (...args: A): Promise<R> => {
        const from = clock.monotonic();
        try {
          const result = await call(...args);
          if (this.#downSince !== null && (!this.#refusing || PROOF_OF_ROOM.has(operation))) {
            emit({ kind: "store.up", downSeconds: (clock.monotonic() - this.#downSince) / 1_000 });
            this.#downSince = null;
            this.#refusing = false;
          }
          return result;
        } catch (error) {
          if (error instanceof StoreError) {
            if (refusesWrites(error)) this.#refusing = true;
            if (this.#downSince === null) {
              this.#downSince = from;
              emit({ kind: "store.down", error });
            }
          }
          throw error;
        } finally {
          emit({ kind: "store.operation", operation, seconds: (clock.monotonic() - from) / 1_000 });
        }
      };
    };
    const port = <P extends keyof typeof OPERATIONS>(name: P): Store[P] => {
      const methods = inner[name] as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
      return Object.fromEntries(
        Object.entries(OPERATIONS[name]).map(([method, operation]) => [
          method,
          observed(operation, (...args: unknown[]) =>
            (methods[method] as (typeof methods)[string]).apply(methods, args),
          ),
        ]),
      ) as unknown as Store[P];
    };
    this.store = {
      kind: inner.kind,
      state: port("state"),
      outbox: port("outbox"),
      leases: port("leases"),
      notes: port("notes"),
      // With the embedded store the budget is in memory: it says nothing about the file.
      budget: inner.kind === "redis" ? port("budget") : inner.budget,
      reader: port("reader"),
      setAside: port("setAside"),
      ping: observed("ping", () => inner.ping()),
      close: () => inner.close(),
    };
  }

  /** Is it not in an outage? */
  get up(): boolean {
    return this.#downSince === null;
  }
}
