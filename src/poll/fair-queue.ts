/**
 * Due polls of one project, in the order in which they came due, at most one of each instance. Instances with open
 * tasks come first in urgency but get at most half of the calls while others are due, so that a project full of
 * running tasks cannot starve the instances in which a task may just have begun.
 */
export class FairQueue {
  /** Insertion order is the order of service. The value is the time since which the poll is due. */
  readonly #busy = new Map<string, number>();
  readonly #idle = new Map<string, number>();
  /** Calls made for busy instances, less those for idle ones, while both waited. */
  #busyAhead = 0;

  get size(): number {
    return this.#busy.size + this.#idle.size;
  }

  /** False when the instance was due already: the later tick merges into the earlier one, whose time counts. */
  add(key: string, dueAt: number, hasOpenTasks: boolean): boolean {
    if (this.#busy.has(key) || this.#idle.has(key)) return false;
    (hasOpenTasks ? this.#busy : this.#idle).set(key, dueAt);
    return true;
  }

  take(): { key: string; dueAt: number } | null {
    const both = this.#busy.size > 0 && this.#idle.size > 0;
    if (!both) this.#busyAhead = 0;
    const from = this.#busy.size > 0 && (!both || this.#busyAhead <= 0) ? this.#busy : this.#idle;
    const first = from.entries().next();
    if (first.done) return null;
    const [key, dueAt] = first.value;
    from.delete(key);
    if (both) this.#busyAhead += from === this.#busy ? 1 : -1;
    return { key, dueAt };
  }

  /** Tells of calls beyond a poll's first, so that the halves are halves of calls, not of polls. */
  spentMore(hadOpenTasks: boolean, calls: number): void {
    if (this.#busy.size > 0 && this.#idle.size > 0) this.#busyAhead += hadOpenTasks ? calls : -calls;
  }

  remove(key: string): void {
    this.#busy.delete(key);
    this.#idle.delete(key);
  }

  clear(): void {
    this.#busy.clear();
    this.#idle.clear();
  }
}
