import type { InstanceState, NameKnowledge, TaskState } from "../../core/state.ts";
import { StoreError } from "../../errors.ts";
import type { EventWrite, StateStore } from "../../ports/store.ts";
import { decodeRecord, decodeTask, encodeRecord, encodeTask, type RecordTimes, taskFlags } from "../codec.ts";
import type { Client } from "./connect.ts";
import { asStoreErrors } from "./errors.ts";
import { encodeEvent, eventField } from "./events.ts";
import { type Keys, liveField, splitLiveField } from "./keys.ts";
import type { Run } from "./scripts.ts";

type Hash = Readonly<Record<string, string>>;

export function redisState(client: Client, keys: Keys, run: Run, shards: number): StateStore {
  const has = (shard: number) => Number.isInteger(shard) && shard >= 0 && shard < shards;
  const mustHave = (shard: number): void => {
    if (!has(shard)) throw new StoreError("mismatch", `the store in Redis has no shard ${shard}`);
  };

  return {
    async load(shard) {
      mustHave(shard);
      const at = keys.shard(shard);
      const [generation, revisions, records, times, live, names, removals] = await replies(
        client
          .pipeline()
          .hget(at.meta, "gen")
          .hgetall(at.revisions)
          .hgetall(at.records)
          .hgetall(at.times)
          .hgetall(at.live)
          .hgetall(at.names)
          .zrange(at.removals, "0", "-1"),
      );
      const tasks = new Map<string, Map<string, TaskState>>();
      for (const [field, value] of entries(live)) {
        const { instance, taskId } = splitLiveField(field);
        const own = tasks.get(instance) ?? new Map<string, TaskState>();
        tasks.set(instance, own.set(taskId, decodeTask(taskId, value.slice(1))));
      }
      const instances = entries(revisions).map(([key, revision]) =>
        instanceOf(key, revision, get(records, key), get(times, key), tasks.get(key) ?? new Map()),
      );
      return {
        generation: Number(generation ?? 0),
        instances,
        names: entries(names).map(nameOf),
        removals: removalsOf(removals as readonly string[]),
      };
    },

    async loadInstance(shard, key) {
      mustHave(shard);
      const at = keys.shard(shard);
      const [revision, record, times, tasks] = await replies(
        client
          .pipeline()
          .hget(at.revisions, key)
          .hget(at.records, key)
          .hget(at.times, key)
          .hgetall(at.tasks(key)),
      );
      if (revision === null) return null;
      const states = new Map(entries(tasks).map(([id, text]) => [id, decodeTask(id, text)]));
      return instanceOf(key, String(revision), String(record), String(times), states);
    },

    async commit(lease, batch) {
      const { shard, key, record, removal, upserts, removals, names, events } = batch;
      if (lease === null) mustHave(shard);
      // An empty owner is how the script knows a command's write.
      else if (lease.shard !== shard || lease.owner === "" || !has(shard)) return { kind: "fenced" };
      const at = keys.shard(shard);
      const webhooks = [...new Set(events.flatMap(({ event }) => event.webhooks))];
      const places = new Map(webhooks.map((webhook, index) => [webhook, index + 1]));
      const answer = (await run(
        "commit",
        [
          ...[at.meta, at.revisions, at.records, at.times, at.tasks(key), at.live, at.names],
          ...[at.events, at.eventFacts, at.eventIds, at.uses, at.eventLog, at.hooks, at.removals],
          ...webhooks.flatMap((webhook) => [
            at.lanes(webhook),
            at.due(webhook),
            at.dead(webhook),
            at.ages(webhook),
          ]),
        ],
        [
          ...[lease?.owner ?? "", lease?.fence ?? 0, batch.expectRevision, key],
          ...[record ? encodeRecord(record) : "", record?.lastCompleteAt ?? "", record?.lastSweepAt ?? ""],
          ...[liveField(key, ""), upserts.length, removals.length, names.length, events.length],
          ...[removal?.removals ?? "", removal === undefined ? "" : Math.floor(removal.at)],
          ...webhooks,
          ...upserts.flatMap((task) => [task.id, taskFlags(task), encodeTask(task)]),
          ...removals,
          ...names.flatMap((name) => [
            JSON.stringify([name.projectId, name.name]),
            JSON.stringify([name.executed, name.sketch]),
          ]),
          ...events.flatMap((write) => eventArguments(key, write, places)),
        ],
      )) as number[];
      const [code, generation = 0] = answer;
      return code === 0 ? { kind: "ok", generation } : { kind: code === -1 ? "fenced" : "stale" };
    },

    async touch({ shard, owner, fence }, times) {
      const at = keys.shard(shard);
      const triples = times.flatMap(({ key, lastCompleteAt, lastSweepAt }) => [
        key,
        lastCompleteAt,
        lastSweepAt ?? "",
      ]);
      const code = await run("touch", [at.meta, at.revisions, at.times], [owner, fence, ...triples]);
      return code === 0 ? "ok" : "fenced";
    },
  };
}

function eventArguments(key: string, { event, body, lane }: EventWrite, places: ReadonlyMap<string, number>) {
  const taskId = event.data.task?.id ?? "";
  const time = Math.floor(event.time);
  const live = liveField(key, taskId);
  const field = eventField(taskId, event.id);
  const facts = `${time} ${Buffer.byteLength(live)} ${live}${field}`;
  const hooks = [...new Set(event.webhooks)].map((webhook) => places.get(webhook) ?? 0);
  return [field, event.id, encodeEvent({ ...event, time, body }), facts, time, lane, hooks.length, ...hooks];
}

/**
 * All replies of a pipeline. Rejects with StoreError where one of them is an error. No MULTI: a server whose memory is
 * full refuses even reads in it. Where replies must fit together, what tells of a change (generation, revision) comes
 * first: newer data under an older number is noticed at the next write.
 */
export async function replies(pipeline: ReturnType<Client["pipeline"]>): Promise<readonly unknown[]> {
  return await asStoreErrors("read", async () =>
    ((await pipeline.exec()) ?? []).map(([error, reply]) => {
      if (error) throw error;
      return reply;
    }),
  );
}

/** An instance that was removed several times is there several times. */
function removalsOf(members: readonly string[]): ReadonlyMap<string, number> {
  const removals = new Map<string, number>();
  for (const member of members) {
    const key = member.slice(member.indexOf(" ") + 1);
    removals.set(key, Math.max(removals.get(key) ?? 0, Number.parseInt(member, 10)));
  }
  return removals;
}

const entries = (hash: unknown): [string, string][] => Object.entries((hash ?? {}) as Hash);

const get = (hash: unknown, key: string): string => {
  const held = (hash ?? {}) as Hash;
  return (Object.hasOwn(held, key) ? held[key] : undefined) ?? "";
};

export const timesOf = (text: string): RecordTimes => {
  const [complete = "", sweep = ""] = text.split(" ");
  return {
    lastCompleteAt: complete === "" ? null : Number(complete),
    lastSweepAt: sweep === "" ? null : Number(sweep),
  };
};

const instanceOf = (
  key: string,
  revision: string,
  record: string,
  times: string,
  tasks: ReadonlyMap<string, TaskState>,
): InstanceState => ({
  record: decodeRecord(key, record, timesOf(times)),
  revision: Number(revision),
  tasks,
});

export function nameOf([field, value]: [string, string]): NameKnowledge {
  const [projectId, name] = JSON.parse(field) as [string, string];
  const [executed, sketch] = JSON.parse(value) as [boolean, string | null];
  return { projectId, name, executed, sketch };
}
