import type { InstanceRecord } from "../core/state.ts";
import type { InstanceView } from "../observe/view.ts";
import type { Leaving } from "../poll/instance-reaper.ts";
import type { PolledInstance } from "../poll/polled-instance.ts";
import { newRecord } from "../poll/target.ts";

/** Longer than the series of a removed instance are shown. */
const KEEP_REMOVED_MS = 16 * 60_000;

/** An instance that was left out of the configuration, with the project that its series name. */
export interface LeavingInstance extends Leaving {
  readonly key: string;
  readonly project: InstanceView["project"];
}

/**
 * What `/metrics` shows of instances: those that are watched here, those that are left out and keep their state, and
 * for a while those that were removed.
 */
export class InstanceViews {
  readonly #failures: (project: string, instanceId: string) => number;
  readonly #removed = new Map<string, InstanceView>();

  /** @param failures counted by this process, per project name and instance id */
  constructor(failures: (project: string, instanceId: string) => number) {
    this.#failures = failures;
  }

  removed(key: string, project: InstanceView["project"], record: InstanceRecord, now: number): void {
    this.#removed.set(key, {
      ...UNPOLLED,
      project,
      record,
      tasks: [],
      failures: 0,
      removedAt: now,
    });
  }

  /** One view at a time, as a scrape takes them, so that ten thousand do not hold the event loop. */
  *list(
    all: Iterable<PolledInstance>,
    leaving: Iterable<LeavingInstance>,
    now: number,
  ): Generator<InstanceView, void, undefined> {
    const watchedNow = [...all];
    const leavingNow = [...leaving];
    for (const { target } of watchedNow) this.#removed.delete(target.key);
    // What is removed while the scrape goes on was watched when it began, and must not be shown twice.
    const removed = [...this.#removed];
    for (const watched of watchedNow) yield this.of(watched, now);
    for (const each of leavingNow) yield this.#ofLeaving(each);
    for (const [key, view] of removed) {
      if (now - (view.removedAt ?? now) > KEEP_REMOVED_MS) this.#removed.delete(key);
      else yield view;
    }
  }

  /** What the store knows stays; what only polls can tell is absent, so that no alert says that polls are late. */
  #ofLeaving({ key, shard, record, project }: LeavingInstance): InstanceView {
    const tasks = shard.peek(key)?.tasks.values() ?? [];
    const failures = this.#failures(project.name, record.instanceId);
    return { ...UNPOLLED, project, record, tasks, failures, removedAt: null };
  }

  of(watched: PolledInstance, now: number): InstanceView {
    const { target, state, lastPollAt } = watched;
    const { project, rules, instanceId } = target;
    const record = state?.record ?? newRecord(project.id, rules.instance, target);
    const interval = watched.scheduleAt(now).interval(now);
    return {
      project,
      // The name is the configuration's, which may be newer than the last commit.
      record: record.name === rules.instance.name ? record : { ...record, name: rules.instance.name },
      tasks: state?.tasks.values() ?? [],
      up: project.gate.key.valid ? watched.up : false,
      lastPollAt,
      lastCompleteAt: record.lastCompleteAt,
      intervalSeconds: Number.isFinite(interval) ? interval / 1_000 : null,
      failures: this.#failures(project.name, instanceId),
      maintenance: rules.mutedUntil(now, null) !== null,
      scheduled: rules.scheduledTasks ? record.scheduled : null,
      removedAt: null,
    };
  }
}

/** Of an instance that nobody polls. */
const UNPOLLED = {
  up: null,
  lastPollAt: null,
  lastCompleteAt: null,
  intervalSeconds: null,
  maintenance: false,
  scheduled: null,
} as const;
