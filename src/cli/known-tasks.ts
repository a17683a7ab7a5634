import type { TaskState } from "../core/state.ts";
import type { Reader } from "../ports/store.ts";
import type { KnownTask } from "../views/task.ts";

/** Puts tasks of the store together with their instances. */
export async function knownTasks(
  reader: Reader,
  found: readonly { readonly key: string; readonly task: TaskState }[],
): Promise<readonly KnownTask[]> {
  if (found.length === 0) return [];
  const instances = new Map((await reader.instances()).map((instance) => [instance.key, instance]));
  return found.flatMap(({ key, task }) => {
    const instance = instances.get(key);
    // Removed between the two reads.
    return instance ? [{ key, shard: instance.shard, record: instance.record, task }] : [];
  });
}
