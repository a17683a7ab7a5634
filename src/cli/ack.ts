import { acknowledgeTask } from "../app/acknowledge.ts";
import { ProjectIds } from "../app/project-ids.ts";
import { UsageError } from "../errors.ts";
import { systemClock } from "../platform/clock.ts";
import { userName } from "../platform/process.ts";
import type { Reader } from "../ports/store.ts";
import { compileGlob } from "../util/glob.ts";
import { printable } from "../views/printable.ts";
import type { KnownTask } from "../views/task.ts";
import { plural } from "../views/text.ts";
import { type ConfigArgs, mustLoad } from "./config.ts";
import type { ExitCode, Io } from "./io.ts";
import { knownTasks } from "./known-tasks.ts";
import { withStore } from "./store.ts";

export interface AckArgs extends ConfigArgs {
  readonly reason?: string;
  /** Absent: the user of the operating system. */
  readonly by?: string;
  /** All open failures and stuck tasks that fit `instance` and `task`, globs both. */
  readonly all?: boolean;
  /** Id or name. */
  readonly instance?: string;
  readonly task?: string;
}

/** Acknowledges in the store, beside the daemon, which loads it anew. */
export async function ack(taskId: string | undefined, args: AckArgs, io: Io): Promise<ExitCode> {
  mustMeanSomething(taskId, args);
  const loaded = await mustLoad(args, io);
  const by = { by: args.by ?? userName(io.env), at: systemClock.now(), reason: args.reason ?? null };
  return await withStore(loaded.config, async (store) => {
    const found = await candidates(store.reader, taskId);
    const config = await new ProjectIds(store.notes).complete(loaded.config);
    const tasks = await knownTasks(store.reader, found);
    const wanted = tasks.filter(fits(args));
    if (wanted.length === 0) {
      const which =
        taskId === undefined ? "open failure or stuck task fits" : `task ${taskId} is known to the store`;
      io.err(`nothing acknowledged: no ${which}`);
      return 1;
    }
    let done = 0;
    for (const known of wanted) {
      const refused = await acknowledgeTask(store.state, config, known, by);
      const name = `${known.task.name} ${known.task.id} on ${known.record.name}`;
      if (refused !== null) io.err(`${printable(name)}: ${refused}`);
      else {
        done += 1;
        io.out(`acknowledged ${printable(name)}`);
      }
    }
    if (wanted.length > 1) io.out(`${plural(done, "task")} acknowledged by ${printable(by.by)}`);
    return done === wanted.length ? 0 : 1;
  });
}

function mustMeanSomething(taskId: string | undefined, { all, instance, task }: AckArgs): void {
  if (taskId !== undefined && (all || task !== undefined)) {
    throw new UsageError("ack: give a task id, or --all with --instance and --task, not both");
  }
  if (taskId === undefined && !all) throw new UsageError("ack: give a task id, or --all");
  if (all && instance === undefined && task === undefined) {
    throw new UsageError("ack --all: say of which --instance, of which --task, or both ('*' is every one)");
  }
}

async function candidates(reader: Reader, taskId: string | undefined) {
  if (taskId !== undefined) return await reader.task(taskId);
  return [...(await reader.tasks({ state: "failed" })), ...(await reader.tasks({ state: "stuck" }))];
}

function fits({ instance = "*", task = "*" }: AckArgs): (known: KnownTask) => boolean {
  const fitsInstance = compileGlob(instance);
  const fitsTask = compileGlob(task);
  return ({ record, task: { name } }) =>
    (fitsInstance(record.instanceId) || fitsInstance(record.name)) && fitsTask(name);
}
