import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { StoreError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { storeError } from "./errors.ts";

/** How long a statement waits, and with it the process, while a command beside the daemon writes. */
const BUSY_TIMEOUT_MS = 2_000;
/** The default of 2 MB thrashes at 10,000 instances; pages are only kept as there are any. */
const CACHE_KIB = 16 * 1024;
/** Disk that the log of changes may keep after a burst. */
const JOURNAL_SIZE_LIMIT = 16 * 1024 * 1024;

/** One prepared statement. The tables are STRICT, so a row has the types that its statement names. */
export interface Statement<Row> {
  get(...values: SQLInputValue[]): Row | undefined;
  all(...values: SQLInputValue[]): Row[];
  iterate(...values: SQLInputValue[]): Iterable<Row>;
  run(...values: SQLInputValue[]): { changes: number | bigint; lastInsertRowid: number | bigint };
}

/** A wait for a command that writes beside the daemon says nothing about the disk. */
const LONGEST_PAUSE_MS = 100;

interface Job {
  run(): void;
  done(): void;
  fail(error: unknown): void;
}

/**
 * One connection. Writes that come close together go into one transaction, so that they share one wait for the
 * disk: each is durable when its promise resolves, and all keep the order of their calls. A transaction holds the
 * event loop; the next one begins after as long a pause as it took, so that a slow disk costs at most half of the time,
 * and the slower it is, the more writes share a wait.
 */
export class Database {
  readonly path: string;
  readonly #db: DatabaseSync;
  readonly #clock: Clock;
  #queue: Job[] = [];
  /** When the next transaction of queued writes may begin, by the monotonic clock. */
  #pauseUntil = 0;

  /** Throws StoreError. */
  constructor(path: string, clock: Clock) {
    this.path = path;
    this.#clock = clock;
    this.#db = this.#guard(() => new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS }));
  }

  get isOpen(): boolean {
    return this.#db.isOpen;
  }

  configure(): void {
    this.exec("PRAGMA journal_mode = WAL");
    this.exec("PRAGMA synchronous = FULL");
    this.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
    this.exec(`PRAGMA journal_size_limit = ${JOURNAL_SIZE_LIMIT}`);
  }

  exec(sql: string): void {
    this.#guard(() => this.#db.exec(sql));
  }

  prepare<Row = never>(sql: string): Statement<Row> {
    return this.#guard(() => this.#db.prepare(sql)) as unknown as Statement<Row>;
  }

  /** A number that a pragma answers with. */
  pragma(name: "user_version" | "application_id"): number {
    return this.#guard(() => Number(Object.values(this.#db.prepare(`PRAGMA ${name}`).get() ?? {})[0]));
  }

  /** All that `work` reads is of one moment. */
  read<T>(work: () => T): T {
    return this.#guard(() => {
      this.#db.exec("BEGIN");
      try {
        return work();
      } finally {
        if (this.#db.isTransaction) this.#db.exec("COMMIT");
      }
    });
  }

  /**
   * Runs `work` in a transaction soon. It may run again after a failure of another write beside it, so it must
   * change nothing but the database. Nothing of a write that rejected is kept.
   */
  write<T>(work: () => T): Promise<T> {
    if (!this.#db.isOpen) return Promise.reject(closed(this.path));
    return new Promise<T>((resolve, reject) => {
      let result: T;
      const job: Job = {
        run: () => {
          result = work();
        },
        done: () => resolve(result),
        fail: reject,
      };
      if (this.#queue.push(job) === 1) this.#flushSoon();
    });
  }

  #flushSoon(): void {
    const pause = this.#pauseUntil - this.#clock.monotonic();
    if (pause > 0) this.#clock.after(pause, () => this.flush());
    else setImmediate(() => this.flush());
  }

  /** One transaction now. */
  transact<T>(work: () => T): T {
    return this.#guard(() => {
      this.#db.exec("BEGIN IMMEDIATE");
      try {
        const result = work();
        this.#db.exec("COMMIT");
        return result;
      } catch (error) {
        // SQLite has rolled back by itself after some errors, a full disk among them.
        if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
        throw error;
      }
    });
  }

  flush(): void {
    const jobs = this.#queue;
    this.#queue = [];
    if (jobs.length === 0) return;
    const from = this.#clock.monotonic();
    this.#runTogether(jobs);
    const end = this.#clock.monotonic();
    this.#pauseUntil = end + Math.min(end - from, LONGEST_PAUSE_MS);
  }

  /** Writes what is queued, then closes. */
  close(): void {
    if (!this.#db.isOpen) return;
    this.flush();
    this.#db.close();
  }

  #runTogether(jobs: readonly Job[]): void {
    try {
      this.transact(() => {
        for (const job of jobs) job.run();
      });
    } catch (error) {
      // What the file or the disk refuses is refused to all; a write that is wrong in itself fails alone.
      if (error instanceof StoreError || jobs.length === 1) for (const job of jobs) job.fail(error);
      else for (const job of jobs) this.#runTogether([job]);
      return;
    }
    for (const job of jobs) job.done();
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (this.#db !== undefined && !this.#db.isOpen) throw closed(this.path);
      throw storeError(error, this.path) ?? error;
    }
  }
}

const closed = (path: string): StoreError => new StoreError("unavailable", `the store ${path} is closed`);
