import type { ProjectHealthInput } from "../poll/reachability.ts";
import type { Shard } from "../poll/shard.ts";
import type { ProjectState, WatchedProjects } from "./projects.ts";

export interface JudgedOptions {
  readonly watched: WatchedProjects;
  readonly states: readonly ProjectState[];
  /** Instances of each project, by its id. */
  readonly totals: ReadonlyMap<string, number>;
  /** The shard of a project's own record, if that is ours. */
  readonly home: (projectId: string) => Shard | undefined;
}

/** The projects whose id is known, for a look at how they fare. */
export function judgedProjects({
  watched,
  states,
  totals,
  home,
}: JudgedOptions): readonly ProjectHealthInput[] {
  const byId = new Map(states.map((state) => [state.id, state]));
  return watched.projects.map((project) => {
    const { unwatched = null, discovery = null } = byId.get(project.id) ?? {};
    const total = totals.get(project.id) ?? 0;
    const listedAt = discovery?.listedAt ?? null;
    return { project, home: home(project.id), total, unwatched, listedAt, superseded: false };
  });
}

/** The projects as far as they have no id: what was said of them then ends once they have one. */
export function judgedPlaceholders({ watched, states, home }: JudgedOptions): readonly ProjectHealthInput[] {
  const byName = new Map(states.map((state) => [state.project.name, state]));
  return watched.placeholders.map((project) => {
    const { id = null, unwatched = null } = byName.get(project.name) ?? {};
    const superseded = id !== null;
    return {
      project,
      home: home(project.id),
      total: 0,
      unwatched: superseded ? null : unwatched,
      listedAt: null,
      superseded,
    };
  });
}
