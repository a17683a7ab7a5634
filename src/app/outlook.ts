import type { Config } from "../config/config.ts";
import type { StuckRules } from "../core/rules.ts";
import type { NameKnowledge } from "../core/state.ts";
import { queuedThreshold, runningThreshold } from "../core/thresholds.ts";
import { scheduledRate } from "../poll/follow-up.ts";
import type { PolledInstance } from "../poll/polled-instance.ts";
import type { PollProject } from "../poll/target.ts";
import type { TaskNameStatistics } from "../poll/task-name-statistics.ts";
import type { Emit, KnownThreshold } from "../ports/telemetry.ts";
import { type CommonRules, commonStuck } from "./rules.ts";

/** What each project needs, and what it may use. */
export function emitApiDemand(
  projects: readonly PollProject[],
  watched: Iterable<PolledInstance>,
  now: number,
  emit: Emit,
): void {
  const byProject = Map.groupBy(watched, (each) => each.target.project.id);
  for (const { id, name, gate } of projects) {
    const mine = byProject.get(id) ?? [];
    emit({ kind: "project.load", project: name, instances: mine.length, neededPerSecond: loadOf(mine, now) });
    const { rate, configured } = gate.pacer;
    emit({ kind: "api.budget", project: name, perSecond: rate, configuredPerSecond: configured });
  }
}

export function emitThresholds(
  config: Config,
  common: CommonRules,
  projects: readonly PollProject[],
  knowledge: TaskNameStatistics,
  now: number,
  emit: Emit,
): void {
  for (const { id, name } of projects) {
    const thresholds = thresholdsOf(config, common, knowledge.entries(id), knowledge, id, now);
    emit({ kind: "thresholds.known", project: name, thresholds });
  }
}

/** Calls per second that the instances need by the schedules in force, each poll asking what the last one asked. */
function loadOf(watched: readonly PolledInstance[], now: number): number {
  let perSecond = 0;
  for (const each of watched) {
    const interval = each.scheduleAt(now).interval(now);
    perSecond += ((1 + each.calls) * 1_000) / interval;
    if (each.target.rules.scheduledTasks) perSecond += scheduledRate(interval);
  }
  return perSecond;
}

/** The limits that hold for the names known in a project, but for what single instances override. */
function thresholdsOf(
  config: Config,
  common: CommonRules,
  entries: Iterable<NameKnowledge>,
  knowledge: TaskNameStatistics,
  projectId: string,
  now: number,
): readonly KnownThreshold[] {
  const stuck: StuckRules = commonStuck(config, common);
  const known = knowledge.of(projectId, stuck.learn);
  const names = new Set(stuck.byTask.keys());
  for (const { name } of entries) names.add(name);
  return [...names].flatMap((taskName) => [
    { taskName, verdict: "running_too_long" as const, ...runningThreshold(stuck, known, taskName, now) },
    {
      taskName,
      verdict: "queued_too_long" as const,
      ...queuedThreshold(stuck, known, taskName, known.executed(taskName), now),
    },
  ]);
}
