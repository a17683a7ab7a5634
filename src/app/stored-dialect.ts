import type { Dialect, DialectMemory } from "../cloud/paging.ts";
import { readDocument } from "../ports/document.ts";
import type { SharedDocuments } from "../ports/store.ts";

/**
 * What a project's API was found to understand, kept in the store, so that a restart does not learn it anew. Only a
 * shortcut: whatever goes wrong with it costs a few calls.
 */
export class StoredDialect implements DialectMemory {
  readonly #notes: SharedDocuments;
  readonly #name: string;
  #known: Dialect | null = null;

  constructor(notes: SharedDocuments, project: string) {
    this.#notes = notes;
    this.#name = `dialect/${project}`;
  }

  async load(): Promise<void> {
    const note = await readDocument(this.#notes, this.#name, parse).catch(() => null);
    this.#known ??= note?.value ?? null;
  }

  read(): Dialect | null {
    return this.#known;
  }

  learned(dialect: Dialect): void {
    this.#known = dialect;
    void this.#save(JSON.stringify(dialect)).catch(() => {});
  }

  async #save(value: string): Promise<void> {
    const note = await this.#notes.read(this.#name);
    await this.#notes.write(this.#name, value, note?.version ?? 0);
  }
}

function parse(text: string): Dialect | null {
  try {
    const { position, limit } = JSON.parse(text) as Partial<Dialect>;
    if (!Number.isInteger(limit) || Number(limit) < 1) return null;
    if (position !== null && position !== "start" && position !== "offset" && position !== "none")
      return null;
    return { position, limit: Number(limit) };
  } catch {
    return null;
  }
}
