import { isMuted, isOpenTask } from "../core/state.ts";
import { statusLabel } from "../core/task.ts";
import type { Counts, Lingering, Recent } from "./recent.ts";
import type { TaskNames } from "./task-names.ts";
import { escapeLabel } from "./text-format.ts";
import type { InstanceView } from "./view.ts";

/** What one instance shows in one scrape. Label sets are ready to be written between braces. */
export interface Figures extends Lingering {
  readonly view: InstanceView;
  /** `project` and `instance_id`. */
  readonly plain: string;
  /** And `instance_name`. */
  readonly named: string;
  /** Of open tasks: the lowest ratio by task name. */
  readonly progress: Counts;
  /** Epoch milliseconds by task name, as below. */
  readonly oldestOpen: Counts;
  readonly lastSuccess: Counts;
  readonly lastFailure: Counts;
  readonly scheduled: Counts;
  readonly nextStart: Counts;
}

export interface FiguresContext {
  readonly names: TaskNames;
  readonly recent: Recent;
  /** Epoch milliseconds: the same for the whole scrape. */
  readonly now: number;
  /** Ends of tasks before this time are not shown any more; epoch milliseconds. */
  readonly endsSince: number;
}

/** Two task names that are one as a label are one series: counts are added, and the telling extreme is taken of the rest. */
export function figuresOf(view: InstanceView, { names, recent, now, endsSince }: FiguresContext): Figures {
  const { record } = view;
  const project = view.project.name;
  const plain = `project="${escapeLabel(project)}",instance_id="${escapeLabel(record.instanceId)}"`;
  const named = `${plain},instance_name="${escapeLabel(record.name)}"`;

  // Nine of ten instances have nothing to count: maps are made when they are needed.
  let open: Tally = null;
  let stuck: Tally = null;
  let failures: Tally = null;
  let muted: Tally = null;
  let progress: Tally = null;
  let oldestOpen: Tally = null;
  const one = view.removedAt === null ? 1 : 0;
  for (const task of view.tasks) {
    const name = names.pair(project, task.name);
    if (isOpenTask(task)) {
      open = add(open, `${name},status="${statusLabel(task.status)}"`, one);
      if (task.createdAt !== null) oldestOpen = lowest(oldestOpen, name, task.createdAt);
      if (task.progress !== null) progress = lowest(progress, name, task.progress.ratio);
    }
    if (task.verdict !== null && task.acknowledged === null) {
      if (isMuted(task)) muted = add(muted, `${name},condition="stuck"`, one);
      else stuck = add(stuck, `${name},verdict="${task.verdict.kind}"`, one);
    }
    if (task.failedAt !== null) {
      if (isMuted(task)) muted = add(muted, `${name},condition="failed"`, one);
      else failures = add(failures, name, one);
    }
  }

  let lastSuccess: Tally = null;
  let lastFailure: Tally = null;
  for (const { name: raw, successAt, failureAt } of record.ended) {
    const name = names.pair(project, raw);
    if (successAt !== null && successAt >= endsSince) lastSuccess = highest(lastSuccess, name, successAt);
    if (failureAt !== null && failureAt >= endsSince) lastFailure = highest(lastFailure, name, failureAt);
  }

  let scheduled: Tally = null;
  let nextStart: Tally = null;
  for (const task of view.scheduled ?? []) {
    const name = names.pair(project, task.name);
    scheduled = add(scheduled, name, 1);
    if (task.scheduleAt !== null) nextStart = lowest(nextStart, name, task.scheduleAt);
  }

  const counts = recent.settle(record, { open, stuck, failures, muted }, now);
  return {
    view,
    plain,
    named,
    open: counts.open,
    stuck: counts.stuck,
    failures: counts.failures,
    muted: counts.muted,
    progress,
    oldestOpen,
    lastSuccess,
    lastFailure,
    scheduled,
    nextStart,
  };
}

type Tally = Map<string, number> | null;

function add(tally: Tally, key: string, by: number): Map<string, number> {
  const counts = tally ?? new Map<string, number>();
  return counts.set(key, (counts.get(key) ?? 0) + by);
}

function lowest(tally: Tally, key: string, value: number): Map<string, number> {
  const values = tally ?? new Map<string, number>();
  return values.set(key, Math.min(values.get(key) ?? value, value));
}

function highest(tally: Tally, key: string, value: number): Map<string, number> {
  const values = tally ?? new Map<string, number>();
  return values.set(key, Math.max(values.get(key) ?? value, value));
}
