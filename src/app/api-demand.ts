import type { Config, InstancePollConfig, ProjectConfig } from "../config/config.ts";
import { tellsProgress } from "../core/window.ts";
import { scheduledRate } from "../poll/follow-up.ts";
import { Schedule } from "../poll/schedule.ts";

/** What a project asks of the cloud by its schedules, one call a poll and the lists of scheduled tasks, against what it may. Calls per second. */
export interface ApiDemand {
  readonly project: string;
  /** Named ones; how many discovery finds is not known before it has run. */
  readonly instances: number;
  readonly discovers: boolean;
  /** While no task is open. */
  readonly idle: number;
  /** While each instance has an open task, which is asked for its progress where that is watched. */
  readonly busy: number;
  readonly allowed: number;
}

/** What one call is reckoned to take where the concurrency that polls need is estimated. */
const CALL_SECONDS = 0.1;
/** Above this share of the budget there is too little left for pages, sweeps and the end of an outage. */
const COMFORTABLE = 0.8;

export function apiDemand(config: Config, now: number): readonly ApiDemand[] {
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
): ApiDemand {
  const { discover } = project;
  const discovery = discover ? (discover.engines.length * 1000) / discover.every : 0;
  let idle = discovery;
  let busy = discovery;
  for (const { poll, stuck, engine } of project.instances) {
    const usual = interval(poll.schedule, poll.timezone);
    const active = Math.min(usual, activeInterval(poll, interval));
    const asksProgress = stuck.no_progress_after !== null && tellsProgress(engine);
    idle += 1000 / usual;
    busy += ((asksProgress ? 2 : 1) * 1000) / active;
    if (!project.scheduled_tasks) continue;
    idle += scheduledRate(usual);
    busy += scheduledRate(active);
  }
  return {
    project: project.name,
    instances: project.instances.length,
    discovers: discover !== null,
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
export function apiDemandWarnings(needs: readonly ApiDemand[], concurrency: number): readonly string[] {
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
