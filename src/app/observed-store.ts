import { StoreError, type StoreErrorCode } from "../errors.ts";
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
  setAside: { list: "read", drop: "drop" },
} as const satisfies { readonly [P in keyof Store]?: { readonly [M in keyof Store[P]]: StoreOperation } };

/** What takes room, and comes again by itself as long as anything is watched. */
const PROOF_OF_ROOM: ReadonlySet<StoreOperation> = new Set(["commit", "touch", "take"]);

/** It answers, and refuses what is to be written. */
const refusesWrites = ({ code }: StoreError): boolean => code === "full" || code === "read_only";

/** Says something of one key or of the configuration, not that the store is away. */
const isItsOwn = ({ code }: StoreError): boolean => code === "mismatch" || code === "unreadable";

const AGAIN_MS = 3_600_000;

/**
 * A store whose operations are timed, and whose outages are told when they begin, every hour while they last, and when
 * they end. Where writes were refused, an answer to a question does not end it. Where the database is damaged as a
 * whole, nothing ends it but a restart: no further operation touches it.
 */
export class ObservedStore {
  readonly store: Store;
  readonly #clock: Clock;
  readonly #emit: Emit;
  #down: { readonly since: number; readonly code: StoreErrorCode; readonly toldAt: number } | null = null;
  #refusing = false;
  #damage: StoreError | null = null;

  constructor(inner: Store, clock: Clock, emit: Emit) {
    this.#clock = clock;
    this.#emit = emit;
    const observed = <A extends unknown[], R>(
      operation: StoreOperation,
      call: (...args: A) => Promise<R>,
    ) => {
      return async (...args: A): Promise<R> => {
        const from = clock.monotonic();
        try {
          if (this.#damage) throw this.#damage;
          const result = await call(...args);
          this.#answered(operation);
          return result;
        } catch (error) {
          if (error instanceof StoreError && !isItsOwn(error)) this.#failed(error, from);
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
    return this.#down === null;
  }

  get damaged(): boolean {
    return this.#damage !== null;
  }

  #answered(operation: StoreOperation): void {
    if (this.#down === null || this.#damage || (this.#refusing && !PROOF_OF_ROOM.has(operation))) return;
    this.#emit({ kind: "store.up", downSeconds: (this.#clock.monotonic() - this.#down.since) / 1_000 });
    this.#down = null;
    this.#refusing = false;
  }

  #failed(error: StoreError, from: number): void {
    if (refusesWrites(error)) this.#refusing = true;
    if (error.code === "corrupt") this.#damage ??= error;
    const now = this.#clock.monotonic();
    const known = this.#down;
    // Beside a full disk, a question that got no answer is no other cause.
    const isNews = known === null || (error.code === "corrupt" && known.code !== "corrupt");
    if (!isNews && now - known.toldAt < AGAIN_MS) return;
    this.#down = { since: known?.since ?? from, code: error.code, toldAt: now };
    this.#emit({ kind: "store.down", error });
  }
}
