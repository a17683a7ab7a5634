import { type StandaloneProject, withProjects } from "../app/standalone.ts";
import type { Config, ProjectConfig } from "../config/config.ts";
import type { Window } from "../core/task.ts";
import { UsageError } from "../errors.ts";
import { systemClock } from "../platform/clock.ts";
import type { InstanceTarget } from "../poll/target.ts";
import { nearest } from "../util/nearest.ts";
import { Semaphore } from "../util/semaphore.ts";
import { jsonText } from "../views/printable.ts";
import { plural } from "../views/text.ts";
import { failureText } from "./cause-text.ts";
import { type ConfigArgs, mustLoad } from "./config.ts";
import type { ExitCode, Io } from "./io.ts";
import { alerts, judgeListing } from "./poll-judge.ts";
import { listRange } from "./poll-range.ts";
import { type InstancePass, passJson, passTable, problemLines } from "./poll-report.ts";
import { type Progress, startProgress } from "./progress.ts";

export interface PollArgs extends ConfigArgs {
  /** Epoch milliseconds. */
  readonly from?: number;
  readonly to?: number;
  /** Ids or names; absent: all. */
  readonly instance?: readonly string[];
  readonly json?: boolean;
}

/** A task may be dated a little ahead by the cloud's clock. */
const AHEAD_MS = 60_000;

/** Reads each instance once and shows its tasks, judged as the daemon would. Nothing is written to the store. */
export async function poll(args: PollArgs, io: Io): Promise<ExitCode> {
  const { config } = await mustLoad(args, io);
  const range = rangeOf(args, systemClock.now());
  const passes = await withProjects(config, { clock: systemClock, env: io.env }, async (projects) => {
    const asked = projects.filter(({ config }) => mayHave(config, args.instance));
    const reached = await Promise.all(asked.map((project) => reachProject(project, io.signal)));
    const targets = wantedTargets(config, reached, args.instance);
    const progress = startProgress(io, targets.length, "instances polled");
    const slots = new Semaphore(config.poll.concurrency);
    const polled = targets.map(async (target) => {
      const leave = await slots.acquire(io.signal);
      try {
        // What waits for its start is of the present.
        const withScheduled = target.rules.scheduledTasks && args.to === undefined;
        return await passInstance(target, range(target), withScheduled, progress, io.signal);
      } finally {
        leave();
        progress.done();
      }
    });
    try {
      const failed = reached.flatMap(({ failure }) => (failure ? [failure] : []));
      return [...failed, ...(await Promise.all(polled))];
    } finally {
      await Promise.allSettled(polled);
      progress.end();
    }
  });
  if (args.json) io.out(jsonText(passJson(passes, config.privacy.user_names)));
  else for (const line of passTable(passes, io.width)) io.out(line);
  for (const line of problemLines(passes)) io.err(line);
  if (passes.some(({ tasks }) => tasks.some(alerts))) return 3;
  return passes.some(({ problem }) => problem !== null) ? 1 : 0;
}

/** The stretch of time of one instance: as asked for, else as for an instance's first poll. */
function rangeOf({ from, to }: PollArgs, now: number): (target: InstanceTarget) => Window {
  if (from !== undefined && from > (to ?? now)) {
    throw new UsageError(
      to === undefined ? "--from: this time has not come yet" : "--from: is later than --to",
    );
  }
  return ({ rules: { window } }) => ({
    from: from ?? (to ?? now) - Math.max(window.maxLookback, window.lookback),
    to: to ?? now + AHEAD_MS,
  });
}

/** A project that cannot have any of the instances is not asked for what it has. */
function mayHave({ instances, discover }: ProjectConfig, names: PollArgs["instance"]): boolean {
  return (
    names === undefined ||
    discover !== null ||
    instances.some(({ id, name }) => names.includes(id) || names.includes(name))
  );
}

interface Reached {
  readonly targets: readonly InstanceTarget[];
  readonly failure: InstancePass | null;
}

async function reachProject({ config, reach }: StandaloneProject, signal: AbortSignal): Promise<Reached> {
  try {
    return { targets: (await reach(signal)).targets, failure: null };
  } catch (error) {
    signal.throwIfAborted();
    const failure = {
      project: config.name,
      instance: null,
      tasks: [],
      unreadable: 0,
      problem: failureText(error),
    };
    return { targets: [], failure };
  }
}

/** Throws UsageError for a name that nothing has. */
function wantedTargets(
  { projects }: Config,
  reached: readonly Reached[],
  names: PollArgs["instance"],
): readonly InstanceTarget[] {
  const all = reached.flatMap(({ targets }) => targets);
  if (names === undefined) return all;
  const has = ({ instanceId, rules }: InstanceTarget, name: string) =>
    instanceId === name || rules.instance.name === name;
  for (const name of names) {
    // What could not be reached may have had it.
    if (reached.some(({ failure }) => failure) || all.some((target) => has(target, name))) continue;
    const named = projects.flatMap(({ instances }) => instances);
    const known = [...named, ...all.map(({ rules }) => rules.instance)].flatMap((each) => [
      each.name,
      each.id,
    ]);
    const meant = nearest(name, known);
    const hint = meant === undefined ? "" : `; did you mean ${meant}?`;
    throw new UsageError(`--instance: no instance has the id or name ${name}${hint}`);
  }
  return all.filter((target) => names.some((name) => has(target, name)));
}

async function passInstance(
  target: InstanceTarget,
  window: Window,
  withScheduled: boolean,
  progress: Progress,
  signal: AbortSignal,
): Promise<InstancePass> {
  const { rules, project, source, instanceId } = target;
  const about = { project: project.name, instance: rules.instance };
  const list = async (part: Window) => {
    const listing = await source.list(instanceId, part, signal);
    progress.read(listing.tasks.length);
    return listing;
  };
  try {
    const listing = await listRange(list, window);
    const scheduled = withScheduled ? await readScheduled(target, signal) : { rows: null, problem: null };
    const part = listing.complete
      ? null
      : `only ${plural(listing.tasks.length, "task")} could be read: ${listing.gap ?? "the list is not complete"}`;
    return {
      ...about,
      tasks: judgeListing(rules, listing, scheduled.rows, systemClock.now()),
      unreadable: listing.malformed.length,
      problem: part ?? scheduled.problem,
    };
  } catch (error) {
    signal.throwIfAborted();
    return { ...about, tasks: [], unreadable: 0, problem: failureText(error) };
  }
}

/** Without them the tasks are shown all the same. */
async function readScheduled({ source, instanceId }: InstanceTarget, signal: AbortSignal) {
  try {
    return { rows: await source.scheduled(instanceId, signal), problem: null };
  } catch (error) {
    signal.throwIfAborted();
    return { rows: null, problem: `scheduled tasks: ${failureText(error)}` };
  }
}
