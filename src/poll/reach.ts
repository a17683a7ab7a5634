import type { TaskwatchEvent } from "../core/event.ts";
import { judgeFailures } from "../core/failures.ts";
import { type HealthDecision, instanceHealth, projectHealth, tallyProject } from "../core/health.ts";
import type { InstanceState } from "../core/state.ts";
import type { Emit } from "../ports/telemetry.ts";
import type { Shard } from "./shard.ts";
import { newRecord, type PollProject, projectKey, targetNames } from "./target.ts";
import type { Watched } from "./watched.ts";
import { commitDecision, type Outcome } from "./writer.ts";

export interface ReachOptions {
  readonly emit: Emit;
  /** Called after each commit with events. */
  readonly committed: (shard: Shard, events: readonly TaskwatchEvent[]) => void;
}

/** Whether instances and projects can be reached, as events: from failed polls in a row to one word for a project. */
export class Reach {
  readonly #options: ReachOptions;
  /** Projects that are unreachable or about to be: their instances say nothing of their own. As of the last look. */
  #near: ReadonlySet<string> = new Set();

  constructor(options: ReachOptions) {
    this.#options = options;
  }

  /** After a poll of an instance that told something about it. Rejects as the store does. */
  async judge(watched: Watched, error: unknown, now: number): Promise<void> {
    const { target, shard, streak } = watched;
    if (streak === null && !watched.state?.record.unreachable) return;
    const state =
      (await shard.whole(target.key)) ?? fresh(newRecord(target.project.id, target.rules.instance));
    const health = instanceHealth(state.record, target.rules, streak, this.#near.has(target.project.id), now);
    // Failures expire by time, whether or not the instance can be asked.
    const expired = streak === null ? null : judgeFailures(state, target.rules, now);
    const changed = health.changed || expired?.changed;
    if (!changed) return;
    const outcome: Outcome = {
      record: {
        ...(expired ?? health).record,
        unreachable: health.record.unreachable,
        counts: health.record.counts,
      },
      upserts: expired?.upserts ?? [],
      removals: [],
      events: [...(expired?.events ?? []), ...health.events],
      learned: [],
    };
    if (!(await this.#commit(shard, target.key, state, outcome))) return;
    for (const fact of expired?.facts ?? []) {
      this.#options.emit({ kind: "fact", ...targetNames(target), fact });
    }
    const before = state.record.unreachable;
    const after = health.record.unreachable;
    if (!before && after) {
      const failedPolls = streak?.count ?? 0;
      this.#options.emit({
        kind: "instance.down",
        ...targetNames(target),
        cause: after.cause,
        error,
        failedPolls,
      });
    } else if (before && !after) {
      const downSeconds = Math.max(0, now - before.since) / 1_000;
      this.#options.emit({ kind: "instance.up", ...targetNames(target), downSeconds });
    }
  }

  /** Once a second: the projects whose own record is in a shard of ours, by all streaks that are known. */
  async judgeProjects(
    projects: Iterable<{ readonly project: PollProject; readonly home: Shard | undefined }>,
    watched: Iterable<Watched>,
    now: number,
  ): Promise<void> {
    const streaks = Map.groupBy(watched, (each) => each.target.project.id);
    const near = new Set<string>();
    for (const { project, home } of projects) {
      const of = (streaks.get(project.id) ?? []).map((each) => each.streak);
      const counted = tallyProject(of, !project.gate.key.valid, now);
      if (counted.near) near.add(project.id);
      if (!home) continue;
      const key = projectKey(project.id);
      const known = home.peek(key);
      if (!counted.near && !known?.record.unreachable) continue;
      const state = known ?? fresh(newRecord(project.id, { id: "", name: project.name, engine: "kafka" }));
      const health = projectHealth(state.record, project.rules, counted.tally, now);
      if (!health.changed || !(await this.#commit(home, key, state, outcomeOf(health)))) continue;
      this.#tellProject(project, state, health, of.length, now);
    }
    this.#near = near;
  }

  #tellProject(
    { name }: PollProject,
    before: InstanceState,
    { record }: HealthDecision,
    instances: number,
    now: number,
  ): void {
    const { unreachable } = before.record;
    if (!unreachable && record.unreachable) {
      this.#options.emit({ kind: "project.down", project: name, cause: record.unreachable.cause, instances });
    } else if (unreachable && !record.unreachable) {
      const downSeconds = Math.max(0, now - unreachable.since) / 1_000;
      this.#options.emit({ kind: "project.up", project: name, downSeconds });
    }
  }

  /** False when somebody else wrote first or owns the shard by now: the next look decides anew. */
  async #commit(shard: Shard, key: string, state: InstanceState, outcome: Outcome): Promise<boolean> {
    if ((await commitDecision(shard, key, state, outcome)) !== "ok") return false;
    this.#options.committed(shard, outcome.events);
    return true;
  }
}

const fresh = (record: InstanceState["record"]): InstanceState => ({ record, revision: 0, tasks: new Map() });

const outcomeOf = ({ record, events }: HealthDecision): Outcome => ({
  record,
  events,
  upserts: [],
  removals: [],
  learned: [],
});
