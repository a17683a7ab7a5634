import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { apply } from "../../src/core/apply.ts";
import { decide } from "../../src/core/decide.ts";
import { expireFailuresByTime, OPEN_FAILURES_CAP } from "../../src/core/failures.ts";
import { SETTLED_CAP } from "../../src/core/prune.ts";
import type { Rules } from "../../src/core/rules.ts";
import type { InstanceState, ScheduledTask } from "../../src/core/state.ts";
import { isOpen, type Lookup, type ObservedTask } from "../../src/core/task.ts";
import { NO_FIELDS } from "../../src/core/task-fields.ts";
import {
  ALL_EXECUTE,
  DAY,
  fresh,
  HOUR,
  inputOf,
  KNOWS_NOTHING,
  MINUTE,
  type PollChanges,
  rulesOf,
  T0,
  webhook,
} from "./support.ts";

const IDS = ["a", "b", "c", "d", "e", "__proto__", "constructor", "x".repeat(10_240), "\u{1f525}\ud800"];
const STATUSES = [
  "CREATED",
  "WAITING",
  "EXECUTING",
  "SUCCESS",
  "FAILED",
  "CANCELLED",
  "DELETED",
  "ODD",
  "__proto__",
];

/** Dates in a range where they collide and overtake each other, and some that are none. */
const date = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: -300, max: 30 }).map((minutes) => T0 + minutes * MINUTE) },
  { weight: 1, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.constantFrom(-1, 0, T0 - 40 * DAY, T0 + 9000 * DAY, 9e15) },
);
const row: fc.Arbitrary<ObservedTask> = fc.record({
  id: fc.constantFrom(...IDS),
  name: fc.constantFrom("restart", "modify", "constructor", ""),
  status: fc.constantFrom(...STATUSES),
  userName: fc.constantFrom(null, "paas"),
  userId: fc.constantFrom(null, "3df5"),
  params: fc.constantFrom(null, '{"password":"p"}', "text"),
  createdAt: date,
  updatedAt: date,
});
const rows = fc.uniqueArray(row, { selector: ({ id }) => id, maxLength: IDS.length });
const lookup: fc.Arbitrary<Lookup> = fc.oneof(
  fc.constant<Lookup>({ kind: "gone" }),
  fc.constant<Lookup>({ kind: "unclear", problem: "HTTP 500" }),
  row.map((task): Lookup => ({ kind: "found", task })),
);

const planned: fc.Arbitrary<ScheduledTask> = fc.record({
  id: fc.constantFrom(...IDS),
  name: fc.constantFrom("restart", "modify", "constructor", ""),
  status: fc.constantFrom(...STATUSES),
  scheduleAt: date,
  createdAt: date,
});
const plans = fc.option(fc.uniqueArray(planned, { selector: ({ id }) => id, maxLength: 4 }));

interface Poll {
  readonly rows: readonly ObservedTask[];
  readonly step: number;
  readonly complete: boolean;
  readonly deep: boolean;
  readonly lookups: readonly (readonly [string, Lookup])[];
  readonly progress: readonly (readonly [string, number])[];
  readonly malformed: readonly string[];
  readonly scheduled: readonly ScheduledTask[] | null;
}
const aPoll: fc.Arbitrary<Poll> = fc.record({
  rows,
  step: fc.constantFrom(MINUTE, HOUR, 20 * DAY, -HOUR),
  complete: fc.boolean(),
  deep: fc.boolean(),
  lookups: fc.array(fc.tuple(fc.constantFrom(...IDS), lookup), { maxLength: 4 }),
  progress: fc.array(fc.tuple(fc.constantFrom(...IDS), fc.double({ min: 0, max: 1, noNaN: true })), {
    maxLength: 3,
  }),
  malformed: fc.array(fc.constantFrom(...IDS), { maxLength: 2 }),
  scheduled: plans,
});

const ruleSet: fc.Arbitrary<Rules> = fc
  .record({
    muted: fc.boolean(),
    repeat: fc.constantFrom(null, 30 * MINUTE),
    noProgressAfter: fc.constantFrom(null, 10 * MINUTE),
    firstPoll: fc.constantFrom("baseline" as const, "emit" as const),
    keepOpen: fc.constantFrom(null, 7 * DAY),
    taskParams: fc.boolean(),
    scheduledTasks: fc.boolean(),
  })
  .map(({ scheduledTasks, muted, repeat, noProgressAfter, firstPoll, keepOpen, taskParams }) =>
    rulesOf({
      scheduledTasks,
      stuck: { repeat, noProgressAfter },
      window: { firstPoll },
      keepOpen,
      privacy: { taskParams },
      webhooks: [webhook("some", ["task.failed", "task.stuck"]), webhook("ends", ["task.recovered"])],
      // Every other two hours of the clock are maintenance.
      mutedUntil: (now) => {
        const slot = Math.floor(now / (2 * HOUR));
        return muted && slot % 2 === 0 ? (slot + 1) * 2 * HOUR : null;
      },
    }),
  );

const changesOf = (state: InstanceState, given: Poll, rules: Rules, now: number): PollChanges => ({
  now,
  rules,
  complete: given.complete,
  deep: given.deep,
  // Only tasks that are known are asked for, and the answer is about the task that was asked for.
  lookups: Object.fromEntries(
    given.lookups
      .filter(([id]) => id !== "__proto__" && state.tasks.has(id))
      .map(([id, answer]) => [
        id,
        answer.kind === "found" ? { kind: "found", task: { ...answer.task, id } } : answer,
      ]),
  ),
  progress: Object.fromEntries(given.progress.filter(([id]) => id !== "__proto__")),
  scheduled: given.scheduled,
  malformed: given.malformed.map((id) => ({ id, problem: "not readable" })),
});

/** Runs the polls one after the other, and hands each to `check`. */
function walk(
  polls: readonly Poll[],
  rules: Rules,
  check: (step: {
    readonly before: InstanceState;
    readonly after: InstanceState;
    readonly input: ReturnType<typeof inputOf>;
    readonly decision: ReturnType<typeof decide>;
    readonly poll: Poll;
  }) => void,
): void {
  let state = fresh();
  let now = T0;
  for (const given of polls) {
    now += given.step;
    const input = inputOf(state, given.rows, changesOf(state, given, rules, now));
    const decision = decide(input);
    const after = apply(state, decision);
    check({ before: state, after, input, decision, poll: given });
    state = after;
  }
}

const polls = fc.array(aPoll, { minLength: 1, maxLength: 8 });

describe("whatever a cloud shows, poll after poll", () => {
  const holds = (check: Parameters<typeof walk>[2], runs = 300) =>
    fc.assert(
      fc.property(polls, ruleSet, (list, rules) => walk(list, rules, check)),
      { numRuns: Number(process.env.PROPERTY_RUNS ?? runs) },
    );

  it("the state after the writes is what was seen, but for old copies and what was pruned", () => {
    holds(({ after, input, decision }) => {
      const stale = new Set(
        decision.facts.flatMap((fact) => (fact.kind === "stale_sighting" ? [fact.taskId] : [])),
      );
      const asked = input.observation.lookups;
      for (const seen of input.observation.listing.tasks) {
        const task = after.tasks.get(seen.id);
        if (task === undefined || stale.has(seen.id) || asked.get(seen.id)?.kind === "found") continue;
        expect([task.status, task.name]).toEqual([seen.status, seen.name]);
      }
    });
  });

  it("the same poll again brings no event and no write", () => {
    holds(({ before, after, input, decision }) => {
      // A task without dates that was forgotten cannot prove any more that a scheduled one began.
      if (decision.removals.some((id) => before.tasks.get(id)?.createdAt === null)) return;
      const again = decide({ ...input, state: after });
      expect(again.events).toEqual([]);
      expect(again.upserts).toEqual([]);
      expect(again.learned).toEqual([]);
    });
  });

  it("the order of the list does not matter", () => {
    holds(({ input, decision }) => {
      const { listing } = input.observation;
      const turned = { ...listing, tasks: [...listing.tasks].reverse() };
      const other = decide({ ...input, observation: { ...input.observation, listing: turned } });
      expect(other.events).toEqual(decision.events);
      expect(other.record).toEqual(decision.record);
      expect(new Map(other.upserts.map((task) => [task.id, task]))).toEqual(
        new Map(decision.upserts.map((task) => [task.id, task])),
      );
      expect([...other.removals].sort()).toEqual([...decision.removals].sort());
    });
  });

  it("an incomplete listing never yields vanished, and never sets the baseline", () => {
    holds(({ before, after, decision, poll }) => {
      if (poll.complete) return;
      expect(decision.events.some(({ type }) => type === "task.vanished")).toBe(false);
      expect(after.record.baselineAt).toBe(before.record.baselineAt);
      expect(after.record.lastCompleteAt).toBe(before.record.lastCompleteAt);
    });
  });

  it("a list of scheduled tasks that is not read changes nothing but by the task list", () => {
    holds(({ before, decision, poll }) => {
      if (poll.scheduled !== null) return;
      for (const { data } of decision.events) {
        if (data.muted_until === null) expect(data.verdict).not.toBe("not_started");
      }
      expect(decision.record.scheduled.length).toBeLessThanOrEqual(before.record.scheduled.length);
    });
  });

  it("a malformed row costs no other task its events, and never vanishes", () => {
    holds(({ input, decision }) => {
      const bare = { ...input.observation.listing, malformed: [] };
      const other = decide({ ...input, observation: { ...input.observation, listing: bare } });
      const unread = new Set(input.observation.listing.malformed.map(({ id }) => id));
      const rest = (events: typeof decision.events) =>
        events.filter(({ data }) => !unread.has(data.task!.id));
      expect(rest(decision.events)).toEqual(rest(other.events));
      for (const { type, data } of decision.events) {
        if (type === "task.vanished") expect(unread.has(data.task!.id)).toBe(false);
      }
    });
  });

  it("the short cut for a poll without news hides nothing", () => {
    holds(({ after, input }) => {
      const rested = { ...input, state: after };
      const { listing } = input.observation;
      // A row without an id forces the long way, and says nothing of any task.
      const malformed = [...listing.malformed, { id: null, problem: "not an object" }];
      const long = decide({
        ...rested,
        observation: { ...input.observation, listing: { ...listing, malformed } },
      });
      const short = decide(rested);
      expect([short.events, short.upserts, short.learned, short.record]).toEqual([
        long.events,
        long.upserts,
        long.learned,
        long.record,
      ]);
      expect(short.removals).toEqual(long.removals);
    });
  });

  it("every event has its state write, and the sequence of a task grows by one per event, without gaps", () => {
    holds(({ before, after, decision }) => {
      const removed = new Set(decision.removals);
      const next = new Map([...before.tasks.values()].map(({ id, sequence }) => [id, sequence]));
      for (const { data, id } of decision.events) {
        const taskId = data.task!.id;
        if (data.muted_until !== null) {
          expect(before.tasks.get(taskId)?.muted).toMatchObject({ eventId: id, sequence: data.sequence });
          continue;
        }
        expect(data.sequence).toBe((next.get(taskId) ?? 0) + 1);
        next.set(taskId, data.sequence!);
      }
      for (const [id, sequence] of next) {
        const task = after.tasks.get(id);
        if (task !== undefined) expect(task.sequence).toBe(sequence);
        else if (!removed.has(id)) expect(before.tasks.has(id)).toBe(false);
      }
    });
  });

  it("ids are unique over the life of a task, and the same when decided anew", () => {
    fc.assert(
      fc.property(polls, ruleSet, (list, rules) => {
        const told: string[] = [];
        const dropped = new Set<string>();
        walk(list, rules, ({ before, decision, input, after }) => {
          expect(decide(input).events).toEqual(decision.events);
          for (const { id, data } of decision.events) {
            if (data.muted_until === null && !dropped.has(data.task!.id)) told.push(id);
          }
          // A task that was pruned and comes back as open starts anew.
          for (const id of before.tasks.keys()) if (!after.tasks.has(id)) dropped.add(id);
          for (const { data } of decision.events)
            if (!after.tasks.has(data.task!.id)) dropped.add(data.task!.id);
        });
        expect(new Set(told).size).toBe(told.length);
      }),
      { numRuns: 300 },
    );
  });

  it("what the state says is consistent", () => {
    holds(({ after }) => {
      for (const task of after.tasks.values()) {
        if (task.verdict !== null) expect(isOpen(task.status)).toBe(true);
        if (task.failedAt !== null) expect(isOpen(task.status) || task.status === "SUCCESS").toBe(false);
        if (task.failedAt === null && task.verdict === null) {
          expect(task.informed).toEqual([]);
          expect(task.muted).toBeNull();
        }
        expect(JSON.parse(JSON.stringify(task))).toEqual(task);
      }
    });
  });

  it("maintenance sends nothing that it mutes, and every incident that outlasts it is sent or was", () => {
    holds(({ after, decision, input }) => {
      const muting = input.rules.mutedUntil(input.now, null) !== null;
      for (const event of decision.events) {
        if (event.data.muted) expect(event.webhooks).toEqual([]);
        const opening = event.type === "task.failed" || event.type === "task.stuck";
        if (opening) expect(event.data.muted).toBe(muting);
        if (opening && !muting) expect(event.webhooks).toContain("some");
      }
      for (const task of after.tasks.values()) {
        if (!muting) expect(task.muted).toBeNull();
        if (task.failedAt !== null || task.verdict !== null) {
          expect(task.muted !== null || task.informed.includes("some")).toBe(true);
        }
      }
    });
  });

  it("time alone never tells what a poll would not", () => {
    holds(({ after, input }) => {
      expect(expireFailuresByTime(after, input.rules, input.now).events).toEqual([]);
    });
  });

  it("the given state is left as it was", () => {
    holds(({ input, decision }) => {
      const copy = structuredClone({ record: input.state.record, tasks: input.state.tasks });
      expect(decide(input).events).toEqual(decision.events);
      expect({ record: input.state.record, tasks: input.state.tasks }).toEqual(copy);
    }, 60);
  });
});

it("the state stays bounded over thousands of polls of a busy instance", () => {
  const rules = rulesOf({ keepOpen: null, window: { maxLookback: 2 * DAY } });
  let state = fresh();
  let largest = 0;
  let told = 0;
  let made = 0;
  const alive: ObservedTask[] = [];
  for (let index = 0; index < 3000; index += 1) {
    const now = T0 + index * 10 * MINUTE;
    for (let task = 0; task < 4; task += 1) {
      made += 1;
      const status = made % 7 === 0 ? "FAILED" : made % 50 === 0 ? "CANCELLED" : "SUCCESS";
      const name = `name${made % (status === "FAILED" ? 977 : 31)}`;
      alive.push({
        id: `t${made}`,
        name,
        status,
        ...NO_FIELDS,
        createdAt: now - MINUTE,
        updatedAt: now,
      });
    }
    while (alive[0]!.createdAt! < now - DAY) alive.shift();
    const decision = decide(
      inputOf(state, alive, {
        now,
        rules,
        complete: index % 5 !== 0,
        knowledge: index % 2 ? KNOWS_NOTHING : ALL_EXECUTE,
      }),
    );
    state = apply(state, decision);
    told += decision.events.filter(({ type }) => type !== "task.recovered").length;
    largest = Math.max(largest, state.tasks.size);
  }
  expect(largest).toBeLessThanOrEqual(2 * SETTLED_CAP + OPEN_FAILURES_CAP);
  // Each task once: the first poll, which was incomplete, recorded its four in silence.
  expect(told).toBe(made - 4);
});
