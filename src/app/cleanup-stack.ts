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

  defer(name: string, run: () => unknown): void {
    if (this.#closed) throw new Error(`${name} came to be after the end`);
    this.#steps.push({ name, run });
  }

  /** Runs all, whatever fails. Closing again gives the first result. */
  close(): Promise<void> {
    this.#closed ??= this.#run();
    return this.#closed;
  }

  async #run(): Promise<void> {
    for (const { name, run } of this.#steps.reverse()) {
      try {
        await run();
      } catch (error) {
        this.#onFailure(name, error);
      }
    }
  }
}
