import type { Config, InstancePollConfig, ProjectConfig } from "../config/config.ts";
import { Schedule } from "../poll/schedule.ts";

/** What a project asks of the cloud by its schedules, one call a poll, against what it may. Calls per second. */
export interface Needs {
  readonly project: string;
  /** Named ones; how many discovery finds is not known before it has run. */
  readonly instances: number;
  readonly discovers: boolean;
  /** While no task is open. */
  readonly idle: number;
  /** While each instance has an open task. */
  readonly busy: number;
  readonly allowed: number;
}

/** What one call is reckoned to take where the concurrency that polls need is estimated. */
const CALL_SECONDS = 0.1;
/** Above this share of the budget there is too little left for pages, sweeps and the end of an outage. */
const COMFORTABLE = 0.8;

export function needsOf(config: Config, now: number): readonly Needs[] {
  const intervals = new Map<string, number>();
  const interval = (expression: string, timezone: string): number => {
    const key = `${expression} ${timezone}`;
    const known = intervals.get(key) ?? new Schedule(expression, timezone).interval(now);
    intervals.set(key, known);
    return known;
  };
  return config.projects.map((project) => needsOfProject(project, interval));
}

function needsOfProject(
  project: ProjectConfig,
  interval: (expression: string, timezone: string) => number,
): Needs {
  let idle = 0;
  let busy = 0;
  for (const { poll } of project.instances) {
    const usual = interval(poll.schedule, poll.timezone);
    idle += 1000 / usual;
    busy += 1000 / Math.min(usual, activeInterval(poll, interval));
  }
  return {
    project: project.name,
    instances: project.instances.length,
    discovers: project.discover !== null,
    idle,
    busy,
    allowed: project.requests_per_second,
  };
}

const activeInterval = (
  { active_schedule: active, timezone }: InstancePollConfig,
  interval: (expression: string, timezone: string) => number,
): number => (active === null ? Number.POSITIVE_INFINITY : interval(active, timezone));

/** What an operator should know before the daemon stretches the intervals. */
export function warningsOf(needs: readonly Needs[], concurrency: number): readonly string[] {
  const warnings: string[] = [];
  for (const { project, idle, allowed } of needs) {
    if (idle <= allowed * COMFORTABLE) continue;
    const share = Math.round((idle / allowed) * 100);
    warnings.push(
      `project ${project} needs ${share} % of its requests_per_second${
        idle > allowed ? ": intervals will be stretched for all" : ", which leaves little for long lists"
      }; raise requests_per_second or poll less often`,
    );
  }
  const total = needs.reduce((sum, { idle }) => sum + idle, 0);
  const inFlight = Math.ceil(total * CALL_SECONDS);
  if (inFlight > concurrency) {
    warnings.push(
      `poll.concurrency of ${concurrency} cannot carry ${total.toFixed(1)} requests/s: at 100 ms per call that needs ${inFlight}`,
    );
  }
  return warnings;
}
