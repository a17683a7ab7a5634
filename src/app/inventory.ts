import type { Config } from "../config/config.ts";
import { type InstanceRecord, isOpenTask, type TaskState } from "../core/state.ts";
import { type InstanceTarget, newRecord } from "../poll/target.ts";
import type { Reader } from "../ports/store.ts";
import { compileGlob } from "../util/glob.ts";
import { inTurns } from "../util/turns.ts";
import type { Scope, TaskPlace, TaskQuery } from "../views/api.ts";
import { barOf, type Lanes } from "../views/lane.ts";
import type { KnownTask } from "../views/task.ts";
import { projectOf } from "./rules.ts";

export interface KnownInstance {
  readonly key: string;
  readonly shard: number;
  /** The project's name in the configuration, else its id. */
  readonly project: string;
  /** As the store has it, its name as the configuration has it. */
  readonly record: InstanceRecord;
  /** Null where the configuration does not name it. */
  readonly target: InstanceTarget | null;
  /** Its tasks that are open, stuck or failed. */
  readonly live: readonly TaskState[];
}

/** What all replicas watch together, at one moment. */
export interface Inventory {
  /** In the order of their keys. */
  readonly instances: readonly KnownInstance[];
  /** The records of the projects themselves, by their ids. */
  readonly projects: ReadonlyMap<string, InstanceRecord>;
}

/** Rejects with StoreError. */
export async function readInventory(
  reader: Reader,
  config: Config,
  targets: readonly InstanceTarget[],
): Promise<Inventory> {
  const [stored, tasks] = await Promise.all([reader.instances(), reader.tasks({ state: "live" })]);
  const live = Map.groupBy(tasks, ({ key }) => key);
  const projects = new Map<string, InstanceRecord>();
  const records = new Map<string, { readonly shard: number; readonly record: InstanceRecord }>();
  for (const { key, shard, record } of stored) {
    if (record.instanceId === "") projects.set(record.projectId, record);
    else records.set(key, { shard, record });
  }
  const instances: KnownInstance[] = [];
  const add = (key: string, shard: number, record: InstanceRecord, target: InstanceTarget | null) => {
    const tasks = live.get(key)?.map(({ task }) => task) ?? [];
    const project = target?.project.name ?? projectName(config, record);
    instances.push({ key, shard, project, record, target, live: tasks });
  };
  for await (const slice of inTurns(targets)) {
    for (const target of slice) {
      const { key, shard, project, discovered, rules } = target;
      const record = records.get(key)?.record ?? newRecord(project.id, rules.instance, { discovered });
      const { name } = rules.instance;
      records.delete(key);
      add(key, shard, record.name === name ? record : { ...record, name }, target);
    }
  }
  for (const [key, { shard, record }] of records) add(key, shard, record, null);
  return { instances: instances.sort((a, b) => compare(a.key, b.key)), projects };
}

export const projectName = (config: Config, { projectId }: InstanceRecord): string =>
  projectOf(config, projectId)?.name ?? projectId;

/** Does an instance belong to what was asked for? */
export function inScope({ project, instance }: Scope): (known: KnownInstance) => boolean {
  const ofProject = fits(project);
  const ofInstance = fits(instance);
  return ({ record, project: name }) =>
    ofProject(name, record.projectId) && ofInstance(record.name, record.instanceId);
}

function fits(glob: string | null): (name: string, id: string) => boolean {
  if (glob === null) return () => true;
  const matches = compileGlob(glob);
  return (name, id) => matches(name) || matches(id);
}

const IS: Readonly<Record<TaskQuery["state"], (task: TaskState) => boolean>> = {
  open: isOpenTask,
  stuck: ({ verdict }) => verdict !== null,
  failed: ({ failedAt }) => failedAt !== null,
  live: () => true,
  all: () => true,
};

/** Instances whose tasks are read at once. */
const SLICE = 100;

/** The tasks of a page, and the place to go on after; null at the end. Rejects with StoreError. */
export async function listTasks(
  reader: Reader,
  { instances }: Inventory,
  { state, after, limit, ...scope }: TaskQuery,
): Promise<{ readonly tasks: readonly KnownTask[]; readonly next: TaskPlace | null }> {
  const within = inScope(scope);
  const wanted = instances.filter((each) => (after === null || each.key >= after.key) && within(each));
  const found: KnownTask[] = [];
  const take = ({ key, shard, record }: KnownInstance, tasks: readonly TaskState[]) => {
    const own = tasks.filter(IS[state]).map((task) => ({ key, shard, record, task }));
    for (const known of own.sort((a, b) => byPlace(placeOf(a), placeOf(b)))) {
      if (after === null || byPlace(placeOf(known), after) > 0) found.push(known);
    }
  };
  for (let start = 0; start < wanted.length && found.length <= limit; start += SLICE) {
    const slice = wanted.slice(start, start + SLICE);
    if (state !== "all") for (const each of slice) take(each, each.live);
    else {
      const rows = Map.groupBy(await reader.tasks({ state, instances: slice }), ({ key }) => key);
      for (const each of slice) take(each, rows.get(each.key)?.map(({ task }) => task) ?? []);
    }
  }
  const tasks = found.slice(0, limit);
  const last = tasks.at(-1);
  return { tasks, next: found.length > limit && last ? placeOf(last) : null };
}

/** Bars of one lane. */
const MOST_BARS = 200;

/** Rejects with StoreError. */
export async function timeline(
  reader: Reader,
  { instances }: Inventory,
  since: number,
  most: number,
): Promise<Lanes> {
  const busy = instances
    .map((known) => ({ known, rank: rankOf(known), at: lastEnd(known.record) }))
    .filter(({ rank, at }) => rank < IDLE || at >= since)
    .sort((a, b) => a.rank - b.rank || b.at - a.at || compare(a.known.key, b.known.key));
  const shown = busy.slice(0, most).map(({ known }) => known);
  const rows = await reader.tasks({ state: "all", instances: shown });
  const tasks = Map.groupBy(rows, ({ key }) => key);
  const lanes = shown.map(({ key, project, record }) => {
    const bars = (tasks.get(key) ?? []).flatMap(({ task }) => barOf(task, since) ?? []);
    const { instanceId: id, name, engine } = record;
    return {
      project,
      instance: { id, name, engine },
      bars: bars.sort((a, b) => a.from - b.from || compare(a.id, b.id)).slice(-MOST_BARS),
    };
  });
  return { lanes, more: busy.length - lanes.length, idle: instances.length - busy.length };
}

const IDLE = 2;

function rankOf({ live }: KnownInstance): number {
  if (live.some(({ verdict, failedAt }) => verdict !== null || failedAt !== null)) return 0;
  return live.length > 0 ? 1 : IDLE;
}

/** When a task of it ended last, as far as that is remembered by name. */
const lastEnd = ({ ended }: InstanceRecord): number =>
  ended.reduce((last, { successAt, failureAt }) => Math.max(last, successAt ?? 0, failureAt ?? 0), 0);

const placeOf = ({ key, task }: KnownTask): TaskPlace => ({ key, createdAt: task.createdAt, id: task.id });

/** By instance, the newest first, those without a date last. */
const byPlace = (a: TaskPlace, b: TaskPlace): number =>
  compare(a.key, b.key) ||
  (b.createdAt ?? Number.NEGATIVE_INFINITY) - (a.createdAt ?? Number.NEGATIVE_INFINITY) ||
  compare(a.id, b.id);

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
