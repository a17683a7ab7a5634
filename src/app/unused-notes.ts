import type { Config } from "../config/config.ts";
import { placeholderId } from "../core/unwatched.ts";
import type { Clock } from "../ports/clock.ts";
import type { SharedDocuments } from "../ports/store.ts";
import { credentialsFingerprint } from "./connection.ts";

/** Replicas read a changed configuration at different moments, and a slip in the file must not forget anything. */
const GRACE_MS = 3_600_000;

/** What the configuration uses, as the names of notes say it. */
export interface Used {
  readonly config: Config;
  /** Of all projects; null while one is not known. */
  readonly projectIds: ReadonlySet<string> | null;
}

/**
 * Removes the notes that no configured project or webhook uses any more: of rotated credentials, of projects and
 * webhooks that left. A note that is removed too early is found out anew.
 */
export class UnusedNotes {
  readonly #notes: SharedDocuments;
  readonly #clock: Clock;
  /** By the monotonic clock. */
  readonly #unusedSince = new Map<string, number>();

  constructor(notes: SharedDocuments, clock: Clock) {
    this.#notes = notes;
    this.#clock = clock;
  }

  /** Call now and then. Rejects as the store does. */
  async sweep(used: Used): Promise<void> {
    const isUsed = usedBy(used);
    const now = this.#clock.monotonic();
    const unused = new Set<string>();
    for (const { name } of await this.#notes.list("")) {
      if (isUsed(name)) continue;
      unused.add(name);
      const since = this.#unusedSince.get(name) ?? now;
      this.#unusedSince.set(name, since);
      if (now - since >= GRACE_MS) await this.#remove(name);
    }
    for (const name of this.#unusedSince.keys()) if (!unused.has(name)) this.#unusedSince.delete(name);
  }

  async #remove(name: string): Promise<void> {
    const note = await this.#notes.read(name);
    // Somebody who wrote it in between uses it.
    if (note) await this.#notes.write(name, null, note.version);
  }
}

function usedBy({ config, projectIds }: Used): (name: string) => boolean {
  const names = new Set(config.projects.map(({ name }) => name));
  const webhooks = new Set(config.webhooks.map(({ name }) => name));
  const credentials = new Set(config.projects.map(credentialsFingerprint));
  // What is found out before an id is known.
  const placeholders = new Set(config.projects.map(({ name }) => placeholderId(name)));
  const ofProject = (id: string) => projectIds === null || projectIds.has(id) || placeholders.has(id);
  const kinds: Readonly<Record<string, (rest: string) => boolean>> = {
    credentials: (fingerprint) => credentials.has(fingerprint),
    dialect: (name) => names.has(name),
    webhook: (name) => webhooks.has(name),
    reach: ofProject,
    "discovered-with": ofProject,
    discovered: (rest) => ofProject(rest.split("/", 1)[0] ?? ""),
  };
  return (name) => {
    const slash = name.indexOf("/");
    const kind = name.slice(0, slash);
    // One that this version does not know may be a newer version's.
    if (slash < 0 || !Object.hasOwn(kinds, kind)) return true;
    return kinds[kind]?.(name.slice(slash + 1)) ?? true;
  };
}
