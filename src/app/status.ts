import type { Config, ProjectConfig } from "../config/config.ts";
import { iso } from "../core/data.ts";
import type { InstanceRecord } from "../core/state.ts";
import { placeholderId } from "../core/unwatched.ts";
import { scheduledRate } from "../poll/follow-up.ts";
import { scheduleInForce } from "../poll/polled-instance.ts";
import type { PollProject } from "../poll/target.ts";
import { countTasks, unreachableJson } from "../views/instance.ts";
import type { ProjectJson, StatusJson } from "../views/status.ts";
import type { Engine } from "./engine.ts";
import type { Inventory, KnownInstance } from "./inventory.ts";
import type { ProjectState } from "./projects.ts";

/** What a status tells of the process, whether or not the store has answered yet. */
export interface Process {
  readonly build: { readonly version: string; readonly revision: string };
  readonly member: string;
  readonly config: Config;
  readonly hash: number;
  /** Epoch milliseconds. */
  readonly loadedAt: number;
  readonly lastReload: { readonly at: number; readonly problems: readonly string[] } | null;
  readonly readiness: { readonly ok: boolean; readonly reasons: readonly string[] };
  readonly storeUp: boolean;
}

/** @param whole null while the store does not answer, and so is `unreadable` */
export function statusJson(
  process: Process,
  engine: Engine | null,
  whole: Inventory | null,
  unreadable: number | null,
  now: number,
): StatusJson {
  const { build, member, config, hash, loadedAt, lastReload, readiness, storeUp } = process;
  const { store, projects } = config;
  const known = new Map(engine?.targets.projects.map((project) => [project.name, project]));
  const states = new Map(engine?.projectStates().map((state) => [state.project.name, state]));
  const instances = Map.groupBy(whole?.instances ?? [], ({ target }) => target?.project.name);
  return {
    version: build.version,
    revision: build.revision,
    time: iso(now),
    ready: readiness.ok,
    reasons: readiness.reasons,
    replica: member,
    replicas: engine?.replicas ?? [],
    shards: { total: store.shards, owned: engine?.shardsOwned ?? 0 },
    store: { kind: store.kind, up: storeUp, unreadable_records: unreadable },
    config: {
      hash,
      loaded_at: iso(loadedAt),
      last_reload: lastReload && {
        at: iso(lastReload.at),
        successful: lastReload.problems.length === 0,
        problems: lastReload.problems,
      },
    },
    instances: engine?.targets.targets.length ?? 0,
    tasks: whole && countTasks(whole.instances.flatMap(({ live }) => live)),
    projects: projects.map((project) => {
      const poll = known.get(project.name) ?? null;
      const own = instances.get(project.name) ?? [];
      const state = states.get(project.name) ?? null;
      const record = whole?.projects.get(poll?.id ?? placeholderId(project.name)) ?? null;
      return {
        ...projectJson(project, poll, own, record, now),
        not_watched: notWatched(state, record),
        discovery: discoveryOf(project, state),
      };
    }),
  };
}

function projectJson(
  { name, region, requests_per_second }: ProjectConfig,
  poll: PollProject | null,
  instances: readonly KnownInstance[],
  record: InstanceRecord | null,
  now: number,
): Omit<ProjectJson, "discovery" | "not_watched"> {
  const polled = instances.flatMap((each) => each.record.lastCompleteAt ?? []).sort((a, b) => a - b);
  const unreachable = record?.unreachable ?? null;
  return {
    name,
    id: poll?.id ?? null,
    region,
    instances: instances.length,
    unreachable: unreachable && unreachableJson(unreachable),
    credentials_valid: poll?.gate.key.valid ?? null,
    last_complete_poll_at: iso(polled.at(-1) ?? null),
    oldest_complete_poll_at: iso(polled[0] ?? null),
    budget: {
      requests_per_second,
      current: poll?.gate.pacer.rate ?? null,
      needed: instances.reduce((sum, each) => sum + neededBy(each, now), 0),
    },
  };
}

function neededBy({ target, live }: KnownInstance, now: number): number {
  if (target === null) return 0;
  const interval = scheduleInForce(target, live, now).interval(now);
  return 1000 / interval + (target.rules.scheduledTasks ? scheduledRate(interval) : 0);
}

/** What this replica knows, with the cause and the time that the owner of the project's record wrote down. */
function notWatched(state: ProjectState | null, record: InstanceRecord | null): ProjectJson["not_watched"] {
  if (!state?.unwatched) return null;
  const { since, cause, reason } = state.unwatched;
  const told = record?.unreachable ?? null;
  return { since: iso(Math.min(since, told?.since ?? since)), cause: cause ?? told?.cause ?? null, reason };
}

function discoveryOf({ discover }: ProjectConfig, state: ProjectState | null): ProjectJson["discovery"] {
  if (!discover) return null;
  const { found = null, listedAt = null } = state?.discovery ?? {};
  return { found, last_success_at: iso(listedAt) };
}
