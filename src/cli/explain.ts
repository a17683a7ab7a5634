import { explainTasks } from "../app/explain.ts";
import { ProjectIds } from "../app/project-ids.ts";
import { projectOf } from "../app/rules.ts";
import type { Config } from "../config/config.ts";
import { durationSeconds } from "../core/data.ts";
import { isFinal } from "../core/task.ts";
import { systemClock } from "../platform/clock.ts";
import type { StoredEvent } from "../ports/store.ts";
import { jsonText, printable } from "../views/printable.ts";
import { secondsText, timeText } from "../views/text.ts";
import { type ConfigArgs, mustLoad } from "./config.ts";
import type { ExitCode, Io } from "./io.ts";
import { knownTasks } from "./known-tasks.ts";
import { withStore } from "./store.ts";
import { renderTable } from "./table.ts";
import { shownTask } from "./tasks.ts";

type Explained = Awaited<ReturnType<typeof explainTasks>>[number];

/** What happened to a task, and why it is, or is not, stuck. A task id may stand on several instances. */
export async function explain(
  taskId: string,
  args: ConfigArgs & { readonly json?: boolean },
  io: Io,
): Promise<ExitCode> {
  const loaded = await mustLoad(args, io);
  return await withStore(loaded.config, async ({ reader, notes }) => {
    const config = await new ProjectIds(notes).complete(loaded.config);
    const tasks = await knownTasks(reader, await reader.task(taskId));
    if (tasks.length === 0) {
      io.err(`no task ${taskId} is known to the store`);
      return 1;
    }
    const now = systemClock.now();
    const explained = await explainTasks(reader, config, tasks, now);
    if (args.json) io.out(jsonText({ tasks: explained.map((each) => explanationJson(config, each, now)) }));
    else for (const each of explained) tell(config, each, now, io);
    return 0;
  });
}

function tell(config: Config, { known, why, notes, history }: Explained, now: number, io: Io): void {
  const { task, record } = known;
  const project = projectOf(config, record.projectId)?.name ?? record.projectId;
  const facts: readonly (readonly [string, string])[] = [
    ["task", `${task.name} ${task.id}`],
    ["instance", `${record.name} ${record.instanceId} (${record.engine}), project ${project}`],
    ["status", task.status],
    ["created", timeText(task.createdAt)],
    ["updated", timeText(task.updatedAt)],
    [isFinal(task.status) ? "took" : "age", secondsText(durationSeconds(task, now))],
    ["first seen", timeText(task.seenAt)],
    ["last complete poll", timeText(record.lastCompleteAt)],
  ];
  for (const [title, text] of facts) io.out(`${`${title}:`.padEnd(20)}${printable(text)}`);
  io.out("");
  for (const text of [why, ...notes]) io.out(printable(text));
  io.out("");
  if (history.length === 0) io.out("no events are kept of it");
  else for (const line of renderTable(HISTORY, history.map(row), null)) io.out(line);
}

const HISTORY = [
  { title: "TIME" },
  { title: "#", align: "right" },
  { title: "EVENT" },
  { title: "REASON", uncut: true },
] as const;

function row({ time, type, body }: StoredEvent): readonly string[] {
  const { data } = JSON.parse(body) as { data: { sequence: number | null; reason: string } };
  return [timeText(time), data.sequence === null ? "" : String(data.sequence), type, data.reason];
}

function explanationJson(
  config: Config,
  { known, why, limit, notes, runs, history }: Explained,
  now: number,
) {
  return {
    ...shownTask(config, known, now),
    why,
    notes,
    limit,
    runs_known: runs,
    events: history.map(({ body }) => JSON.parse(body) as unknown),
  };
}
