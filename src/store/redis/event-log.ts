import type { StoredEvent } from "../../ports/store.ts";
import type { RecordReader } from "../unreadable.ts";
import type { Client } from "./connect.ts";
import { asStoreErrors } from "./errors.ts";
import { decodeEvent, eventFieldsOf } from "./events.ts";
import type { Keys } from "./keys.ts";
import { replies } from "./replies.ts";

/** The events of one shard in the order of their commits, read page by page. */
export class EventLog {
  /** The sequence number after which to go on. */
  position: number;
  readonly #client: Client;
  readonly #keys: Keys;
  readonly #shard: number;
  readonly #page: number;
  readonly #taskId: string | undefined;
  readonly #reader: RecordReader;
  #ahead: Numbered[] = [];
  #ended = false;

  constructor(
    client: Client,
    keys: Keys,
    shard: number,
    position: number,
    page: number,
    taskId: string | undefined,
    reader: RecordReader,
  ) {
    this.#client = client;
    this.#reader = reader;
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
    this.#ahead = numbered(this.#reader, this.#shard, seqs, texts);
    if (this.#ahead.length === 0) {
      this.position = Number(seqs.at(-1));
      await this.fill();
    }
  }

  async #nextSeqs(): Promise<string[]> {
    const at = this.#keys.shard(this.#shard);
    const [end, seqs] = (await replies(
      this.#client
        .pipeline()
        .hget(at.meta, "seq")
        .zrangebyscore(at.eventLog, `(${this.position}`, "+inf", "LIMIT", 0, this.#page),
    )) as [string | null, string[]];
    if (this.position <= Number(end ?? 0)) return seqs;
    // A place past the end is one in what the server has lost: all that there is now comes after it.
    if (this.position > 0) this.position = 0;
    return end === null ? [] : await this.#nextSeqs();
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

export interface Numbered {
  readonly seq: number;
  readonly event: StoredEvent;
}

/** The last events of one shard, in their order, and where its log ends. */
export async function newestOf(
  client: Client,
  keys: Keys,
  shard: number,
  limit: number,
  reader: RecordReader,
): Promise<{ readonly shard: number; readonly end: number; readonly newest: Numbered[] }> {
  const at = keys.shard(shard);
  // From the end: -3 to -1 are the last three, and 1 to 0 none.
  const from = limit === 0 ? 1 : -limit;
  const to = limit === 0 ? "0" : "-1";
  // In this order: what is committed in between is then past the end, or among the newest.
  const [end, seqs] = (await replies(
    client.pipeline().hget(at.meta, "seq").zrange(at.eventLog, from, to),
  )) as [string | null, string[]];
  const texts = seqs.length === 0 ? [] : await asStoreErrors("read", () => client.hmget(at.events, ...seqs));
  const newest = numbered(reader, shard, seqs, texts);
  return { shard, end: Math.max(Number(end ?? 0), Number(seqs.at(-1) ?? 0)), newest };
}

/** Those that are there and can be read. */
function numbered(
  reader: RecordReader,
  shard: number,
  seqs: readonly string[],
  texts: readonly (string | null)[],
): Numbered[] {
  return seqs.flatMap((seq, index) => {
    const text = texts[index];
    if (text == null) return [];
    const event = reader.read(shard, "event", seq, () => decodeEvent(text));
    return event === undefined ? [] : [{ seq: Number(seq), event }];
  });
}

/**
 * Tells what is stored from anything that was stored under these keys before, or is stored elsewhere. It is read anew
 * each time, for a server that lost all is given another one.
 */
export async function originOf(client: Client, keys: Keys): Promise<string> {
  const layout = await asStoreErrors("read", () => client.get(keys.layout));
  return layout?.split(" ")[2] ?? "";
}

export const cursorOf = (origin: string, positions: readonly number[]): string =>
  Buffer.from(JSON.stringify([origin, ...positions])).toString("base64url");

/** A cursor that nobody handed out here begins at the oldest: the caller gets too much, never too little. */
export function positionsOf(cursor: string | undefined, shards: number, origin: string): readonly number[] {
  try {
    const [of, ...positions] = JSON.parse(Buffer.from(cursor ?? "", "base64url").toString()) as unknown[];
    if (of === origin && positions.length === shards && positions.every(isPosition)) return positions;
  } catch {
    // Falls through.
  }
  return [];
}

const isPosition = (position: unknown): position is number => Number.isSafeInteger(position);
