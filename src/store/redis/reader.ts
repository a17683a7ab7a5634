import type { InstanceRecord, NameKnowledge, TaskState } from "../../core/state.ts";
import type { EventPage, EventQuery, Reader, SetAside, TaskFilter } from "../../ports/store.ts";
import { decodeTask, FAILED, OPEN, STUCK, taskFlags } from "../codec.ts";
import { PassedOver, RecordReader, taskRecordKey } from "../unreadable.ts";
import type { Client } from "./connect.ts";
import { asStoreErrors } from "./errors.ts";
import { cursorOf, EventLog, type Numbered, newestOf, originOf, positionsOf } from "./event-log.ts";
import { type Keys, splitLiveField } from "./keys.ts";
import { nameKeyOf, nameOf, recordOf } from "./reading.ts";
import { replies } from "./replies.ts";

/** Instances whose tasks are read by one round trip. */
const SLICE = 200;
const PAGE = 256;

const FLAGS: Readonly<Record<TaskFilter["state"], number>> = {
  open: OPEN,
  stuck: STUCK,
  failed: FAILED,
  live: OPEN | STUCK | FAILED,
  all: 0,
};

type Found = { readonly key: string; readonly task: TaskState };

export function redisReader(client: Client, keys: Keys, shards: number, aside: SetAside): Reader {
  const all = Array.from({ length: shards }, (_, shard) => shard);
  const passedOver = new PassedOver();

  async function tasksOf(
    reader: RecordReader,
    shard: number,
    instances: readonly string[],
  ): Promise<Found[]> {
    const found: Found[] = [];
    for (let start = 0; start < instances.length; start += SLICE) {
      const slice = instances.slice(start, start + SLICE);
      const pipeline = client.pipeline();
      for (const key of slice) pipeline.hgetall(keys.shard(shard).tasks(key));
      for (const [index, tasks] of (await replies(pipeline)).entries()) {
        const key = slice[index] ?? "";
        for (const [id, text] of Object.entries(tasks as Record<string, string>)) {
          found.push(...taskIn(reader, shard, key, id, text));
        }
      }
    }
    return found;
  }

  const instanceKeys = (shard: number) =>
    asStoreErrors("read", () => client.hkeys(keys.shard(shard).revisions));

  return {
    async instances() {
      const reader = new RecordReader();
      const found: { key: string; shard: number; record: InstanceRecord; revision: number }[] = [];
      for (const shard of all) {
        const at = keys.shard(shard);
        const [revisions, records, times] = (await replies(
          client.pipeline().hgetall(at.revisions).hgetall(at.records).hgetall(at.times),
        )) as Record<string, string>[];
        for (const [key, revision] of Object.entries(revisions ?? {})) {
          const texts = { record: records?.[key] ?? "", times: times?.[key] ?? "" };
          const record = reader.read(shard, "instance", key, () => recordOf(texts));
          if (record !== undefined) found.push({ key, shard, revision: Number(revision), record });
        }
      }
      passedOver.set("instances", reader.unreadable);
      return found;
    },

    async tasks({ state, instances }) {
      const flag = FLAGS[state];
      const reader = new RecordReader();
      const found: Found[] = [];
      for (const shard of all) {
        if (instances !== undefined) {
          const own = instances.filter((each) => each.shard === shard).map(({ key }) => key);
          found.push(...(await tasksOf(reader, shard, own)));
        } else if (flag === 0) found.push(...(await tasksOf(reader, shard, await instanceKeys(shard))));
        else {
          const live = await asStoreErrors("read", () => client.hgetall(keys.shard(shard).live));
          for (const [field, value] of Object.entries(live)) {
            const { instance, taskId } = splitLiveField(field);
            if ((Number(value[0]) & flag) !== 0)
              found.push(...taskIn(reader, shard, instance, taskId, value.slice(1)));
          }
        }
      }
      passedOver.set(instances === undefined ? `tasks ${state}` : "tasks of instances", reader.unreadable);
      return instances === undefined || flag === 0
        ? found
        : found.filter(({ task }) => (taskFlags(task) & flag) !== 0);
    },

    async task(taskId) {
      const reader = new RecordReader();
      const found: Found[] = [];
      for (const shard of all) {
        const instances = await instanceKeys(shard);
        for (let start = 0; start < instances.length; start += SLICE) {
          const slice = instances.slice(start, start + SLICE);
          const pipeline = client.pipeline();
          for (const key of slice) pipeline.hget(keys.shard(shard).tasks(key), taskId);
          for (const [index, text] of (await replies(pipeline)).entries()) {
            if (text !== null) found.push(...taskIn(reader, shard, slice[index] ?? "", taskId, String(text)));
          }
        }
      }
      passedOver.set("task", reader.unreadable);
      return found;
    },

    async events({ after, limit, types, taskId }: EventQuery) {
      const wanted = types === undefined ? null : new Set<string>(types);
      const reader = new RecordReader();
      const origin = await originOf(client, keys);
      const positions = positionsOf(after, shards, origin);
      const logs = all.map(
        (shard) =>
          new EventLog(client, keys, shard, positions[shard] ?? 0, Math.min(PAGE, limit), taskId, reader),
      );
      await Promise.all(logs.map((log) => log.fill()));
      const cursor = () =>
        cursorOf(
          origin,
          logs.map((log) => log.position),
        );
      const events: EventPage["events"][number][] = [];
      while (events.length < limit) {
        let first: EventLog | null = null;
        for (const log of logs) {
          if (log.head && (first?.head == null || log.head.time < first.head.time)) first = log;
        }
        if (!first?.head) break;
        const { head } = first;
        await first.next();
        if (wanted === null || wanted.has(head.type)) events.push({ ...head, cursor: cursor() });
      }
      passedOver.set("events", reader.unreadable);
      return { events, cursor: cursor() };
    },

    async newestEvents(limit) {
      const origin = await originOf(client, keys);
      const reader = new RecordReader();
      const ends = await Promise.all(all.map((shard) => newestOf(client, keys, shard, limit, reader)));
      passedOver.set("newest events", reader.unreadable);
      const picked: (Numbered & { readonly shard: number })[] = [];
      const positions = ends.map(({ end }) => end);
      while (picked.length < limit) {
        let last: (typeof ends)[number] | null = null;
        for (const each of ends) {
          const time = each.newest.at(-1)?.event.time ?? Number.NEGATIVE_INFINITY;
          if (time > (last?.newest.at(-1)?.event.time ?? Number.NEGATIVE_INFINITY)) last = each;
        }
        const event = last?.newest.pop();
        if (!last || !event) break;
        picked.push({ shard: last.shard, ...event });
        positions[last.shard] = event.seq - 1;
      }
      const end = cursorOf(
        origin,
        ends.map((each) => each.end),
      );
      const events = picked.reverse().map(({ shard, seq, event }) => {
        positions[shard] = seq;
        return { ...event, cursor: cursorOf(origin, positions) };
      });
      return { events, cursor: end };
    },

    async names() {
      const reader = new RecordReader();
      const found: (NameKnowledge & { readonly shard: number })[] = [];
      for (const shard of all) {
        const names = await asStoreErrors("read", () => client.hgetall(keys.shard(shard).names));
        for (const entry of Object.entries(names)) {
          const name = reader.read(shard, "name", nameKeyOf(entry[0]), () => nameOf(entry));
          if (name !== undefined) found.push({ ...name, shard });
        }
      }
      passedOver.set("names", reader.unreadable);
      return found;
    },

    async unreadable() {
      return passedOver.with(await aside.list(all));
    },
  };
}

/** The task of a text, or nothing. */
function taskIn(reader: RecordReader, shard: number, key: string, id: string, text: string): Found[] {
  const task = reader.read(shard, "task", taskRecordKey(key, id), () => decodeTask(id, text));
  return task === undefined ? [] : [{ key, task }];
}
