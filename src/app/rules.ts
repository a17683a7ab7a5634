import {
  type Config,
  type InstanceConfig,
  type LearnConfig,
  type MaintenanceConfig,
  type ProjectConfig,
  WEEKDAYS,
  type WebhookConfig,
  type WindowConfig,
} from "../config/config.ts";
import { compileMatch, compileProjectMatch, type MatchSubject } from "../config/match.ts";
import type { EventData } from "../core/event.ts";
import type { ProjectRules } from "../core/health.ts";
import { compileMaintenance, type MaintenanceWindow, mutedUntil } from "../core/maintenance.ts";
import type { LearnRules, Rules, StuckRules, WebhookRule, WindowRules } from "../core/rules.ts";
import type { InstanceRecord } from "../core/state.ts";
import { privacyOf } from "../views/task.ts";

/** What all instances of a configuration share, compiled once. */
export interface CommonRules {
  readonly webhooks: readonly WebhookRule[];
  readonly maintenance: readonly MaintenanceWindow<MatchSubject>[];
  readonly byTask: ReadonlyMap<string, number>;
  /** The same object for the same settings, so that what is derived from it is derived once. */
  readonly learn: (settings: LearnConfig) => LearnRules;
}

const NO_TASKS: ReadonlyMap<string, number> = new Map();

export function commonRules(config: Config): CommonRules {
  const learned = new Map<LearnConfig, LearnRules>();
  return {
    webhooks: webhookRules(config.webhooks),
    maintenance: config.maintenance.map(maintenanceWindow),
    byTask: new Map(Object.entries(config.stuck.by_task)),
    learn(settings) {
      const known = learned.get(settings);
      if (known) return known;
      const { min_samples: minSamples, ...others } = settings;
      const rules = { ...others, minSamples };
      learned.set(settings, rules);
      return rules;
    },
  };
}

function maintenanceWindow(window: MaintenanceConfig): MaintenanceWindow<MatchSubject> {
  const matches = compileMatch(window.match);
  if (window.kind === "absolute") return compileMaintenance({ ...window, matches });
  const days = new Set(window.days.map((day) => WEEKDAYS.indexOf(day)));
  return compileMaintenance({ ...window, days, matches });
}

/**
 * `format: alertmanager` sends state and takes no events. An event of a whole project goes to every webhook that could
 * match one of its instances.
 */
export function webhookRules(webhooks: readonly WebhookConfig[]): readonly WebhookRule[] {
  return webhooks
    .filter((webhook) => webhook.format !== "alertmanager")
    .map(({ name, events, match }) => {
      const types: ReadonlySet<string> = new Set(events);
      const matches = compileMatch(match);
      const matchesProject = compileProjectMatch(match);
      const fits = (data: EventData) =>
        data.instance === null ? matchesProject(subjectOf(data)) : matches(subjectOf(data));
      return { name, wants: ({ type, data }) => types.has(type) && fits(data) };
    });
}

function subjectOf({ project, instance, task }: EventData) {
  return { project: project.name, region: project.region, instance, task: task?.name ?? null };
}

export function instanceRules(
  config: Config,
  common: CommonRules,
  project: ProjectConfig,
  projectId: string,
  { id, name, engine, stuck, window }: InstanceConfig,
): Rules {
  const instance = { id, name, engine };
  const ownNames = Object.entries(stuck.by_task);
  const own = { project: project.name, region: project.region };
  return {
    ...shared(config, common, project, projectId),
    instance,
    window: windowRules(window),
    stuck: {
      queuedAfter: stuck.queued_after,
      runningAfter: config.stuck.running_after,
      byTask: common.byTask,
      instanceRunningAfter: stuck.running_after,
      instanceByTask: ownNames.length > 0 ? new Map(ownNames) : NO_TASKS,
      noProgressAfter: stuck.no_progress_after,
      repeat: stuck.repeat,
      learn: common.learn(stuck.learn),
    },
    scheduledTasks: project.scheduled_tasks,
    mutedUntil: (now, task) =>
      mutedUntil(common.maintenance, { ...own, instance, task: task?.name ?? null }, now),
  };
}

/** The limits of an instance that overrides nothing. */
export function commonStuck(config: Config, common: CommonRules): StuckRules {
  const { stuck } = config;
  return {
    queuedAfter: stuck.queued_after,
    runningAfter: stuck.running_after,
    byTask: common.byTask,
    instanceRunningAfter: null,
    instanceByTask: NO_TASKS,
    noProgressAfter: stuck.no_progress_after,
    repeat: stuck.repeat,
    learn: common.learn(stuck.learn),
  };
}

/**
 * For the last events of an instance that the configuration does not name any more. `project` is the one with the
 * record's id, where more is known of it than is configured.
 */
export function orphanRules(
  config: Config,
  record: InstanceRecord,
  project: Pick<ProjectConfig, "name" | "region"> | null = projectOf(config, record.projectId),
): Rules {
  const common = commonRules(config);
  const { projectId: id, instanceId, name, engine } = record;
  return {
    ...shared(config, common, project ?? { name: id, region: "" }, id),
    instance: { id: instanceId, name, engine },
    window: windowRules(config.window),
    stuck: commonStuck(config, common),
    scheduledTasks: false,
    mutedUntil: () => null,
  };
}

export const projectOf = (config: Config, projectId: string): ProjectConfig | null =>
  config.projects.find(({ project_id }) => project_id === projectId) ?? null;

/**
 * The rules of an instance that the store knows: as configured, else those for all.
 * @param config with the ids of projects that are looked up
 */
export function recordRules(config: Config, record: InstanceRecord): Rules {
  const project = projectOf(config, record.projectId);
  const instance = project?.instances.find(({ id }) => id === record.instanceId);
  if (!project || !instance) return orphanRules(config, record);
  return instanceRules(config, commonRules(config), project, record.projectId, instance);
}

/** For events about the project itself, which have no instance and no task. */
export function projectRules(
  config: Config,
  common: CommonRules,
  project: ProjectConfig,
  projectId: string,
): ProjectRules {
  const own = { project: project.name, region: project.region };
  return {
    ...shared(config, common, project, projectId),
    mutedUntil: (now) => mutedUntil(common.maintenance, { ...own, instance: null, task: null }, now),
  };
}

const windowRules = (window: WindowConfig): WindowRules => ({
  lookback: window.lookback,
  overlap: window.overlap,
  maxLookback: window.max_lookback,
  sweep: window.sweep,
  firstPoll: window.first_poll,
});

function shared(
  config: Config,
  common: CommonRules,
  project: Pick<ProjectConfig, "name" | "region">,
  projectId: string,
) {
  return {
    project: { name: project.name, id: projectId, region: project.region },
    failures: { keepOpen: config.failures.keep_open },
    webhooks: common.webhooks,
    privacy: privacyOf(config.privacy),
    externalUrl: config.server.external_url,
  };
}
