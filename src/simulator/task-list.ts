import { FINAL_STATUSES, type Task } from "./tasks.ts";

/** The tasks of one instance, oldest first, at most `cap` of them: the oldest finished ones make room. */
export class TaskList {
  readonly #cap: number;
  readonly #byId = new Map<string, Task>();
  readonly #items: Task[] = [];

  constructor(cap: number) {
    this.#cap = cap;
  }

  get items(): readonly Task[] {
    return this.#items;
  }

  get(id: string): Task | undefined {
    return this.#byId.get(id);
  }

  /** Adds a task at its place in time; one with the same id is replaced. */
  add(task: Task): void {
    const old = this.#byId.get(task.id);
    if (old) this.remove(old);
    this.#byId.set(task.id, task);
    this.#items.splice(firstCreatedAfter(this.#items, task.createdAt), 0, task);
    if (this.#items.length > this.#cap) this.#makeRoom();
  }

  /** False when the task is no longer in the list. */
  remove(task: Task): boolean {
    if (this.#byId.get(task.id) !== task) return false;
    this.#byId.delete(task.id);
    this.#items.splice(this.#items.indexOf(task), 1);
    return true;
  }

  #makeRoom(): void {
    const oldest = this.#items.find((task) => FINAL_STATUSES.has(task.status)) ?? this.#items[0];
    if (oldest) this.remove(oldest);
  }
}

/** Index of the first task created after `time`, in a list that is oldest first. */
export function firstCreatedAfter(tasks: readonly Task[], time: number): number {
  let low = 0;
  let high = tasks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((tasks[middle]?.createdAt ?? 0) > time) high = middle;
    else low = middle + 1;
  }
  return low;
}
