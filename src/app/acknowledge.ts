import type { Config } from "../config/config.ts";
import { acknowledge } from "../core/ack.ts";
import type { Acknowledgement } from "../core/state.ts";
import { StoreError } from "../errors.ts";
import { eventWrite } from "../poll/writer.ts";
import type { StateStore } from "../ports/store.ts";
import type { KnownTask } from "../views/task.ts";
import { recordRules } from "./rules.ts";

/** The daemon may commit in between, again and again; more often than this means that something is wrong. */
const TRIES = 10;

/**
 * Acknowledges in the store, beside the owner of the shard, which loads it anew. Null when it is done, else why not.
 * Rejects with StoreError.
 * @param config with the id of the task's project, so that the event names it
 */
export async function acknowledgeTask(
  state: StateStore,
  config: Config,
  { key, shard, task }: KnownTask,
  by: Acknowledgement,
): Promise<string | null> {
  for (let tries = 0; tries < TRIES; tries++) {
    const known = await state.loadInstance(shard, key);
    if (known === null) return "the instance was removed";
    const decision = acknowledge(known, task.id, by, recordRules(config, known.record));
    if ("refused" in decision) return decision.refused;
    const { kind } = await state.commit(null, {
      shard,
      key,
      expectRevision: known.revision,
      record: decision.record,
      upserts: decision.upserts,
      removals: decision.removals,
      events: decision.events.map(eventWrite),
      names: [],
    });
    if (kind === "ok") return null;
  }
  throw new StoreError(
    "unavailable",
    `the state of ${key} changed under ${TRIES} writes in a row: try again`,
  );
}
