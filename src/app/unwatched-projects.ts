import type { Config } from "../config/config.ts";
import type { Cause } from "../core/cause.ts";
import type { InstanceRecord } from "../core/state.ts";
import { placeholderId } from "../core/unwatched.ts";
import type { Clock } from "../ports/clock.ts";
import type { Store } from "../ports/store.ts";
import { discoveryOf } from "./project-watch.ts";

/** A configured project that is not watched, or not all of it, as the store shows it. */
export interface UnwatchedProject {
  readonly project: string;
  /** Epoch milliseconds; null, as `cause` is, until the daemon has reported it. */
  readonly since: number | null;
  readonly cause: Cause | null;
  readonly reason: string;
}

/**
 * For commands, beside the daemon. Rejects with StoreError.
 * @param config with the ids that are remembered
 */
export async function unwatchedProjects(
  { notes, reader }: Pick<Store, "notes" | "reader">,
  config: Config,
  clock: Clock,
): Promise<readonly UnwatchedProject[]> {
  const found: UnwatchedProject[] = [];
  const records = new Map<string, InstanceRecord>();
  for (const { record } of await reader.instances()) {
    if (record.instanceId === "") records.set(record.projectId, record);
  }
  const first = new Map<string, string>();
  const add = (project: string, id: string, reason: string) => {
    const { since = null, cause = null } = records.get(id)?.unreachable ?? {};
    found.push({ project, since, cause, reason });
  };
  for (const project of config.projects) {
    const { name, project_id: id, discover } = project;
    if (id === null) {
      add(name, placeholderId(name), "its project id is not known");
      continue;
    }
    const twin = first.get(id);
    if (twin !== undefined) {
      add(name, placeholderId(name), `project ${twin} has the same project id ${id}`);
      continue;
    }
    first.set(id, name);
    if (!discover) continue;
    const discovery = discoveryOf(project, id, { notes, clock, before: null });
    await discovery.refresh();
    if (discovery.listed === null) add(name, id, "its instances were never listed");
  }
  return found;
}
