import type { InstanceState, TaskState } from "../../core/state.ts";
import { StoreError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { EventWrite, Lease, ShardState, StateStore } from "../../ports/store.ts";
import { encodeRecord, encodeTask, OPEN, taskFlags } from "../codec.ts";
import type { Client } from "./connect.ts";
import { encodeEvent, eventField } from "./events.ts";
import { type Keys, liveField, splitLiveField } from "./keys.ts";
import { Reading, removalsOf } from "./reading.ts";
import { replies } from "./replies.ts";
import type { Run } from "./scripts.ts";
import { setStateAside } from "./state-aside.ts";

type Hash = Readonly<Record<string, string>>;

export function redisState(
  client: Client,
  keys: Keys,
  run: Run,
  { shards, clock }: { readonly shards: number; readonly clock: Clock },
): StateStore {
  const has = (shard: number) => Number.isInteger(shard) && shard >= 0 && shard < shards;
  const mustHave = (shard: number): void => {
    if (!has(shard)) throw new StoreError("mismatch", `the store in Redis has no shard ${shard}`);
  };

  async function readShard(shard: number): Promise<Read<ShardState>> {
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
    const reading = new Reading(shard);
    const tasks = new Map<string, Map<string, TaskState>>();
    for (const [field, value] of entries(live)) {
      const { instance, taskId } = splitLiveField(field);
      const task = reading.task(instance, taskId, value.slice(1), (Number(value[0]) & OPEN) !== 0);
      if (task === undefined) continue;
      const own = tasks.get(instance) ?? new Map<string, TaskState>();
      tasks.set(instance, own.set(taskId, task));
    }
    const instances = entries(revisions).flatMap(([key, revision]) => {
      const row = { key, revision, record: get(records, key), times: get(times, key) };
      return reading.instance(row, tasks.get(key) ?? new Map()) ?? [];
    });
    const state = {
      generation: Number(generation ?? 0),
      instances,
      names: entries(names).flatMap((entry) => reading.name(entry) ?? []),
      removals: removalsOf(removals),
    };
    return { state, reading };
  }

  async function readInstance(shard: number, key: string): Promise<Read<InstanceState | null>> {
    const at = keys.shard(shard);
    const [revision, record, times, tasks] = await replies(
      client
        .pipeline()
        .hget(at.revisions, key)
        .hget(at.records, key)
        .hget(at.times, key)
        .hgetall(at.tasks(key)),
    );
    const reading = new Reading(shard);
    if (revision === null) return { state: null, reading };
    const states = new Map<string, TaskState>();
    for (const [id, text] of entries(tasks)) {
      const task = reading.task(key, id, text, null);
      if (task !== undefined) states.set(id, task);
    }
    const row = { key, revision: String(revision), record: textOf(record), times: textOf(times) };
    return { state: reading.instance(row, states) ?? null, reading };
  }

  /** Reads once more after what could not be read was set aside. */
  async function reading<T>(lease: Lease | undefined, read: () => Promise<Read<T>>): Promise<Read<T>> {
    const first = await read();
    if (lease === undefined || first.reading.isWhole) return first;
    await setStateAside({ client, keys, run, clock }, lease, first.reading);
    return await read();
  }

  return {
    async load(shard, lease) {
      mustHave(shard);
      return (await reading(lease, () => readShard(shard))).state;
    },

    async loadInstance(shard, key, lease) {
      mustHave(shard);
      const read = await reading(lease, () => readInstance(shard, key));
      const [lost] = read.reading.instances;
      if (lost === undefined) return read.state;
      throw new StoreError("unreadable", `the record of instance ${key} cannot be read: ${lost.why}`);
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
          ...[at.events, at.eventFacts, at.eventIds, at.uses, at.eventLog, at.hooks, at.removals, at.aside],
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

interface Read<T> {
  readonly state: T;
  readonly reading: Reading;
}

const entries = (hash: unknown): [string, string][] => Object.entries((hash ?? {}) as Hash);

const textOf = (reply: unknown): string => (reply === null ? "" : String(reply));

const get = (hash: unknown, key: string): string => {
  const held = (hash ?? {}) as Hash;
  return (Object.hasOwn(held, key) ? held[key] : undefined) ?? "";
};
