import { setImmediate as nextTurn } from "node:timers/promises";
import type { DeadLetter, Delivery, Lease, Outbox, OutboxCount } from "../../ports/store.ts";
import { comparePlaces, type LetterPlace, letterCursor, letterPlace } from "../letter-place.ts";
import { MalformedText, parseList, RecordReader } from "../unreadable.ts";
import { type Client, countCuts } from "./connect.ts";
import { asStoreErrors } from "./errors.ts";
import { decodeEvent } from "./events.ts";
import type { Keys } from "./keys.ts";
import { replies } from "./replies.ts";
import type { Run } from "./scripts.ts";
import type { RedisSetAside } from "./set-aside.ts";

/** Dead letters that one script takes, and events that one pruning looks at. */
const BATCH = 500;

/** What this process knows that it holds of one webhook in one shard. */
interface Known {
  readonly fence: number;
  readonly lanes: Set<string>;
  /** A claim got no answer, or may have been made twice: it may hold more than is known. */
  unsure: boolean;
}

export function redisOutbox(
  client: Client,
  keys: Keys,
  run: Run,
  { shards, setAside }: { readonly shards: number; readonly setAside: RedisSetAside },
): Outbox {
  const holds = new Map<string, Known>();
  const pruned = new Map<number, number>();
  const cuts = countCuts(client);

  function known({ shard, fence }: Lease, webhook: string): Known {
    const place = `${shard} ${webhook}`;
    const held = holds.get(place);
    if (held?.fence === fence) return held;
    const fresh = { fence, lanes: new Set<string>(), unsure: false };
    holds.set(place, fresh);
    return fresh;
  }

  const hooks = (shard: number) => asStoreErrors("counts", () => client.smembers(keys.shard(shard).hooks));

  async function lettersOf(
    shard: number,
    webhook: string,
    reader = new RecordReader(),
  ): Promise<readonly Letter[]> {
    const texts = await asStoreErrors("dead_letters", () => client.hgetall(keys.shard(shard).dead(webhook)));
    return Object.entries(texts)
      .flatMap(([seq, text]) => {
        const read = () => letterOf(shard, webhook, Number(seq), text);
        return reader.read(shard, "dead_letter", seq, read) ?? [];
      })
      .sort((a, b) => a.seq - b.seq);
  }

  /** Those of one webhook that can be read; the others are set aside. */
  async function readableLetters(lease: Lease, webhook: string): Promise<readonly Letter[]> {
    const at = keys.shard(lease.shard);
    const reader = new RecordReader();
    const letters = await lettersOf(lease.shard, webhook, reader);
    if (reader.unreadable.length === 0) return letters;
    const pairs = reader.unreadable.flatMap(({ key, why }) => [key, why]);
    await run(
      "asideletter",
      [at.meta, at.dead(webhook), at.uses, at.aside],
      [lease.owner, lease.fence, webhook, ...pairs],
    );
    return letters;
  }

  async function allLetters(): Promise<readonly Letter[]> {
    const letters: Letter[] = [];
    for (let shard = 0; shard < shards; shard++) {
      for (const webhook of await hooks(shard)) letters.push(...(await lettersOf(shard, webhook)));
    }
    return letters;
  }

  async function takeHeads(
    lease: Lease,
    webhook: string,
    limit: number,
    {
      now,
      until,
    }: { readonly now: number; readonly until?: never } | { readonly now?: never; readonly until: number },
  ) {
    const at = keys.shard(lease.shard);
    const hold = known(lease, webhook);
    const { unsure } = hold;
    const before = cuts();
    // Until the answer is here, it is not known what this claim holds.
    hold.unsure = true;
    const answer = (await run(
      "claim",
      [
        ...[at.meta, at.events, at.lanes(webhook), at.due(webhook), at.held(webhook), at.ages(webhook)],
        at.aside,
      ],
      [
        ...[lease.owner, lease.fence, webhook, limit, now ?? "", until ?? ""],
        ...[unsure ? 1 : 0, ...(unsure ? hold.lanes : [])],
      ],
    )) as (string | number | null)[];
    hold.unsure = cuts() !== before;
    const [code, next = "", ...rows] = answer;
    if (code !== 0) return "fenced" as const;
    const deliveries: Delivery[] = [];
    const reader = new RecordReader();
    for (let place = 0; place < rows.length; place += 4) {
      const [lane = "", event = "", attempts = 0, since = 0] = rows.slice(place, place + 4);
      hold.lanes.add(String(lane));
      const read = reader.read(lease.shard, "event", String(lane), () =>
        decodeEvent(event === null ? null : String(event)),
      );
      if (read === undefined) continue;
      const { id: eventId, type, body } = read;
      const { shard } = lease;
      deliveries.push({
        shard,
        webhook,
        lane: String(lane),
        eventId,
        type,
        body,
        attempts: Number(attempts),
        since: Number(since),
      });
    }
    for (const { key, why } of reader.unreadable) await lose(lease, webhook, key, why);
    // What stood behind them is due now.
    const nextDueAt = next === "" || next === null ? null : Number(next);
    return { deliveries, nextDueAt: reader.unreadable.length > 0 ? 0 : nextDueAt };
  }

  /** The head of a lane, which this lease holds, cannot be sent: the others of its lane go on. */
  async function lose(lease: Lease, webhook: string, lane: string, why: string): Promise<void> {
    const at = keys.shard(lease.shard);
    await run(
      "lose",
      [
        ...[at.meta, at.lanes(webhook), at.due(webhook), at.held(webhook), at.ages(webhook)],
        ...[at.uses, at.events, at.aside],
      ],
      [lease.owner, lease.fence, webhook, lane, why],
    );
    known(lease, webhook).lanes.delete(lane);
  }

  /** Gives the wanted letters to a script, some at a time; the ids of those that were there. */
  async function take(
    ids: readonly string[] | null,
    from: string | undefined,
    script: (shard: number, webhook: string, seqs: readonly number[]) => Promise<readonly string[]>,
  ): Promise<readonly string[]> {
    const wanted = ids === null ? null : new Set(ids);
    const letters = (await allLetters())
      .filter(({ webhook }) => from === undefined || webhook === from)
      .filter(({ eventId }) => wanted?.has(eventId) ?? true);
    const found = new Set<string>();
    for (const group of Map.groupBy(letters, ({ shard, webhook }) => `${shard} ${webhook}`).values()) {
      for (let start = 0; start < group.length; start += BATCH) {
        const part = group.slice(start, start + BATCH);
        const [{ shard, webhook } = { shard: 0, webhook: "" }] = part;
        const taken = new Set(
          (
            await script(
              shard,
              webhook,
              part.map(({ seq }) => seq),
            )
          ).map(Number),
        );
        for (const { seq, eventId } of part) if (taken.has(seq)) found.add(eventId);
        await nextTurn();
      }
    }
    return [...found];
  }

  async function dropSeqs(lease: Lease | null, shard: number, webhook: string, seqs: readonly number[]) {
    const at = keys.shard(shard);
    const args = [lease?.owner ?? "", lease?.fence ?? 0, ...seqs];
    return (await run("drop", [at.meta, at.dead(webhook), at.uses], args)) as readonly string[] | -1;
  }

  return {
    async claim(lease, webhook, limit, now) {
      return takeHeads(lease, webhook, limit, { now });
    },

    async claimOld(lease, webhook, limit, until) {
      const taken = await takeHeads(lease, webhook, limit, { until });
      return taken === "fenced" ? taken : taken.deliveries;
    },

    async settle(lease, webhook, deliveries, settlement, now) {
      const at = keys.shard(lease.shard);
      const { kind } = settlement;
      const due = kind === "retry" ? Math.ceil(settlement.at) : 0;
      const reason = kind === "delivered" ? "" : settlement.reason;
      const pairs = deliveries.flatMap(({ lane, eventId }) => [lane, eventId]);
      const code = await run(
        "settle",
        [
          at.meta,
          at.lanes(webhook),
          at.due(webhook),
          at.held(webhook),
          at.dead(webhook),
          at.ages(webhook),
          at.uses,
          at.events,
          at.aside,
        ],
        [lease.owner, lease.fence, webhook, kind, due, reason, Math.floor(now), ...pairs],
      );
      if (code !== 0) return "fenced";
      const hold = known(lease, webhook);
      for (const { lane } of deliveries) hold.lanes.delete(lane);
      return "ok";
    },

    async counts(shard) {
      const at = keys.shard(shard);
      const counts: OutboxCount[] = [];
      for (const webhook of (await hooks(shard)).sort()) {
        const [pending, oldest, dead] = await replies(
          client
            .pipeline()
            .zcard(at.ages(webhook))
            .zrangebyscore(at.ages(webhook), "-inf", "+inf", "WITHSCORES", "LIMIT", 0, 1)
            .hlen(at.dead(webhook)),
        );
        if (Number(pending) + Number(dead) === 0) continue;
        const oldestAt = (oldest as unknown[]).flat()[1];
        counts.push({
          webhook,
          pending: Number(pending),
          oldestAt: oldestAt === undefined ? null : Number(oldestAt),
          dead: Number(dead),
        });
      }
      return counts;
    },

    async deadLetters({ after, limit }) {
      const from = letterPlace(after);
      const rest = (await allLetters())
        .filter((letter) => comparePlaces(placeOf(letter), from) > 0)
        .sort((a, b) => comparePlaces(placeOf(a), placeOf(b)));
      const page = rest.slice(0, limit);
      const found: DeadLetter[] = [];
      const reader = new RecordReader();
      for (const { shard, seq, lane: _lane, ...letter } of page) {
        const text = await asStoreErrors("dead_letters", () =>
          client.hget(keys.shard(shard).events, String(seq)),
        );
        const event = reader.read(shard, "event", String(seq), () => decodeEvent(text));
        if (event !== undefined) found.push({ ...letter, type: event.type, body: event.body });
      }
      const last = rest.length > limit ? page.at(-1) : undefined;
      return { letters: found, next: last === undefined ? null : letterCursor(placeOf(last)) };
    },

    replay: (ids, now, { from, to: other } = {}) =>
      take(ids, from, async (shard, webhook, seqs) => {
        const at = keys.shard(shard);
        const to = other ?? webhook;
        return (await run(
          "replay",
          [
            ...[at.meta, at.dead(webhook), at.uses, at.hooks],
            ...[at.lanes(to), at.due(to), at.dead(to), at.ages(to), at.events, at.aside],
          ],
          [Math.floor(now), to, ...seqs],
        )) as string[];
      }),

    drop: (ids) =>
      take(ids, undefined, async (shard, webhook, seqs) => {
        const taken = await dropSeqs(null, shard, webhook, seqs);
        return taken === -1 ? [] : taken;
      }),

    async prune(lease, eventsBefore, deadBefore, removedBefore) {
      const { shard, owner, fence } = lease;
      const at = keys.shard(shard);
      for (const webhook of await hooks(shard)) {
        const before = deadBefore.get(webhook) ?? Number.NEGATIVE_INFINITY;
        const old = (await readableLetters(lease, webhook))
          .filter((letter) => letter.at < before)
          .slice(0, BATCH * 4);
        if (old.length === 0) continue;
        const taken = await dropSeqs(
          lease,
          shard,
          webhook,
          old.map(({ seq }) => seq),
        );
        if (taken === -1) return "fenced";
      }
      const answer = await run(
        "prune",
        [
          at.meta,
          at.events,
          at.eventFacts,
          at.eventIds,
          at.uses,
          at.eventLog,
          at.live,
          at.removals,
          at.aside,
        ],
        [owner, fence, eventsBefore, pruned.get(shard) ?? 0, BATCH * 4, removedBefore],
      );
      const [code, last = 0, old = 0] = answer as number[];
      if (code !== 0) return "fenced";
      pruned.set(shard, last === 0 || old === 0 ? 0 : last);
      await setAside.prune(shard);
      return "ok";
    },
  };
}

interface Letter extends Omit<DeadLetter, "type" | "body"> {
  readonly shard: number;
  readonly seq: number;
  readonly lane: string;
}

const placeOf = ({ at, shard, seq, webhook }: Letter): LetterPlace => [at, shard, seq, webhook];

function letterOf(shard: number, webhook: string, seq: number, text: string): Letter {
  const [lane, at, since, attempts, reason, eventId] = parseList(text);
  if (typeof lane !== "string" || typeof reason !== "string" || typeof eventId !== "string")
    throw new MalformedText("lane, reason or event id is not a text");
  if (typeof at !== "number" || typeof since !== "number" || typeof attempts !== "number")
    throw new MalformedText("a time or the attempts are not a number");
  return { shard, webhook, seq, lane, at, since, attempts, reason, eventId };
}
