import type { Config, InstanceConfig, InstancePollConfig, ProjectConfig } from "../config/config.ts";
import { instanceKey } from "../core/state.ts";
import { Schedule } from "../poll/schedule.ts";
import { type InstanceTarget, type PollProject, shardOf, shareOf } from "../poll/target.ts";
import type { Connection } from "./connection.ts";
import { type CommonRules, instanceRules, projectRules } from "./rules.ts";

/** A configured project whose id is known. */
export interface KnownProject {
  readonly config: ProjectConfig;
  readonly id: string;
  readonly connection: Connection;
}

/** An instance to watch, by name in the configuration or found by discovery. */
export interface Wanted {
  readonly instance: InstanceConfig;
  readonly discovered: boolean;
  /** Found after the project's first discovery: an event says so. */
  readonly announce: boolean;
  readonly bornWatched: boolean;
}

/** Makes what the poll needs of what is configured. One per configuration: schedules are shared between instances. */
export class TargetFactory {
  readonly #config: Config;
  readonly #common: CommonRules;
  readonly #schedules = new Map<string, Schedule>();

  constructor(config: Config, common: CommonRules) {
    this.#config = config;
    this.#common = common;
  }

  project({ config, id, connection }: KnownProject): PollProject {
    return {
      name: config.name,
      id,
      region: config.region,
      gate: connection.gate,
      rules: projectRules(this.#config, this.#common, config, id),
    };
  }

  target(
    known: KnownProject,
    project: PollProject,
    { instance, discovered, announce, bornWatched }: Wanted,
  ): InstanceTarget {
    const key = instanceKey(project.id, instance.id);
    const { schedule, active_schedule: active } = instance.poll;
    return {
      key,
      project,
      instanceId: instance.id,
      source: known.connection.source(project.id, instance.poll.timeout, instance.window.utc_offset),
      shard: shardOf(key, this.#config.store.shards),
      share: shareOf(key),
      schedule: this.#schedule(schedule, instance.poll),
      activeSchedule: active === null ? null : this.#schedule(active, instance.poll),
      rules: instanceRules(this.#config, this.#common, known.config, project.id, instance),
      discovered,
      announce,
      bornWatched,
    };
  }

  #schedule(expression: string, { timezone }: InstancePollConfig): Schedule {
    const key = `${expression} ${timezone}`;
    const known = this.#schedules.get(key);
    if (known) return known;
    const schedule = new Schedule(expression, timezone);
    this.#schedules.set(key, schedule);
    return schedule;
  }
}
