import { apply } from "../../src/core/apply.ts";
import { decide } from "../../src/core/decide.ts";
import type { Decision, DecisionInput, Knowledge } from "../../src/core/decision.ts";
import type { TaskwatchEvent } from "../../src/core/event.ts";
import type { Rules, StuckRules, WebhookRule, WindowRules } from "../../src/core/rules.ts";
import type { InstanceRecord, InstanceState, ScheduledTask, TaskState } from "../../src/core/state.ts";
import type { Listing, Lookup, ObservedTask } from "../../src/core/task.ts";

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
/** The moment from which the tests count. */
export const T0 = Date.UTC(2026, 10, 24, 10, 0, 0);

export const INFORMED_BY_DEFAULT = [
  "task.failed",
  "task.stuck",
  "task.recovered",
  "task.vanished",
  "instance.unreachable",
  "instance.reachable",
  "project.unreachable",
  "project.reachable",
];

export const webhook = (name: string, types: readonly string[]): WebhookRule => ({
  name,
  wants: ({ type }) => types.includes(type),
});

export interface RuleChanges {
  readonly window?: Partial<WindowRules>;
  readonly stuck?: Partial<StuckRules>;
  readonly scheduledTasks?: boolean;
  readonly keepOpen?: number | null;
  readonly webhooks?: readonly WebhookRule[];
  readonly mutedUntil?: Rules["mutedUntil"];
  readonly privacy?: Partial<Rules["privacy"]>;
  readonly externalUrl?: string;
}

export function rulesOf(changes: RuleChanges = {}): Rules {
  return {
    project: { name: "prod", id: "p1", region: "eu-west-101" },
    instance: { id: "i1", name: "orders", engine: "kafka" },
    window: {
      lookback: DAY,
      overlap: 2 * MINUTE,
      maxLookback: 30 * DAY,
      sweep: 6 * HOUR,
      firstPoll: "baseline",
      ...changes.window,
    },
    stuck: {
      queuedAfter: 15 * MINUTE,
      runningAfter: HOUR,
      byTask: new Map(),
      instanceRunningAfter: null,
      instanceByTask: new Map(),
      noProgressAfter: null,
      repeat: null,
      learn: {
        enabled: true,
        quantile: 0.99,
        factor: 3,
        minSamples: 20,
        floor: 5 * MINUTE,
        ceiling: DAY,
      },
      ...changes.stuck,
    },
    scheduledTasks: changes.scheduledTasks ?? false,
    failures: { keepOpen: changes.keepOpen === undefined ? 7 * DAY : changes.keepOpen },
    webhooks: changes.webhooks ?? [webhook("ops", INFORMED_BY_DEFAULT)],
    mutedUntil: changes.mutedUntil ?? (() => null),
    privacy: { taskParams: false, userNames: true, ...changes.privacy },
    externalUrl: changes.externalUrl ?? "",
  };
}

export const recordOf = (changes: Partial<InstanceRecord> = {}): InstanceRecord => ({
  projectId: "p1",
  instanceId: "i1",
  name: "orders",
  engine: "kafka",
  discovered: false,
  baselineAt: T0 - DAY,
  lastCompleteAt: T0 - MINUTE,
  lastSweepAt: T0 - MINUTE,
  prunedBefore: null,
  removals: 0,
  unreachable: null,
  counts: {},
  ended: [],
  scheduled: [],
  leftOutSince: null,
  ...changes,
});

export const stateOf = (
  tasks: readonly TaskState[] = [],
  record: Partial<InstanceRecord> = {},
): InstanceState => ({
  record: recordOf(record),
  revision: 1,
  tasks: new Map(tasks.map((task) => [task.id, task])),
});

/** An instance that was never polled. */
export const fresh = (): InstanceState =>
  stateOf([], { baselineAt: null, lastCompleteAt: null, lastSweepAt: null });

export const seen = (id: string, status: string, changes: Partial<ObservedTask> = {}): ObservedTask => ({
  id,
  name: "modifyAutoTopic",
  status,
  userName: "paas_dms",
  userId: "3df5acbc24a54fadb62a043c9000a307",
  params: null,
  createdAt: T0 - 5 * MINUTE,
  updatedAt: T0 - 4 * MINUTE,
  ...changes,
});

export const KNOWS_NOTHING: Knowledge = { executed: () => false, learned: () => null };
/** Every name was seen to go on to EXECUTING. */
export const ALL_EXECUTE: Knowledge = { executed: () => true, learned: () => null };

export interface PollChanges {
  readonly now?: number;
  readonly cloudNow?: number;
  readonly complete?: boolean;
  readonly deep?: boolean;
  readonly malformed?: Listing["malformed"];
  readonly lookups?: Readonly<Record<string, Lookup>>;
  readonly progress?: Readonly<Record<string, number>>;
  readonly scheduled?: readonly ScheduledTask[] | null;
  readonly rules?: Rules;
  readonly knowledge?: Knowledge;
  readonly bornWatched?: boolean;
}

export function inputOf(
  state: InstanceState,
  tasks: readonly ObservedTask[],
  changes: PollChanges = {},
): DecisionInput {
  const now = changes.now ?? T0;
  const cloudNow = changes.cloudNow ?? now;
  const complete = changes.complete ?? true;
  const deep = changes.deep ?? state.record.baselineAt === null;
  const rules = changes.rules ?? rulesOf();
  return {
    state,
    observation: {
      listing: {
        tasks,
        malformed: changes.malformed ?? [],
        complete,
        gap: complete ? null : "page 2 failed",
        cause: complete ? null : "timeout",
        answer: null,
        countedMore: false,
        window: {
          from: cloudNow - (deep ? rules.window.maxLookback : rules.window.lookback),
          to: cloudNow + MINUTE,
        },
        cloudNow,
      },
      startedAt: now - 200,
      deep,
      lookups: new Map(Object.entries(changes.lookups ?? {})),
      progress: new Map(Object.entries(changes.progress ?? {})),
      scheduled: changes.scheduled ?? null,
    },
    rules,
    knowledge: changes.knowledge ?? ALL_EXECUTE,
    now,
    bornWatched: changes.bornWatched ?? false,
  };
}

export interface Step {
  readonly state: InstanceState;
  readonly decision: Decision;
}

/** One poll, committed. */
export function poll(state: InstanceState, tasks: readonly ObservedTask[], changes: PollChanges = {}): Step {
  const decision = decide(inputOf(state, tasks, changes));
  return { state: apply(state, decision), decision };
}

export const types = (decision: { readonly events: readonly TaskwatchEvent[] }): readonly string[] =>
  decision.events.map(({ type }) => type);

export const only = <T>(items: readonly T[]): T => {
  if (items.length !== 1) throw new Error(`expected one, got ${items.length}`);
  return items[0]!;
};

/** A task as the state has it after a poll that saw it, however old it is. */
export function known(task: ObservedTask, changes: Partial<TaskState> = {}): TaskState {
  const rules = rulesOf({ window: { maxLookback: 10_000 * DAY } });
  const first = poll(stateOf(), [task], { rules }).state.tasks.get(task.id)!;
  return { ...first, ...changes };
}

/** What a listing shows that was read whole. */
export const wholeListing = (
  tasks: readonly ObservedTask[],
  window: Listing["window"],
  cloudNow: number,
): Listing => ({
  tasks,
  malformed: [],
  complete: true,
  gap: null,
  cause: null,
  answer: null,
  countedMore: false,
  window,
  cloudNow,
});
