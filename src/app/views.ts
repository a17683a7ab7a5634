import type { InstanceRecord } from "../core/state.ts";
import type { InstanceView } from "../observe/view.ts";
import { newRecord } from "../poll/target.ts";
import type { Watched } from "../poll/watched.ts";

/** Longer than the series of a removed instance are shown. */
const KEEP_REMOVED_MS = 16 * 60_000;

/** What `/metrics` shows of instances: those that are watched here, and for a while those that were removed. */
export class InstanceViews {
  readonly #failures: (project: string, instanceId: string) => number;
  readonly #removed = new Map<string, InstanceView>();

  /** @param failures counted by this process, per project name and instance id */
  constructor(failures: (project: string, instanceId: string) => number) {
    this.#failures = failures;
  }

  removed(key: string, project: InstanceView["project"], record: InstanceRecord, now: number): void {
    this.#removed.set(key, {
      project,
      record,
      tasks: [],
      up: null,
      lastPollAt: now,
      lastCompleteAt: null,
      intervalSeconds: null,
      failures: 0,
      maintenance: false,
      scheduled: null,
      removedAt: now,
    });
  }

  /** One view at a time, as a scrape takes them, so that ten thousand do not hold the event loop. */
  *list(all: Iterable<Watched>, now: number): Generator<InstanceView, void, undefined> {
    const watchedNow = [...all];
    for (const { target } of watchedNow) this.#removed.delete(target.key);
    // What is removed while the scrape goes on was watched when it began, and must not be shown twice.
    const removed = [...this.#removed];
    for (const watched of watchedNow) yield this.of(watched, now);
    for (const [key, view] of removed) {
      if (now - (view.removedAt ?? now) > KEEP_REMOVED_MS) this.#removed.delete(key);
      else yield view;
    }
  }

  of(watched: Watched, now: number): InstanceView {
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
