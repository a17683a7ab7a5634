import type { Cause, CloudAnswer } from "../core/cause.ts";
import type { Decision } from "../core/decision.ts";
import type { TaskwatchEvent } from "../core/event.ts";
import { expireFailuresByTime, isExpired } from "../core/failures.ts";
import {
  countInstances,
  type HealthDecision,
  instanceHealth,
  projectHealth,
  releaseInstance,
  sumProject,
} from "../core/health.ts";
import type { Rules } from "../core/rules.ts";
import type { InstanceState, Unreachable } from "../core/state.ts";
import type { Unwatched } from "../core/unwatched.ts";
import type { Emit } from "../ports/telemetry.ts";
import type { PolledInstance } from "./polled-instance.ts";
import type { ReplicaCounts } from "./replica-counts.ts";
import type { Shard } from "./shard.ts";
import { newRecord, type PollProject, projectKey, targetNames } from "./target.ts";
import { commitDecision, type Outcome } from "./writer.ts";

export interface ReachabilityOptions {
  readonly emit: Emit;
  readonly replicaCounts: ReplicaCounts;
  /** Called after each commit with events. */
  readonly committed: (shard: Shard, events: readonly TaskwatchEvent[]) => void;
}

/** A project, for a look at how it fares. */
export interface ProjectHealthInput {
  readonly project: PollProject;
  /** The shard of its own record, if that is ours. */
  readonly home: Shard | undefined;
  /** Its instances, whoever polls them. */
  readonly total: number;
  /** Null while all of it is watched. */
  readonly unwatched: Unwatched | null;
  /** When its instances were last listed; null without discovery, or before the first list. Epoch milliseconds. */
  readonly listedAt: number | null;
  /** True for the placeholder of a project whose id is known by now: an incident of the placeholder ends. */
  readonly superseded: boolean;
}

/** Whether instances and projects can be reached, as events: from failed polls in a row to one word for a project. */
export class Reachability {
  readonly #options: ReachabilityOptions;
  /** Projects that are unreachable or about to be: their instances say nothing of their own. As of the last look. */
  #near: ReadonlySet<string> = new Set();

  constructor(options: ReachabilityOptions) {
    this.#options = options;
  }

  /** False while all is well and was well before: then there is nothing to judge. */
  concerns({ streak, state }: PolledInstance): boolean {
    return streak !== null || Boolean(state?.record.unreachable);
  }

  /** After a poll of an instance that told something about it. Rejects as the store does. */
  async judge(watched: PolledInstance, error: unknown, now: number): Promise<void> {
    const { target, shard, streak } = watched;
    if (!this.concerns(watched)) return;
    const state =
      (await shard.whole(target.key)) ??
      fresh(
        newRecord(target.project.id, target.rules.instance, {
          removals: await shard.removals(target.key),
        }),
      );
    const health = instanceHealth(state.record, target.rules, streak, this.#near.has(target.project.id), now);
    const expired = streak === null ? null : expireFailuresByTime(state, target.rules, now);
    if (!(await this.#write(watched, state, health, expired))) return;
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

  /**
   * Now and then: what time alone brings. Failures expire, and what maintenance held back is sent after its end. An
   * instance that answers is asked first, for what was held back may be over; of one that does not, it is believed.
   * Rejects as the store does.
   */
  async expire(watched: Iterable<PolledInstance>, now: number): Promise<void> {
    for (const each of [...watched]) {
      const { target, state, shard } = each;
      if (!state || each.running || each.signal.aborted || !isDue(state, target.rules, now)) continue;
      const { project, rules } = target;
      if (project.gate.key.valid && each.up !== false && each.throttled === 0) {
        each.nextDue = Math.min(each.nextDue, now);
        continue;
      }
      const whole = await shard.whole(target.key);
      if (!whole || each.running || each.signal.aborted) continue;
      const { record } = whole;
      const near = this.#near.has(project.id);
      const health = near ? { changed: false, record, events: [] } : releaseInstance(record, rules, now);
      await this.#write(each, whole, health, expireFailuresByTime(whole, rules, now));
    }
  }

  /** Once a second: each project by the instances of all replicas; the owner of its record is who tells. */
  async judgeProjects(
    projects: Iterable<ProjectHealthInput>,
    watched: Iterable<PolledInstance>,
    now: number,
  ): Promise<void> {
    const ours = byProject(watched);
    const near = new Set<string>();
    for (const { project, home, total, unwatched, listedAt, superseded } of projects) {
      const key = projectKey(project.id);
      const known = home?.peek(key);
      const down = known?.record.unreachable ?? null;
      const others = this.#options.replicaCounts.others(project.id);
      const counts = [countInstances(ours.get(project.id) ?? [], now, project.gate.silence), ...others];
      const refused = !superseded && refusesKey(project, down);
      const counted = sumProject(counts, total, refused, down);
      if (counted.near || others.some(({ unreachable }) => unreachable)) near.add(project.id);
      if (!home) continue;
      // Without instances, only a list that was answered since then says that it is back.
      const answered = superseded || total > 0 || (listedAt !== null && down !== null && listedAt > down.at);
      if (down && unwatched === null && !answered) continue;
      if (!counted.near && !down && !unwatched?.confirmed) continue;
      const state = known ?? fresh(newRecord(project.id, { id: "", name: project.name, engine: "kafka" }));
      const answers = answersOf(project, ours.get(project.id) ?? []);
      const health = projectHealth(state.record, project.rules, counted.tally, answers, unwatched, now);
      if (!health.changed || !(await this.#commit(home, key, state, outcomeOf(health)))) continue;
      // What is not watched has log lines of its own.
      if (total > 0) this.#tellProject(project, state, health, counted.tally.total, now);
    }
    this.#near = near;
  }

  /** Every few seconds: what the other replicas know of the projects, and they of ours. Rejects as the store does. */
  async exchange(
    projects: Iterable<ProjectHealthInput>,
    watched: Iterable<PolledInstance>,
    now: number,
  ): Promise<void> {
    const ours = byProject(watched);
    for (const { project, home, unwatched } of projects) {
      // Instances that are polled tell of themselves, even where others are not found.
      const unreachable =
        unwatched === null && home?.peek(projectKey(project.id))?.record.unreachable != null;
      const counts = countInstances(ours.get(project.id) ?? [], now, project.gate.silence);
      await this.#options.replicaCounts.exchange(project.id, { ...counts, unreachable });
    }
  }

  /** False when there was nothing to write, or it was not written. */
  async #write(
    { target, shard }: PolledInstance,
    state: InstanceState,
    health: HealthDecision,
    byTime: Decision | null,
  ): Promise<boolean> {
    if (!health.changed && !byTime?.changed) return false;
    const { unreachable, counts } = health.record;
    const outcome: Outcome = {
      record: { ...(byTime ?? health).record, unreachable, counts },
      upserts: byTime?.upserts ?? [],
      removals: [],
      events: [...(byTime?.events ?? []), ...health.events],
      learned: [],
    };
    if (!(await this.#commit(shard, target.key, state, outcome))) return false;
    for (const fact of byTime?.facts ?? []) {
      this.#options.emit({ kind: "fact", ...targetNames(target), fact });
    }
    return true;
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

/** Has the time come of something that time alone changes? */
function isDue({ record, tasks }: InstanceState, rules: Rules, now: number): boolean {
  if (record.unreachable?.muted && rules.mutedUntil(now, null) === null) return true;
  for (const task of tasks.values()) {
    if (task.muted !== null && rules.mutedUntil(now, task) === null) return true;
    if (isExpired(task, rules.failures.keepOpen, now)) return true;
  }
  return false;
}

const byProject = (watched: Iterable<PolledInstance>): ReadonlyMap<string, readonly PolledInstance[]> =>
  Map.groupBy(watched, (each) => each.target.project.id);

/** For each cause for which something fails here, an answer that gave it. */
function answersOf(
  { gate }: PollProject,
  watched: readonly PolledInstance[],
): ReadonlyMap<Cause, CloudAnswer> {
  const refused = gate.key.refusal?.error;
  const known = [
    ...watched.map(({ streak }) => streak),
    refused && { cause: "credentials_rejected" as const, answer: refused.answer },
  ];
  return new Map(known.flatMap((each) => (each?.answer ? [[each.cause, each.answer] as const] : [])));
}

/** Refused, or refused when last heard of and not accepted since. */
const refusesKey = ({ gate: { key } }: PollProject, down: Unreachable | null): boolean =>
  !key.valid || (down?.cause === "credentials_rejected" && !key.accepted);

const fresh = (record: InstanceState["record"]): InstanceState => ({ record, revision: 0, tasks: new Map() });

const outcomeOf = ({ record, events }: HealthDecision): Outcome => ({
  record,
  events,
  upserts: [],
  removals: [],
  learned: [],
});
