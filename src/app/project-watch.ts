import type { ProjectConfig } from "../config/config.ts";
import type { DiscoveredInstance } from "../core/discovered.ts";
import { type FailedTries, failedAgain, type Unwatched, unwatchedFor } from "../core/unwatched.ts";
import { CloudError, StoreError, UsageError } from "../errors.ts";
import { Discovery } from "../poll/discovery.ts";
import type { Clock } from "../ports/clock.ts";
import type { SharedDocuments } from "../ports/store.ts";
import type { Connection } from "./connection.ts";
import { accessOf, type ProjectIds } from "./project-ids.ts";

/** Waits between tries to look a project id up. */
const LOOKUP_AGAIN_MS = 30_000;
/** Before its first list nothing of a project is watched: a failed one is repeated sooner than others. */
const FIRST_AGAIN_MS = 30_000;

export interface ProjectWatchOptions {
  readonly project: ProjectConfig;
  /** Fingerprint of what the connection is made from. */
  readonly print: string;
  readonly connection: Connection;
  readonly ids: ProjectIds;
  readonly notes: SharedDocuments;
  readonly clock: Clock;
  /** The id, or what is known of the instances, has changed. */
  readonly onChange: () => void;
}

export interface ListedAnew {
  readonly seconds: number;
  readonly added: readonly DiscoveredInstance[];
  readonly missed: readonly DiscoveredInstance[];
}

/**
 * One configured project: its connection, its id, and what discovery found. A reload that changes how the project is
 * reached makes a new one, which takes over what the one before knew.
 */
export class ProjectWatch {
  readonly print: string;
  readonly region: string;
  readonly access: string;
  readonly connection: Connection;
  readonly #options: ProjectWatchOptions;
  readonly #stop = new AbortController();
  #found: { readonly id: string; readonly discovery: Discovery } | null = null;
  /** By the configuration, or by IAM since this connection was made. */
  #confirmed = false;
  #lookup: FailedTries | null = null;
  #listing: FailedTries | null = null;
  /** Since the look-up fails; epoch milliseconds. */
  #unconfirmedSince: number;
  #unwatchedSince: number | null = null;
  /** When a list was last tried, monotonic. */
  #triedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ProjectWatchOptions) {
    const { project, print, connection, clock } = options;
    this.#options = options;
    this.print = print;
    this.region = project.region;
    this.access = accessOf(project);
    this.connection = connection;
    this.#unconfirmedSince = clock.now();
  }

  /** Null until the id is configured, remembered or looked up. */
  get found(): { readonly id: string; readonly discovery: Discovery } | null {
    return this.#found;
  }

  /** Goes on with what another watch of the same cloud project knows, until more is known. */
  inherit({ id, discovery }: { readonly id: string; readonly discovery: Discovery }): void {
    const same = discovery.enterpriseProjectId === filterOf(this.#options.project);
    this.#found = { id, discovery: same ? discovery : this.#discovery(id, discovery) };
  }

  /** Never rejects. Ends when the id is known for sure, or with `close`. */
  async identify(): Promise<void> {
    const { project, clock } = this.#options;
    const { signal } = this.#stop;
    await this.connection.dialect.load();
    while (!signal.aborted) {
      if (project.project_id === null) await this.#recall();
      try {
        const id = await this.connection.projectId(signal);
        this.#confirmed = true;
        this.#lookup = null;
        await this.#adopt(id);
        await this.remember().catch(() => {});
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#lookup = afterFailure(this.#lookup, error);
        this.#options.onChange();
        await clock.sleep(LOOKUP_AGAIN_MS, signal).catch(() => {});
      }
    }
  }

  /** Keeps the id that was looked up in the store, also in one that lost it. Rejects as the store does. */
  async remember(): Promise<void> {
    const { project, ids } = this.#options;
    if (project.project_id !== null || !this.#confirmed || !this.#found) return;
    await ids.keep(project, this.#found.id);
  }

  /** Reads what another replica, or an earlier run, found. True where that is news. Rejects as the store does. */
  async refresh(): Promise<boolean> {
    return (await this.#found?.discovery.refresh()) ?? false;
  }

  /** Lists the instances where that is due. Null where it is not. Rejects as the source and the store do. */
  async list(
    discover: NonNullable<ProjectConfig["discover"]>,
    limits: { readonly timeoutMs: number; readonly utcOffset: number },
    isWatched: (instance: DiscoveredInstance) => boolean,
  ): Promise<ListedAnew | null> {
    const { clock } = this.#options;
    if (!this.#found) return null;
    const { id, discovery } = this.#found;
    const { listed } = discovery;
    // By the monotonic clock while it runs, by the note's time after a start.
    const tried = clock.monotonic() - this.#triedAt;
    const age = clock.now() - (listed?.at ?? Number.NEGATIVE_INFINITY);
    const pause = listed ? discover.every : Math.min(discover.every, FIRST_AGAIN_MS);
    const first = this.#triedAt === Number.NEGATIVE_INFINITY;
    if (tried < pause || (first && age < discover.every)) return null;
    this.#triedAt = clock.monotonic();
    try {
      const source = this.connection.source(id, limits.timeoutMs, limits.utcOffset);
      const { added, missed } = await discovery.list(source, discover.engines, this.#stop.signal, isWatched);
      this.#listing = null;
      return { seconds: (clock.monotonic() - this.#triedAt) / 1_000, added, missed };
    } catch (error) {
      this.#listing = afterFailure(this.#listing, error);
      throw error;
    }
  }

  get stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  /**
   * Null while all of the project is watched.
   * @param discover as configured now
   * @param twin name of a project before it in the configuration that has the same id
   */
  unwatched(discover: ProjectConfig["discover"], twin: string | null): Unwatched | null {
    const missing = this.#missing(discover, twin);
    if (missing === null) {
      this.#unwatchedSince = null;
      return null;
    }
    this.#unwatchedSince ??= this.#options.clock.now();
    return unwatchedFor(missing.what, missing.tries, this.#unwatchedSince);
  }

  /** Null unless the id is a remembered one and the look-up fails. */
  unconfirmed(): Unwatched | null {
    if (this.#confirmed || !this.#found || this.#lookup === null) return null;
    return unwatchedFor("its project id could not be looked up again", this.#lookup, this.#unconfirmedSince);
  }

  /** Lets calls in flight end. */
  async close(): Promise<void> {
    this.#stop.abort(new Error("the project is not configured like this any more"));
    await this.connection.close();
  }

  #missing(
    discover: ProjectConfig["discover"],
    twin: string | null,
  ): { readonly what: string; readonly tries: FailedTries | null } | null {
    if (!this.#found) return { what: "its project id is not known", tries: this.#lookup };
    const { id, discovery } = this.#found;
    if (twin !== null) {
      const message = `project ${twin}, which stands before it in the configuration, has the same project id ${id}`;
      // No further try can help.
      const tries = { count: Number.POSITIVE_INFINITY, cause: "not_found", answer: null, message } as const;
      return { what: "it is configured twice", tries };
    }
    if (!discover || discovery.listed) return null;
    const kept = discovery.known ? "; those found before with another filter are still watched" : "";
    return { what: `its instances were never listed${kept}`, tries: this.#listing };
  }

  /** Another replica may have looked it up meanwhile. A store that does not answer is asked again with the next try. */
  async #recall(): Promise<void> {
    const { project, ids } = this.#options;
    const id = await ids.recall(project).catch(() => null);
    if (id !== null) await this.#adopt(id);
  }

  async #adopt(id: string): Promise<void> {
    if (this.#found?.id === id) return;
    const discovery = this.#discovery(id, null);
    // Without the store nothing is polled anyway; the next look reads it.
    await discovery.refresh().catch(() => false);
    if (this.#stop.signal.aborted) return;
    this.#found = { id, discovery };
    this.#options.onChange();
  }

  #discovery(id: string, before: Discovery | null): Discovery {
    const { project, notes, clock } = this.#options;
    return discoveryOf(project, id, { notes, clock, before: before?.known ?? null });
  }
}

export const discoveryOf = (
  project: ProjectConfig,
  projectId: string,
  using: Pick<ConstructorParameters<typeof Discovery>[0], "notes" | "clock" | "before">,
): Discovery => new Discovery({ projectId, enterpriseProjectId: filterOf(project), ...using });

const filterOf = ({ discover }: ProjectConfig): string | null => discover?.enterprise_project_id ?? null;

/** A store that does not answer says nothing of the project, and has an alert of its own. */
function afterFailure(before: FailedTries | null, error: unknown): FailedTries | null {
  return error instanceof StoreError ? before : failedAgain(before, failureOf(error));
}

/** The messages of the first two are safe to show; what another error says is not known. */
function failureOf(error: unknown): Omit<FailedTries, "count"> {
  if (error instanceof CloudError) {
    return { cause: error.reason, answer: error.answer, message: error.message };
  }
  if (error instanceof UsageError) return { cause: "not_found", answer: null, message: error.message };
  return { cause: "bad_response", answer: null, message: "an unexpected error, which the log shows" };
}
