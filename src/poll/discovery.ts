import {
  type Discovered,
  type DiscoveredInstance,
  forget,
  type Rediscovered,
  rediscover,
} from "../core/discovered.ts";
import { ENGINES, type Engine } from "../core/task.ts";
import type { Clock } from "../ports/clock.ts";
import type { Notes } from "../ports/store.ts";
import type { ListedInstance, TaskSource } from "../ports/task-source.ts";

export interface DiscoveryOptions {
  readonly projectId: string;
  /** Of the listing; another one finds other instances, which are known apart. Null: all are listed. */
  readonly enterpriseProjectId: string | null;
  readonly notes: Notes;
  readonly clock: Clock;
}

/**
 * The instances that discovery found in one project, kept as one note for all replicas: one of them lists, the
 * others read. So a restart knows them at once, and a failing discovery keeps them.
 */
export class Discovery {
  readonly #options: DiscoveryOptions;
  #known: Discovered | null = null;
  #version = 0;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
  }

  get known(): Discovered | null {
    return this.#known;
  }

  /** True when another replica, or an earlier run, knows it otherwise. Rejects as the store does. */
  async refresh(): Promise<boolean> {
    const note = await this.#options.notes.read(this.#name);
    // A store that lost the note is told again what is known here.
    if (!note) this.#version = 0;
    if (!note || note.version === this.#version) return false;
    this.#version = note.version;
    this.#known = parse(note.value) ?? this.#known;
    return true;
  }

  /** Lists all instances of the engines and keeps what is new. Rejects as the source and the store do. */
  async list(
    source: Pick<TaskSource, "instances">,
    engines: readonly Engine[],
    signal: AbortSignal,
  ): Promise<Rediscovered> {
    const listed: ListedInstance[] = [];
    for (const engine of engines) listed.push(...(await source.instances(engine, signal)));
    return await this.#change((known) => rediscover(known, listed, engines, this.#options.clock.now()));
  }

  /**
   * Call when the instance's own 404 was read twice. Returns true when no complete listing shows it either: it has
   * left. The listing may be another replica's, so the shared note decides.
   */
  async forget(instanceId: string): Promise<boolean> {
    await this.#change((known) => ({ next: known && forget(known, instanceId) }));
    return this.#known !== null && !this.#known.instances.some(({ id }) => id === instanceId);
  }

  async #change<T extends { readonly next: Discovered | null }>(
    change: (known: Discovered | null) => T,
  ): Promise<T> {
    for (;;) {
      await this.refresh();
      const result = change(this.#known);
      if (result.next === null) return result;
      if (await this.#options.notes.write(this.#name, JSON.stringify(result.next), this.#version)) {
        this.#known = result.next;
        await this.refresh();
        return result;
      }
    }
  }

  get #name(): string {
    const { projectId, enterpriseProjectId: owner } = this.#options;
    return owner === null ? `discovered/${projectId}` : `discovered/${projectId}/${owner}`;
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
