import { withKnownIds } from "../app/known-projects.ts";
import type { Config } from "../config/config.ts";
import type { TaskState } from "../core/state.ts";
import type { Reader } from "../ports/store.ts";
import type { KnownTask } from "../views/task.ts";

/** Puts tasks of the store together with their instances, and tells as whose instances the configuration knows them. */
export async function knownTasks(
  config: Config,
  reader: Reader,
  found: readonly { readonly key: string; readonly task: TaskState }[],
): Promise<{ readonly config: Config; readonly tasks: readonly KnownTask[] }> {
  if (found.length === 0) return { config, tasks: [] };
  const instances = new Map((await reader.instances()).map((instance) => [instance.key, instance]));
  const tasks = found.flatMap(({ key, task }) => {
    const instance = instances.get(key);
    // Removed between the two reads.
    return instance ? [{ key, shard: instance.shard, record: instance.record, task }] : [];
  });
  const ids = tasks.map(({ record, task }) => ({ projectId: record.projectId, taskId: task.id }));
  return { config: await withKnownIds(config, reader, ids), tasks };
}
