import type { Config, ProjectConfig } from "../config/config.ts";
import type { InstanceRecord } from "../core/state.ts";
import type { Reader } from "../ports/store.ts";
import { commonRules, instanceRules, orphanRules } from "./rules.ts";

/**
 * The configuration with the ids of projects that are not configured but looked up, as far as the store tells them: the
 * events of a task name its project. For commands, which look nothing up.
 * @param tasks of the projects in question
 */
export async function withKnownIds(
  config: Config,
  reader: Pick<Reader, "events">,
  tasks: readonly { readonly projectId: string; readonly taskId: string }[],
): Promise<Config> {
  const unnamed = config.projects.filter(({ project_id }) => project_id === null);
  if (unnamed.length === 0) return config;
  const tried = new Map<string, number>(
    config.projects.flatMap(({ project_id }) => (project_id === null ? [] : [[project_id, TRIES] as const])),
  );
  const ids = new Map<string, string>();
  for (const { projectId, taskId } of tasks) {
    const times = tried.get(projectId) ?? 0;
    if (times >= TRIES) continue;
    tried.set(projectId, times + 1);
    const { events } = await reader.events({ taskId, limit: 1 });
    const name = projectName(events[0]?.body, projectId);
    if (name === null) continue;
    ids.set(name, projectId);
    tried.set(projectId, TRIES);
  }
  return withIds(config, ids);
}

/** @param ids by the project's name */
export function withIds(config: Config, ids: ReadonlyMap<string, string>): Config {
  const projects = config.projects.map((project) => {
    const id = ids.get(project.name);
    return project.project_id === null && id !== undefined ? { ...project, project_id: id } : project;
  });
  return { ...config, projects };
}

/** Tasks whose events were pruned tell nothing; after some of them the project stays unnamed. */
const TRIES = 5;

export const projectOf = (config: Config, projectId: string): ProjectConfig | null =>
  config.projects.find(({ project_id }) => project_id === projectId) ?? null;

/** The rules of an instance that the store knows: as configured, else those for all. */
export function recordRules(config: Config, record: InstanceRecord) {
  const project = projectOf(config, record.projectId);
  const instance = project?.instances.find(({ id }) => id === record.instanceId);
  if (!project || !instance) return orphanRules(config, record);
  return instanceRules(config, commonRules(config), project, record.projectId, instance);
}

/** What an event's CloudEvent calls its project, if it is the one with this id. */
function projectName(body: string | undefined, projectId: string): string | null {
  if (body === undefined) return null;
  try {
    const { data } = JSON.parse(body) as { data?: { project?: { id?: unknown; name?: unknown } } };
    const { id, name } = data?.project ?? {};
    return id === projectId && typeof name === "string" ? name : null;
  } catch {
    return null;
  }
}
