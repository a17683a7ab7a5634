const HOUR_MS = 3_600_000;

/** Which of the things that last are due to be told: each at once, and again every hour. */
export class OnceAnHour {
  readonly #toldAt = new Map<string, number>();

  /** Counts it as told. A clock that was set back tells once more. */
  isDue(key: string, now: number): boolean {
    const at = this.#toldAt.get(key);
    if (at !== undefined && Math.abs(now - at) < HOUR_MS) return false;
    this.#toldAt.set(key, now);
    return true;
  }

  /** How many things it remembers. */
  get size(): number {
    return this.#toldAt.size;
  }

  /** Forgets the others: they are told at once when they come again. */
  retain(keys: ReadonlySet<string>): void {
    for (const key of this.#toldAt.keys()) if (!keys.has(key)) this.#toldAt.delete(key);
  }

  /** Forgets what was told more than an hour ago, for keys that nobody lists. */
  tidy(now: number): void {
    for (const [key, at] of this.#toldAt) if (Math.abs(now - at) >= HOUR_MS) this.#toldAt.delete(key);
  }
}
