import type { InstanceRecord, NameKnowledge, TaskState } from "../../core/state.ts";
import type { EventQuery, Reader, StoredEvent, TaskFilter } from "../../ports/store.ts";
import { decodeRecord, decodeTask, FAILED, OPEN, STUCK, taskFlags } from "../codec.ts";
import type { Client } from "./connect.ts";
import { asStoreErrors } from "./errors.ts";
import { decodeEvent, eventFieldsOf } from "./events.ts";
import { type Keys, splitLiveField } from "./keys.ts";
import { nameOf, replies, timesOf } from "./state.ts";

/** Instances whose tasks are read by one round trip. */
const SLICE = 200;
const PAGE = 256;

const FLAGS: Readonly<Record<TaskFilter["state"], number>> = {
  open: OPEN,
  stuck: STUCK,
  failed: FAILED,
  all: 0,
};

type Found = { readonly key: string; readonly task: TaskState };

export function redisReader(client: Client, keys: Keys, shards: number): Reader {
  const all = Array.from({ length: shards }, (_, shard) => shard);

  async function tasksOf(shard: number, instances: readonly string[]): Promise<Found[]> {
    const found: Found[] = [];
    for (let start = 0; start < instances.length; start += SLICE) {
      const slice = instances.slice(start, start + SLICE);
      const pipeline = client.pipeline();
      for (const key of slice) pipeline.hgetall(keys.shard(shard).tasks(key));
      for (const [index, tasks] of (await replies(pipeline)).entries()) {
        const key = slice[index] ?? "";
        for (const [id, text] of Object.entries(tasks as Record<string, string>)) {
          found.push({ key, task: decodeTask(id, text) });
        }
      }
    }
    return found;
  }

  const instanceKeys = (shard: number) =>
    asStoreErrors("read", () => client.hkeys(keys.shard(shard).revisions));

  return {
    async instances() {
      const found: { key: string; shard: number; record: InstanceRecord; revision: number }[] = [];
      for (const shard of all) {
        const at = keys.shard(shard);
        const [revisions, records, times] = (await replies(
          client.pipeline().hgetall(at.revisions).hgetall(at.records).hgetall(at.times),
        )) as Record<string, string>[];
        for (const [key, revision] of Object.entries(revisions ?? {})) {
          const record = decodeRecord(key, records?.[key] ?? "", timesOf(times?.[key] ?? ""));
          found.push({ key, shard, revision: Number(revision), record });
        }
      }
      return found;
    },

    async tasks({ state, key }) {
      const flag = FLAGS[state];
      const found: Found[] = [];
      for (const shard of all) {
        if (key !== undefined) found.push(...(await tasksOf(shard, [key])));
        else if (flag === 0) found.push(...(await tasksOf(shard, await instanceKeys(shard))));
        else {
          const live = await asStoreErrors("read", () => client.hgetall(keys.shard(shard).live));
          for (const [field, value] of Object.entries(live)) {
            const { instance, taskId } = splitLiveField(field);
            if ((Number(value[0]) & flag) !== 0)
              found.push({ key: instance, task: decodeTask(taskId, value.slice(1)) });
          }
        }
      }
      return key === undefined ? found : found.filter(({ task }) => (taskFlags(task) & flag) === flag);
    },

    async task(taskId) {
      const found: Found[] = [];
      for (const shard of all) {
        const instances = await instanceKeys(shard);
        for (let start = 0; start < instances.length; start += SLICE) {
          const slice = instances.slice(start, start + SLICE);
          const pipeline = client.pipeline();
          for (const key of slice) pipeline.hget(keys.shard(shard).tasks(key), taskId);
          for (const [index, text] of (await replies(pipeline)).entries()) {
            if (text !== null)
              found.push({ key: slice[index] ?? "", task: decodeTask(taskId, String(text)) });
          }
        }
      }
      return found;
    },

    async events({ after, limit, types, taskId }: EventQuery) {
      const wanted = types === undefined ? null : new Set<string>(types);
      const positions = positionsOf(after, shards);
      const logs = all.map(
        (shard) => new Log(client, keys, shard, positions[shard] ?? 0, Math.min(PAGE, limit), taskId),
      );
      for (const log of logs) await log.fill();
      const events: StoredEvent[] = [];
      while (events.length < limit) {
        let first: Log | null = null;
        for (const log of logs) {
          if (log.head && (first?.head == null || log.head.time < first.head.time)) first = log;
        }
        if (!first?.head) break;
        if (wanted === null || wanted.has(first.head.type)) events.push(first.head);
        await first.next();
      }
      return {
        events,
        cursor: Buffer.from(JSON.stringify(logs.map((log) => log.position))).toString("base64url"),
      };
    },

    async names() {
      const found: (NameKnowledge & { readonly shard: number })[] = [];
      for (const shard of all) {
        const names = await asStoreErrors("read", () => client.hgetall(keys.shard(shard).names));
        for (const entry of Object.entries(names)) found.push({ ...nameOf(entry), shard });
      }
      return found;
    },
  };
}

/** The events of one shard in the order of their commits, read page by page. */
class Log {
  /** The sequence number after which to go on. */
  position: number;
  readonly #client: Client;
  readonly #keys: Keys;
  readonly #shard: number;
  readonly #page: number;
  readonly #taskId: string | undefined;
  #ahead: { readonly seq: number; readonly event: StoredEvent }[] = [];
  #ended = false;

  constructor(
    client: Client,
    keys: Keys,
    shard: number,
    position: number,
    page: number,
    taskId: string | undefined,
  ) {
    this.#client = client;
    this.#keys = keys;
    this.#shard = shard;
    this.position = position;
    this.#page = Math.max(1, page);
    this.#taskId = taskId;
  }

  get head(): StoredEvent | undefined {
    return this.#ahead[0]?.event;
  }

  async next(): Promise<void> {
    const taken = this.#ahead.shift();
    if (taken) this.position = taken.seq;
    if (this.#ahead.length === 0) await this.fill();
  }

  async fill(): Promise<void> {
    if (this.#ended) return;
    const at = this.#keys.shard(this.#shard);
    const seqs = this.#taskId === undefined ? await this.#nextSeqs() : await this.#ofTask(this.#taskId);
    this.#ended = seqs.length < this.#page || this.#taskId !== undefined;
    if (seqs.length === 0) return;
    const texts = await asStoreErrors("read", () => this.#client.hmget(at.events, ...seqs));
    this.#ahead = seqs.flatMap((seq, index) => {
      const text = texts[index];
      return text == null ? [] : [{ seq: Number(seq), event: decodeEvent(text) }];
    });
    if (this.#ahead.length === 0) {
      this.position = Number(seqs.at(-1));
      await this.fill();
    }
  }

  #nextSeqs(): Promise<string[]> {
    const at = this.#keys.shard(this.#shard);
    return asStoreErrors("read", () =>
      this.#client.zrangebyscore(at.eventLog, `(${this.position}`, "+inf", "LIMIT", 0, this.#page),
    );
  }

  /** Rare, for one task's history: a walk over the index of the shard. */
  async #ofTask(taskId: string): Promise<string[]> {
    const at = this.#keys.shard(this.#shard);
    const match = `${eventFieldsOf(taskId).replace(/[\\*?[\]]/g, "\\$&")}*`;
    const seqs: number[] = [];
    let cursor = "0";
    do {
      const [next, fields] = await asStoreErrors("read", () =>
        this.#client.hscan(at.eventIds, cursor, "MATCH", match, "COUNT", 1_000),
      );
      for (let place = 1; place < fields.length; place += 2) seqs.push(Number(fields[place]));
      cursor = next;
    } while (cursor !== "0");
    return [...new Set(seqs)]
      .filter((seq) => seq > this.position)
      .sort((a, b) => a - b)
      .map(String);
  }
}

/** A cursor that nobody handed out begins at the oldest: the caller gets too much, never too little. */
function positionsOf(cursor: string | undefined, shards: number): readonly number[] {
  try {
    const positions: unknown = JSON.parse(Buffer.from(cursor ?? "", "base64url").toString());
    if (Array.isArray(positions) && positions.length === shards && positions.every(Number.isSafeInteger))
      return positions;
  } catch {
    // Falls through.
  }
  return [];
}
