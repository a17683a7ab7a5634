import type { Clock } from "../ports/clock.ts";
import { FairQueue } from "./fair-queue.ts";
import type { ProjectSlots } from "./poll-slots.ts";
import type { PollProject } from "./target.ts";

/** How often a project whose calls are stopped looks whether they may go on. */
const STOPPED_MS = 1_000;

/** Makes one poll; resolves with whether the cloud answered in time. Never rejects. */
export type StartPoll = (due: {
  readonly key: string;
  /** Monotonic. */
  readonly dueAt: number;
  /** When the budget's token for its first call was taken, monotonic. */
  readonly paidAt: number;
}) => Promise<boolean>;

/**
 * Starts the due polls of one project. A poll needs, in this order: something that is due, credentials that are not
 * locked, a free slot, a token of the budget. Only then is it decided whose poll it is. The slot is taken last, so
 * that a project that waits for its budget holds none.
 */
export class ProjectPolls {
  readonly queue = new FairQueue();
  project: PollProject;
  readonly #slots: ProjectSlots;
  readonly #clock: Clock;
  readonly #poll: StartPoll;
  #wake: (() => void) | null = null;

  constructor(project: PollProject, slots: ProjectSlots, clock: Clock, poll: StartPoll) {
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

  /** Runs until the signal is aborted. */
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
    // A token lapses soon after it was taken: none is taken while there is no slot to use it.
    await this.#slots.untilFree(signal);
    const paidAt = await gate.token(signal);
    const release = await this.#slots.acquire(signal);
    const next = this.queue.take();
    if (!next) return release(null);
    const done = this.#poll({ ...next, paidAt }).then(release);
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
