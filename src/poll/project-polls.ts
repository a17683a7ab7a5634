import type { Clock } from "../ports/clock.ts";
import type { Semaphore } from "../util/semaphore.ts";
import { FairQueue } from "./fair-queue.ts";
import type { PollProject } from "./target.ts";

/** How often a project whose calls are stopped looks whether they may go on. */
const STOPPED_MS = 1_000;

/**
 * Starts the due polls of one project. Order of business: something is due, the credentials are not locked, a place
 * among all polls is free, the budget has a token; only then is it decided whose poll it is.
 */
export class ProjectPolls {
  readonly queue = new FairQueue();
  project: PollProject;
  readonly #slots: Semaphore;
  readonly #clock: Clock;
  readonly #poll: (key: string, dueAt: number) => Promise<void>;
  #wake: (() => void) | null = null;

  constructor(
    project: PollProject,
    slots: Semaphore,
    clock: Clock,
    poll: (key: string, dueAt: number) => Promise<void>,
  ) {
    this.project = project;
    this.#slots = slots;
    this.#clock = clock;
    this.#poll = poll;
  }

  /** False when the instance's poll was due already. `dueAt` is monotonic time. */
  add(key: string, dueAt: number, active: boolean): boolean {
    const added = this.queue.add(key, dueAt, active);
    this.#wake?.();
    return added;
  }

  /** Runs until the signal is aborted. `poll` must not reject. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#startNext(signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
  }

  async #startNext(signal: AbortSignal): Promise<void> {
    if (this.queue.size === 0) await this.#somethingDue(signal);
    const { gate } = this.project;
    if (!gate.key.open) return this.#clock.sleep(STOPPED_MS, signal);
    const release = await this.#slots.acquire(signal);
    try {
      await gate.token(signal);
    } catch (error) {
      release();
      throw error;
    }
    const next = this.queue.take();
    if (!next) return release();
    const done = this.#poll(next.key, next.dueAt).finally(release);
    // Credentials that nobody accepted yet are tried by one poll, not by as many as there is room for.
    if (!gate.key.accepted) await done;
  }

  #somethingDue(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    this.#wake = resolve;
    return promise.finally(() => {
      this.#wake = null;
      signal.removeEventListener("abort", stop);
    });
  }
}
