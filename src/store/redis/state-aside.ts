import { blankRecord, recordAfterLoss } from "../../core/anew.ts";
import type { InstanceRecord } from "../../core/state.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Lease } from "../../ports/store.ts";
import { encodeRecord, salvage } from "../codec.ts";
import type { Client } from "./connect.ts";
import { asStoreErrors } from "./errors.ts";
import { type Keys, liveField } from "./keys.ts";
import { type InstanceTexts, type LostTask, type Reading, recordOf, removalsOf, timesOf } from "./reading.ts";
import { replies } from "./replies.ts";
import type { Run } from "./scripts.ts";

/** Instances that are rewritten at once. */
const SLICE = 100;

export interface SetStateAside {
  readonly client: Client;
  readonly keys: Keys;
  readonly run: Run;
  readonly clock: Clock;
}

/** Sets aside what a reading could not read. Writes nothing where the lease is not the valid one. */
export async function setStateAside(
  { client, keys, run, clock }: SetStateAside,
  lease: Lease,
  { shard, texts, instances, tasks, names }: Reading,
): Promise<void> {
  if (lease.shard !== shard) return;
  const at = keys.shard(shard);
  const lostRecords = new Map(instances.map((each) => [each.key, each]));
  const lostTasks = Map.groupBy(tasks, ({ instance }) => instance);
  const removals = removalsOf((await replies(client.pipeline().zrange(at.removals, "0", "-1")))[0]);

  async function lostOpen(own: readonly LostTask[]): Promise<boolean> {
    if (own.some(({ wasOpen }) => wasOpen)) return true;
    const unsure = own.filter(({ wasOpen }) => wasOpen === null);
    if (unsure.length === 0) return false;
    const fields = unsure.map(({ instance, id }) => liveField(instance, id));
    const live = await asStoreErrors("read", () => client.hmget(at.live, ...fields));
    return live.some((text) => text !== null);
  }

  const call = (instance: string, args: readonly (string | number)[]) =>
    run(
      "aside",
      [
        ...[at.meta, at.aside, at.revisions, at.records, at.times],
        ...[at.tasks(instance), at.live, at.names, at.removals],
      ],
      [lease.owner, lease.fence, ...args],
    );

  async function rewrite(instance: string, found: InstanceTexts): Promise<void> {
    const own = lostTasks.get(instance) ?? [];
    const rows = own.flatMap(({ kind, key, why, id }) => [kind, key, why, id, liveField(instance, id)]);
    const lost = lostRecords.get(instance);
    if (lost) rows.push(lost.kind, lost.key, lost.why, "", "");
    const { lastCompleteAt } = timesOf(found.times);
    const record: InstanceRecord = lost
      ? blankRecord(instance, salvage(found.record), { lastCompleteAt }, removals.get(instance) ?? 0)
      : recordAfterLoss(recordOf(found), await lostOpen(own));
    // In case this record is lost as well: ids must not come twice.
    const removal = lost ? `${record.removals} ${instance}` : "";
    const revision = Number(found.revision);
    await call(instance, [
      ...[instance, found.revision, Number.isSafeInteger(revision) ? revision + 1 : clock.now()],
      ...[encodeRecord(record), `${lastCompleteAt ?? ""} `, removal, clock.now(), ...rows],
    ]);
  }

  const touched = [...new Set([...lostRecords.keys(), ...lostTasks.keys()])];
  for (let start = 0; start < touched.length; start += SLICE) {
    await Promise.all(
      touched.slice(start, start + SLICE).map(async (instance) => {
        const found = texts.get(instance);
        // Without its texts, it is a task whose instance was removed.
        if (found) await rewrite(instance, found);
      }),
    );
  }
  if (names.length === 0) return;
  const rows = names.flatMap(({ kind, key, why, field }) => [kind, key, why, field, ""]);
  await call("", ["", "", "", "", "", "", "", ...rows]);
}
