import { systemClock } from "../../src/platform/clock.ts";

/** Longer than any of these waits takes on a busy machine, shorter than a test's own limit. */
const PATIENCE_MS = 45_000;

/** Waits for something that other code brings about, and says in its error how far it came. */
export class Watchers {
  readonly #looks = new Set<() => void>();

  /** To be called after each change. */
  changed(): void {
    for (const look of [...this.#looks]) look();
  }

  /** Resolves with the first result of `find` that is not undefined, looked for now and after each change. */
  async until<T>(find: () => T | undefined, state: () => string): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const look = () => {
      try {
        const found = find();
        if (found !== undefined) resolve(found);
      } catch (error) {
        reject(error);
      }
    };
    this.#looks.add(look);
    look();
    const done = new AbortController();
    const late = new Error("waited in vain");
    const patience = systemClock.sleep(PATIENCE_MS, done.signal).then(
      () => {
        throw new Error(`${late.message} for ${PATIENCE_MS / 1_000} s; so far: ${state()}`, { cause: late });
      },
      () => promise,
    );
    try {
      return await Promise.race([promise, patience]);
    } finally {
      this.#looks.delete(look);
      done.abort();
    }
  }
}
