/** Polls in a row that timed out, after which a project counts as silent. */
const SILENT_AFTER = 3;
/** Polls in flight at once of a silent project. */
const PROBES = 2;

/** Gives a slot back, once. `answered`: false when the cloud did not answer in time, null when nothing was asked. */
export type ReleaseSlot = (answered: boolean | null) => void;

/**
 * The slots for polls in flight, shared by all projects.
 *
 * A project may use every free slot, but beyond its fair share only while one slot stays free for each project that
 * answers and holds none. When several projects wait, the one that holds the fewest slots comes first. A silent project, which
 * never answered or only times out, is probed with at most `PROBES` polls at once, and all silent projects together hold at most
 * half of the slots: endpoints that hang cannot take the slots of those that answer.
 */
export class PollSlots {
  #limit: number;
  /** In the order of service: a project that waited and was served goes to the end. */
  readonly #projects = new Set<ProjectSlots>();
  /** `holdNone`: projects that answer and hold no slot. */
  readonly #totals = { held: 0, heldBySilent: 0, holdNone: 0 };

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** A lower limit is reached as slots are given back. */
  setLimit(limit: number): void {
    this.#limit = limit;
    this.serve();
  }

  add(): ProjectSlots {
    const project = new ProjectSlots(this);
    this.#projects.add(project);
    return project;
  }

  /** Takes out a project that starts no more polls. The slots that it still holds count until they are given back. */
  remove(project: ProjectSlots): void {
    if (!this.#projects.delete(project)) return;
    if (project.held === 0 && !project.silent) this.#totals.holdNone--;
    this.serve();
  }

  mayStart(project: ProjectSlots): boolean {
    const { held, heldBySilent, holdNone } = this.#totals;
    const free = this.#limit - held;
    if (free <= 0) return false;
    const share = Math.max(1, Math.floor(this.#limit / this.#projects.size));
    if (project.silent) {
      const half = Math.max(1, Math.floor(this.#limit / 2));
      if (project.held >= Math.min(PROBES, share) || heldBySilent >= half) return false;
    }
    return project.held < share || free > holdNone;
  }

  /** Adds (1) what a project holds to the totals, or takes it out of them (-1) before it changes. */
  count(project: ProjectSlots, sign: 1 | -1): void {
    this.#totals.held += sign * project.held;
    if (project.silent) this.#totals.heldBySilent += sign * project.held;
    else if (project.held === 0 && this.#projects.has(project)) this.#totals.holdNone += sign;
  }

  /** Grants slots to the projects that wait, as long as one of them may start. */
  serve(): void {
    for (let next = this.#next(); next !== null; next = this.#next()) {
      this.#projects.delete(next);
      this.#projects.add(next);
      next.grant();
    }
  }

  #next(): ProjectSlots | null {
    let next: ProjectSlots | null = null;
    for (const project of this.#projects) {
      if (!project.waiting || !this.mayStart(project)) continue;
      if (next === null || project.held < next.held) next = project;
    }
    return next;
  }
}

/** One project's part of the slots. One caller at a time waits. */
export class ProjectSlots {
  readonly #slots: PollSlots;
  #held = 0;
  /** Nothing is known of a new project: it is probed until it answers. */
  #timeouts = SILENT_AFTER;
  #granted: (() => void) | null = null;

  constructor(slots: PollSlots) {
    this.#slots = slots;
  }

  get held(): number {
    return this.#held;
  }

  get silent(): boolean {
    return this.#timeouts >= SILENT_AFTER;
  }

  get waiting(): boolean {
    return this.#granted !== null;
  }

  /** Resolves when a slot is free for this project, without taking it. Rejects with the signal's reason. */
  async untilFree(signal: AbortSignal): Promise<void> {
    (await this.acquire(signal))(null);
  }

  /** Resolves with a slot taken. Rejects with the signal's reason. */
  async acquire(signal: AbortSignal): Promise<ReleaseSlot> {
    signal.throwIfAborted();
    if (this.#slots.mayStart(this)) this.#change(1, null);
    else await this.#wait(signal);
    let released = false;
    return (answered) => {
      if (released) return;
      released = true;
      this.#change(-1, answered);
      this.#slots.serve();
    };
  }

  /** For `PollSlots`: takes a slot for the caller that waits. */
  grant(): void {
    this.#change(1, null);
    this.#granted?.();
  }

  #change(slots: 1 | -1, answered: boolean | null): void {
    this.#slots.count(this, -1);
    this.#held += slots;
    if (answered !== null) this.#timeouts = answered ? 0 : this.#timeouts + 1;
    this.#slots.count(this, 1);
  }

  #wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = () => {
      this.#granted = null;
      reject(signal.reason);
    };
    this.#granted = () => {
      this.#granted = null;
      signal.removeEventListener("abort", abort);
      resolve();
    };
    signal.addEventListener("abort", abort, { once: true });
    return promise;
  }
}
