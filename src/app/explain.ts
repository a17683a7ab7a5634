import type { Config } from "../config/config.ts";
import { instanceSource } from "../core/cloudevent.ts";
import { knowledgeOf } from "../core/names.ts";
import { count, merge, parse } from "../core/sketch.ts";
import type { NameKnowledge } from "../core/state.ts";
import type { Reader, StoredEvent } from "../ports/store.ts";
import type { KnownTask } from "../views/task.ts";
import { type Why, whyOf } from "../views/why.ts";
import { recordRules } from "./rules.ts";

export interface Explanation extends Why {
  /** Finished runs of its name that thresholds are learned from. */
  readonly runs: number;
  /** Its events that are kept, the oldest first. */
  readonly history: readonly StoredEvent[];
}

/** More events than this of one task are not told of. */
const MOST_EVENTS = 1000;

/**
 * What happened to tasks of one id, and why each is, or is not, stuck. Rejects with StoreError.
 * @param config with the ids of the tasks' projects
 */
export async function explainTasks(
  reader: Reader,
  config: Config,
  tasks: readonly KnownTask[],
  now: number,
): Promise<readonly (Explanation & { readonly known: KnownTask })[]> {
  const [first] = tasks;
  if (first === undefined) return [];
  const names = await reader.names();
  const { events } = await reader.events({ taskId: first.task.id, limit: MOST_EVENTS });
  return tasks.map((known) => ({ known, ...explain(config, known, names, events, now) }));
}

function explain(
  config: Config,
  { task, record }: KnownTask,
  names: readonly NameKnowledge[],
  events: readonly StoredEvent[],
  now: number,
): Explanation {
  const { stuck } = recordRules(config, record);
  const own = names.filter(({ projectId, name }) => projectId === record.projectId && name === task.name);
  const knowledge = knowledgeOf(own, record.projectId, stuck.learn);
  const runs = count(merge(own.map(({ sketch }) => parse(sketch))));
  const source = instanceSource(record.projectId, record.instanceId);
  const history = events.filter(({ body }) => (JSON.parse(body) as { source: string }).source === source);
  return { ...whyOf(task, stuck, knowledge, runs, now), runs, history };
}
