import { ProjectIds } from "../app/project-ids.ts";
import { projectOf } from "../app/rules.ts";
import type { Config } from "../config/config.ts";
import { durationSeconds } from "../core/data.ts";
import { isMuted } from "../core/state.ts";
import { isOpen } from "../core/task.ts";
import { systemClock } from "../platform/clock.ts";
import type { Reader, TaskFilter } from "../ports/store.ts";
import { jsonText } from "../views/printable.ts";
import { type KnownTask, type TaskJson, taskJson } from "../views/task.ts";
import { secondsText } from "../views/text.ts";
import { type ConfigArgs, mustLoad } from "./config.ts";
import type { ExitCode, Io } from "./io.ts";
import { knownTasks } from "./known-tasks.ts";
import { withStore } from "./store.ts";
import { type Column, renderTable } from "./table.ts";
import { unreadableLines } from "./unreadable.ts";
import { tellUnwatched } from "./unwatched.ts";

export interface TasksArgs extends ConfigArgs {
  /** Absent: what runs and what failed. */
  readonly state?: TaskFilter["state"];
  readonly json?: boolean;
}

/** Tasks as the store knows them, beside the daemon. */
export async function tasks(args: TasksArgs, io: Io): Promise<ExitCode> {
  const loaded = await mustLoad(args, io);
  return await withStore(loaded.config, async (store) => {
    const config = await new ProjectIds(store.notes).complete(loaded.config);
    const found = await knownTasks(store.reader, await read(store.reader, args.state));
    const sorted = [...found].sort(byPlace);
    const now = systemClock.now();
    if (args.json) io.out(jsonText({ tasks: sorted.map((known) => shownTask(config, known, now)) }));
    else if (sorted.length === 0) io.out("no tasks");
    else {
      const rows = sorted.map((known) => row(config, known, now));
      for (const line of renderTable(COLUMNS, rows, io.width)) io.out(line);
    }
    const unreadable = await store.reader.unreadable();
    for (const line of unreadableLines(unreadable)) io.err(line);
    const unwatched = await tellUnwatched(store, config, io);
    if (sorted.some(({ task }) => task.failedAt !== null || task.verdict !== null)) return 3;
    return unreadable.length + unwatched > 0 ? 1 : 0;
  });
}

async function read(reader: Reader, state: TaskFilter["state"] | undefined) {
  if (state !== undefined) return await reader.tasks({ state });
  const states = ["open", "stuck", "failed"] as const;
  const all = (await Promise.all(states.map((each) => reader.tasks({ state: each })))).flat();
  // One may be several of these: a failure that runs again, a task that hangs.
  return [...new Map(all.map((known) => [`${known.key} ${known.task.id}`, known])).values()];
}

/** By instance, the newest task first. */
const byPlace = (a: KnownTask, b: KnownTask): number =>
  compare(a.record.projectId, b.record.projectId) ||
  compare(a.record.name, b.record.name) ||
  compare(a.key, b.key) ||
  (b.task.createdAt ?? 0) - (a.task.createdAt ?? 0) ||
  compare(a.task.id, b.task.id);

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const COLUMNS: readonly Column[] = [
  { title: "PROJECT" },
  { title: "INSTANCE" },
  { title: "TASK NAME" },
  { title: "TASK ID", whole: true },
  { title: "STATUS", whole: true },
  { title: "DURATION", align: "right", whole: true },
  { title: "VERDICT", whole: true },
];

const row = (config: Config, known: KnownTask, now: number): readonly string[] => {
  const { record, task } = known;
  const duration = secondsText(durationSeconds(task, now));
  return [
    nameOf(config, known),
    record.name,
    task.name,
    task.id,
    task.status,
    duration,
    `${verdictOf(task) ?? ""}${isMuted(task) ? " (muted)" : ""}`,
  ];
};

/** As `poll` names it; an acknowledged task has none any more. */
function verdictOf({ verdict, failedAt, acknowledged, status }: KnownTask["task"]): string | null {
  if (verdict !== null) return verdict.kind;
  if (failedAt !== null) return "failed";
  return acknowledged !== null && (isOpen(status) || status === "FAILED") ? "acknowledged" : null;
}

/** For `--json` of this and of `explain`. */
export const shownTask = (config: Config, known: KnownTask, now: number): TaskJson =>
  taskJson(known, nameOf(config, known), config.privacy, now);

const nameOf = (config: Config, { record: { projectId } }: KnownTask): string =>
  projectOf(config, projectId)?.name ?? projectId;
