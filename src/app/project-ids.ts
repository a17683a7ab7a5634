import type { Config, ProjectConfig } from "../config/config.ts";
import { fingerprint } from "../config/fingerprint.ts";
import { readDocument } from "../ports/document.ts";
import type { SharedDocuments } from "../ports/store.ts";

/** A project whose id was looked up. */
interface LookedUp {
  readonly name: string;
  readonly region: string;
  /** Fingerprint of region, IAM endpoint and credentials: the same look-up gives the same project. */
  readonly access: string;
  readonly id: string;
}

const NOTE = "project-ids";
/** The oldest entries go first: labels that no configuration has any more. */
const MOST = 1_000;

/** The ids that IAM gave, with the names of their projects, kept for all replicas, later runs and commands. */
export class ProjectIds {
  readonly #notes: Pick<SharedDocuments, "read" | "write" | "setAside">;

  constructor(notes: Pick<SharedDocuments, "read" | "write" | "setAside">) {
    this.#notes = notes;
  }

  /** Null where none is remembered. Rejects as the store does. */
  async recall(project: ProjectConfig): Promise<string | null> {
    return idOf(await this.#known(), project);
  }

  /** Replaces what was remembered of this project. Writes only a change. Rejects as the store does. */
  async keep(project: ProjectConfig, id: string): Promise<void> {
    const { name, region } = project;
    const entry: LookedUp = { name, region, access: accessOf(project), id };
    for (;;) {
      const note = await readDocument(this.#notes, NOTE, parse);
      const before = note?.value ?? [];
      if (before.some((each) => fingerprint(each) === fingerprint(entry))) return;
      const others = before.filter((each) => {
        const outdated = each.access === entry.access && each.id !== id;
        return !isCalled(each, project) && !outdated;
      });
      const value = JSON.stringify([...others, entry].slice(-MOST));
      if (await this.#notes.write(NOTE, value, note?.version ?? 0)) return;
    }
  }

  /** The configuration with the remembered ids in the place of those that are not configured. */
  async complete(config: Config): Promise<Config> {
    const known = await this.#known();
    const ids = config.projects.flatMap((project) => {
      const id = idOf(known, project);
      return id === null ? [] : [[project.name, id] as const];
    });
    return withIds(config, new Map(ids));
  }

  async #known(): Promise<readonly LookedUp[]> {
    return (await readDocument(this.#notes, NOTE, parse))?.value ?? [];
  }
}

/** @param ids by the project's name */
export function withIds(config: Config, ids: ReadonlyMap<string, string>): Config {
  const projects = config.projects.map((project) => {
    const id = ids.get(project.name);
    return project.project_id === null && id !== undefined ? { ...project, project_id: id } : project;
  });
  return { ...config, projects };
}

/** A renamed label is found by its credentials, changed credentials by the label. */
const idOf = (known: readonly LookedUp[], project: ProjectConfig): string | null => {
  const access = accessOf(project);
  const found = known.find((each) => each.access === access) ?? known.find((each) => isCalled(each, project));
  return found?.id ?? null;
};

const isCalled = (known: LookedUp, { name, region }: ProjectConfig): boolean =>
  known.name === name && known.region === region;

/** Equal where a look-up asks the same IAM the same question as the same user. */
export const accessOf = ({ region, iam_endpoint, credentials }: ProjectConfig): string =>
  fingerprint({ region, iam_endpoint, credentials });

/** Leaves out what is no entry. Null for what is not such a note. */
function parse(text: string): readonly LookedUp[] | null {
  try {
    const all = JSON.parse(text) as unknown;
    if (!Array.isArray(all)) return null;
    return all.filter(isEntry).map(({ name, region, access, id }) => ({ name, region, access, id }));
  } catch {
    return null;
  }
}

const isEntry = (value: Partial<LookedUp> | null): value is LookedUp =>
  [value?.name, value?.region, value?.access, value?.id].every(
    (part) => typeof part === "string" && part !== "",
  );
