/**
 * Named clean-ups, run in the reverse order in which their things came to be. Each is registered as soon as its
 * thing exists, so a start that fails half way ends what it began by the same way as a stop.
 */
export class CleanupStack {
  readonly #steps: { readonly name: string; readonly run: () => unknown }[] = [];
  readonly #onFailure: (name: string, error: unknown) => void;
  #closed: Promise<void> | null = null;

  constructor(onFailure: (name: string, error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  /** Throws when all has ended already; then the thing ends too, before `close` resolves. */
  defer(name: string, run: () => unknown): void {
    this.#steps.push({ name, run });
    if (this.#closed === null) return;
    this.#closed = this.#closed.then(() => this.#run());
    throw new Error(`${name} came to be after the end`);
  }

  /** Runs all, whatever fails, each once. */
  close(): Promise<void> {
    this.#closed ??= this.#run();
    return this.#closed;
  }

  async #run(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      const { name, run } = step;
      try {
        await run();
      } catch (error) {
        this.#onFailure(name, error);
      }
    }
  }
}
