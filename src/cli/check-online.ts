import { type StandaloneProject, withProjects } from "../app/standalone.ts";
import type { Config } from "../config/config.ts";
import { plainInstance } from "../config/resolve.ts";
import { CloudError } from "../errors.ts";
import { systemClock } from "../platform/clock.ts";
import type { InstanceTarget } from "../poll/target.ts";
import { Semaphore } from "../util/semaphore.ts";
import { failureText } from "./cause-text.ts";
import type { Io } from "./io.ts";
import { startProgress } from "./progress.ts";
import { renderTable } from "./table.ts";

export interface Online {
  /** Did everything answer as it should? */
  readonly accepted: boolean;
  /** The configuration with the instances that discovery found among the named ones. */
  readonly found: Config;
}

interface Answer {
  readonly project: string;
  /** Empty for the project itself. */
  readonly instance: string;
  /** Null: it answered as it should. */
  readonly problem: string | null;
}

const NOT_ASKED = "not asked: the project has to answer first";
/** The shortest list that can be asked for, so that it takes one call. */
const SHORT_MS = 1000;

/**
 * Signs one call per project and, once its credentials were accepted, one per instance, all within the budget, and
 * shows what came back.
 */
export async function checkOnline(config: Config, io: Io): Promise<Online> {
  const asked = await withProjects(config, { clock: systemClock, env: io.env }, async (projects) => {
    const instances = config.projects.reduce((sum, project) => sum + project.instances.length, 0);
    const progress = startProgress(io, instances, "instances asked");
    const slots = new Semaphore(config.poll.concurrency);
    const all = projects.map((project) => askProject(project, slots, io.signal, () => progress.done()));
    try {
      return await Promise.all(all);
    } finally {
      progress.end();
      await Promise.allSettled(all);
    }
  });
  const answers = asked.flatMap((each) => each.answers);
  const rows = answers.map(({ project, instance, problem }) => [project, instance, problem ?? "accepted"]);
  for (const line of renderTable(COLUMNS, rows, null)) io.out(line);
  io.out("");
  const projects = config.projects.map((project, index) => {
    const named = new Set(project.instances.map(({ id }) => id));
    const more = (asked[index]?.targets ?? []).filter(({ instanceId }) => !named.has(instanceId));
    const discovered = more.map(({ rules }) => plainInstance(config, rules.instance));
    return { ...project, instances: [...project.instances, ...discovered] };
  });
  return { accepted: answers.every(({ problem }) => problem === null), found: { ...config, projects } };
}

const COLUMNS = [{ title: "PROJECT" }, { title: "INSTANCE" }, { title: "ANSWER", uncut: true }] as const;

async function askProject(
  { config, reach, accepted }: StandaloneProject,
  slots: Semaphore,
  signal: AbortSignal,
  done: () => void,
): Promise<{ readonly answers: readonly Answer[]; readonly targets: readonly InstanceTarget[] }> {
  const project = config.name;
  let targets: readonly InstanceTarget[] = [];
  const own = await outcome(async () => {
    const reached = await reach(signal);
    const [first] = reached.targets;
    // Where the id was looked up or instances were discovered, that was the project's own call.
    if (first && config.project_id !== null && !config.discover) {
      await shortList(first, signal).catch((error: unknown) => {
        // An instance that is not there, or not to be read, says that the credentials are good.
        if (!accepted()) throw error;
      });
    }
    ({ targets } = reached);
  }, signal);
  if (own !== null) {
    const unasked = config.instances.map(({ name }) => ({ project, instance: name, problem: NOT_ASKED }));
    return { answers: [{ project, instance: "", problem: own }, ...unasked], targets };
  }
  const asked = await Promise.all(
    targets.map(async (target) => {
      const leave = await slots.acquire(signal);
      try {
        return {
          project,
          instance: target.rules.instance.name,
          problem: await outcome(() => shortList(target, signal), signal),
        };
      } finally {
        leave();
        done();
      }
    }),
  );
  return { answers: [{ project, instance: "", problem: null }, ...asked], targets };
}

async function shortList({ source, instanceId }: InstanceTarget, signal: AbortSignal): Promise<void> {
  const now = systemClock.now() + (source.cloudOffset ?? 0);
  const { gap, cause } = await source.list(instanceId, { from: now - SHORT_MS, to: now }, signal);
  if (cause !== null) throw new CloudError(cause, gap ?? "the list is not complete");
}

/** Null for a good answer, else in plain words what was wrong with it. */
async function outcome(call: () => Promise<unknown>, signal: AbortSignal): Promise<string | null> {
  try {
    await call();
    return null;
  } catch (error) {
    signal.throwIfAborted();
    return failureText(error);
  }
}
