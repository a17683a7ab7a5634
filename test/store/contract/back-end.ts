import { NOTHING } from "../../../src/core/data.ts";
import { add, EMPTY, serialize } from "../../../src/core/sketch.ts";
import type { InstanceRecord, TaskState, Verdict } from "../../../src/core/state.ts";
import { NO_FIELDS, shownTaskFields } from "../../../src/core/task-fields.ts";
import type {
  Batch,
  DeadLetter,
  EventWrite,
  Lease,
  Leases,
  Outbox,
  Settlement,
  StateStore,
  Store,
  WriteResult,
} from "../../../src/ports/store.ts";

/** A store of four shards that nobody else uses, empty at first. */
export interface OpenedStore {
  readonly store: Store;
  /** Leaves the handle in use as a crash would, and opens the same store anew: what a restarted daemon sees. */
  reopen(): Promise<Store>;
  /** One more handle on the same store, as a command beside the daemon has it. It is closed by `dispose`. */
  second(): Promise<Store>;
  /** Writes a text in the place of a record, behind the back of every handle. */
  damage(place: RecordPlace, text: string): Promise<void>;
  /** Rows or fields of the notes, also of those that were removed. */
  notesKept(): Promise<number>;
  /** The copy that was kept of a record. */
  aside(kind: string, key: string): Promise<string | undefined>;
  /** Closes every handle and removes what was stored. */
  dispose(): Promise<void>;
}

/** `key`: of the instance, or the project of a name. `id`: the task, or the name itself. */
export interface RecordPlace {
  readonly shard: number;
  readonly kind: "instance" | "task" | "name";
  readonly key: string;
  readonly id?: string;
}

/** What takes events in and gives their deliveries out. */
export interface Claims {
  readonly outbox: Outbox;
  readonly leases: Pick<Leases, "acquire">;
  readonly state: Pick<StateStore, "commit">;
}

export type OpenStore = () => Promise<OpenedStore>;

/** How many shards the store under test has. */
export const SHARDS = 4;
/** Long enough that no lease ends while a test runs. */
export const TTL = 600_000;
export const T0 = Date.parse("2026-11-24T10:00:00.000Z");

export const HOSTILE_TEXTS = [
  "__proto__",
  "constructor",
  "{shard}:1",
  "a\0b",
  "a/b c\nd\re\tf",
  "'; DROP TABLE task; --",
  "% _ * ? [a-z]",
  "ключ 鍵 🔑",
  "\u2028\u2029\ufeff",
  "1",
  "01",
  "1e3",
  "n".repeat(10_000),
] as const;

export async function leaseOf(
  store: Pick<Claims, "leases">,
  shard = 1,
  member = "replica-a",
): Promise<Lease> {
  const lease = await store.leases.acquire(shard, member, TTL);
  if (lease === null) throw new Error(`no lease on shard ${shard}`);
  return lease;
}

export const record = (part: Partial<InstanceRecord> = {}): InstanceRecord => ({
  projectId: "p1",
  instanceId: "i1",
  name: "orders",
  engine: "kafka",
  discovered: false,
  baselineAt: null,
  lastCompleteAt: null,
  lastSweepAt: null,
  prunedBefore: null,
  removals: 0,
  unreachable: null,
  counts: {},
  ended: [],
  scheduled: [],
  leftOutSince: null,
  ...part,
});

export const fullRecord = (): InstanceRecord =>
  record({
    discovered: true,
    baselineAt: T0,
    lastCompleteAt: T0 + 1,
    lastSweepAt: T0 + 2,
    prunedBefore: T0 - 0.5,
    unreachable: {
      since: T0,
      at: T0 + 2,
      cause: "timeout",
      answer: { errorCode: "DMS.00500000", requestId: "5df1" },
      informed: ["ops", "__proto__"],
      muted: { eventId: "evt_m", sequence: 0, until: T0 + 9, announced: null },
    },
    counts: counts([
      ["instance:unreachable", 2],
      ["__proto__", 3],
      ["constructor", 1],
    ]),
    removals: 2,
    ended: [
      { name: "restart", successAt: T0, failureAt: null },
      { name: "", successAt: null, failureAt: null },
    ],
  });

export const task = (id: string, part: Partial<TaskState> = {}): TaskState => ({
  id,
  name: "restartInstance",
  status: "SUCCESS",
  ...NO_FIELDS,
  seenAt: T0,
  sequence: 1,
  counts: {},
  verdict: null,
  failedAt: null,
  acknowledged: null,
  informed: [],
  executed: false,
  unlisted: false,
  scheduleAt: null,
  progress: null,
  muted: null,
  ...part,
});

export const verdict: Verdict = {
  kind: "running_too_long",
  since: T0,
  threshold: { seconds: 1200, source: "learned", samples: 41 },
  announcedAt: T0 + 5,
};

export const fullTask = (id: string): TaskState =>
  task(id, {
    name: "ключ\0 🔑",
    status: "SOMETHING NEW",
    userName: "",
    userId: "3df5acbc24a54fadb62a043c9000a307",
    params: '{"__proto__":{"a":1}}',
    createdAt: T0 - 1000,
    updatedAt: T0 - 1.5,
    sequence: 7,
    counts: counts([
      ["failed:FAILED", 1],
      ["__proto__", 2],
      ["toString", 4],
    ]),
    verdict,
    failedAt: T0,
    acknowledged: { by: "ann", at: T0, reason: null },
    informed: ["ops", "constructor"],
    executed: true,
    unlisted: true,
    progress: { ratio: 0, since: T0 },
    muted: { eventId: "evt_x", sequence: 3, until: T0 + 1, announced: "stuck" },
  });

/** Durations of so many runs, as they are stored. */
export const sketch = (runs: number): string =>
  serialize(
    add(
      EMPTY,
      Array.from({ length: runs }, () => ({ seconds: 60, at: T0 })),
    ),
  );

/** An object with own properties of these names, whatever they are. */
export const counts = (entries: readonly [string, number][]): Record<string, number> =>
  Object.fromEntries(entries);

export interface EventPart {
  readonly webhooks?: readonly string[];
  readonly lane?: string;
  readonly body?: string;
  readonly time?: number;
  readonly type?: EventWrite["event"]["type"];
  /** The task that it is about; null for none. */
  readonly taskId?: string | null;
}

export function event(id: string, part: EventPart = {}): EventWrite {
  const taskId = part.taskId === undefined ? "t1" : part.taskId;
  return {
    event: {
      id,
      type: part.type ?? "task.failed",
      time: part.time ?? T0,
      webhooks: part.webhooks ?? ["ops"],
      data: {
        reason: "status EXECUTING -> FAILED",
        project: { name: "prod", id: "p1", region: "eu-west-101" },
        instance: { id: "i1", name: "orders", engine: "kafka", status: null },
        task:
          taskId === null
            ? null
            : {
                id: taskId,
                name: "restartInstance",
                status: "FAILED",
                ...shownTaskFields(() => null),
              },
        ...NOTHING,
        previous_status: "EXECUTING",
        sequence: 1,
      },
    },
    body: part.body ?? JSON.stringify({ id }),
    lane: part.lane ?? "lane-1",
  };
}

export const batch = (part: Partial<Batch> = {}): Batch => ({
  shard: 1,
  key: "p1/i1",
  expectRevision: 0,
  record: record(),
  upserts: [],
  removals: [],
  events: [],
  names: [],
  ...part,
});

/** Commits events alone, of no instance. */
export async function put(
  store: Pick<Claims, "state">,
  lease: Lease | null,
  ...events: EventWrite[]
): Promise<WriteResult> {
  const shard = lease?.shard ?? 1;
  return store.state.commit(lease, batch({ shard, key: "p1/none", record: null, events }));
}

/** Ids that a claim takes, `fenced` where it was refused. */
export async function claimIds(
  store: Pick<Claims, "outbox">,
  lease: Lease,
  now = T0,
  { webhook = "ops", limit = 100 } = {},
): Promise<readonly string[] | "fenced"> {
  const claim = await store.outbox.claim(lease, webhook, limit, now);
  return claim === "fenced" ? claim : claim.deliveries.map(({ eventId }) => eventId);
}

export async function eventIds(store: Store): Promise<readonly string[]> {
  const { events } = await store.reader.events({ limit: 10_000 });
  return events.map(({ id }) => id);
}

export const delivered: Settlement = { kind: "delivered" };
export const dead: Settlement = { kind: "dead", reason: "refused: 400" };
export const retryAt = (at: number): Settlement => ({ kind: "retry", at, reason: "server_error" });

/** Settles what is held under the lane `lane-1` unless told otherwise. */
export const settle = (
  store: Pick<Claims, "outbox">,
  lease: Lease,
  eventId: string,
  settlement: Settlement,
  { now = T0, webhook = "ops", lane = "lane-1" } = {},
) => store.outbox.settle(lease, webhook, [{ eventId, lane }], settlement, now);

/** All of them, in pages that are shorter than anybody would ask for. */
export async function deadLetters(store: Pick<Claims, "outbox">): Promise<readonly DeadLetter[]> {
  const letters: DeadLetter[] = [];
  for (let after: string | null | undefined; after !== null; ) {
    const page = await store.outbox.deadLetters({ limit: 2, ...(after === undefined ? {} : { after }) });
    letters.push(...page.letters);
    after = page.next;
  }
  return letters;
}
