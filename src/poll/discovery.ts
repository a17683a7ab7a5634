import {
  type Discovered,
  type DiscoveredInstance,
  forget,
  type Rediscovered,
  rediscover,
} from "../core/discovered.ts";
import { ENGINES, type Engine } from "../core/task.ts";
import type { Clock } from "../ports/clock.ts";
import { readDocument } from "../ports/document.ts";
import type { SharedDocuments } from "../ports/store.ts";
import type { ListedInstance, TaskSource } from "../ports/task-source.ts";

export interface DiscoveryOptions {
  readonly projectId: string;
  /** Of the listing; another one finds other instances, which are known apart. Null: all are listed. */
  readonly enterpriseProjectId: string | null;
  /** What was known with another filter, until this one has listed. */
  readonly before: Discovered | null;
  readonly notes: SharedDocuments;
  readonly clock: Clock;
}

/**
 * The instances that discovery found in one project, kept as one note for all replicas: one of them lists, the
 * others read. So a restart knows them at once, and a failing discovery keeps them. A filter that has listed nothing
 * yet keeps what the filter before it found.
 */
export class Discovery {
  readonly #options: DiscoveryOptions;
  #listed: Discovered | null = null;
  #before: Discovered | null;
  #version = 0;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#before = options.before;
  }

  get enterpriseProjectId(): string | null {
    return this.#options.enterpriseProjectId;
  }

  /** As listed with this filter, at any time and by any replica; null before. */
  get listed(): Discovered | null {
    return this.#listed;
  }

  /** What to watch: as listed, else as listed with the filter before. */
  get known(): Discovered | null {
    return this.#listed ?? this.#before;
  }

  /** True when another replica, or an earlier run, knows it otherwise. Rejects as the store does. */
  async refresh(): Promise<boolean> {
    const { notes, enterpriseProjectId: filter } = this.#options;
    const note = await readDocument(notes, this.#nameWith(filter), parse);
    // A store that lost the note is told again what is known here.
    if (!note) this.#version = 0;
    if (!note) return this.known === null && (await this.#recallBefore());
    if (note.version === this.#version) return false;
    this.#version = note.version;
    this.#listed = note.value;
    return true;
  }

  /**
   * Lists all instances of the engines and keeps what is new. Rejects as the source and the store do.
   * @param isWatched false for an instance that nobody polls: no 404 of its own will say that it has left
   */
  async list(
    source: Pick<TaskSource, "instances">,
    engines: readonly Engine[],
    signal: AbortSignal,
    isWatched: (instance: DiscoveredInstance) => boolean = () => true,
  ): Promise<Rediscovered> {
    const listed: ListedInstance[] = [];
    for (const engine of engines) listed.push(...(await source.instances(engine, signal)));
    const now = this.#options.clock.now();
    const found = await this.#change((known) => rediscover(known, listed, engines, now, isWatched));
    await this.#keepFilter();
    return found;
  }

  /**
   * Call when the instance's own 404 was read twice. Returns true when no complete listing shows it either: it has
   * left. The listing may be another replica's, so the shared note decides.
   */
  async forget(instanceId: string): Promise<boolean> {
    await this.#change((known) => ({ next: known && forget(known, instanceId) }));
    return this.#listed !== null && !this.#listed.instances.some(({ id }) => id === instanceId);
  }

  /** What the filter found that listed last, in this run or an earlier one. True where that is something. */
  async #recallBefore(): Promise<boolean> {
    const { notes } = this.#options;
    const last = await notes.read(this.#filterName);
    const filter = last === null || last.value === "" ? null : last.value;
    const note = await readDocument(notes, this.#nameWith(filter), parse);
    this.#before = note?.value ?? null;
    return this.#before !== null;
  }

  async #keepFilter(): Promise<void> {
    const { notes, enterpriseProjectId } = this.#options;
    const value = enterpriseProjectId ?? "";
    const note = await notes.read(this.#filterName);
    // Another replica that writes at the same time writes the same.
    if (note?.value !== value) await notes.write(this.#filterName, value, note?.version ?? 0);
  }

  async #change<T extends { readonly next: Discovered | null }>(
    change: (known: Discovered | null) => T,
  ): Promise<T> {
    for (;;) {
      await this.refresh();
      const result = change(this.#listed);
      if (result.next === null) return result;
      const { notes, enterpriseProjectId } = this.#options;
      const value = JSON.stringify(result.next);
      if (await notes.write(this.#nameWith(enterpriseProjectId), value, this.#version)) {
        this.#listed = result.next;
        await this.refresh();
        return result;
      }
    }
  }

  #nameWith(filter: string | null): string {
    const { projectId } = this.#options;
    return filter === null ? `discovered/${projectId}` : `discovered/${projectId}/${filter}`;
  }

  /** Names the note of the filter that listed last; no value stands for none. */
  get #filterName(): string {
    return `discovered-with/${this.#options.projectId}`;
  }
}

/** Null for what is not such a note: discovery then begins anew. */
function parse(text: string): Discovered | null {
  try {
    const { since, at, instances } = JSON.parse(text) as Partial<Discovered>;
    if (typeof since !== "number" || typeof at !== "number" || !Array.isArray(instances)) return null;
    return { since, at, instances: instances.filter(isInstance) };
  } catch {
    return null;
  }
}

const isInstance = (value: Partial<DiscoveredInstance> | null): value is DiscoveredInstance =>
  typeof value?.id === "string" &&
  typeof value.name === "string" &&
  ENGINES.some((engine) => engine === value.engine);
