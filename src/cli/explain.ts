import { projectOf, recordRules } from "../app/known-projects.ts";
import type { Config } from "../config/config.ts";
import { durationSeconds } from "../core/data.ts";
import { knowledgeOf } from "../core/names.ts";
import { count, merge, parse } from "../core/sketch.ts";
import type { NameKnowledge } from "../core/state.ts";
import { isFinal } from "../core/task.ts";
import { systemClock } from "../platform/clock.ts";
import type { Reader, StoredEvent } from "../ports/store.ts";
import { type ConfigArgs, mustLoad } from "./config.ts";
import { type Why, whyOf } from "./explain-why.ts";
import type { ExitCode, Io } from "./io.ts";
import { type KnownTask, knownTasks } from "./known-tasks.ts";
import { jsonText, printable } from "./printable.ts";
import { withStore } from "./store.ts";
import { renderTable } from "./table.ts";
import { taskJson } from "./tasks.ts";
import { secondsText, timeText } from "./text.ts";

/** An event of the task, with what an explanation shows of it. */
interface HistoryItem {
  readonly stored: StoredEvent;
  readonly source: string;
  readonly sequence: number | null;
  readonly reason: string;
}

interface Explanation extends Why {
  readonly known: KnownTask;
  /** Finished runs of its name that thresholds are learned from. */
  readonly runs: number;
  readonly history: readonly HistoryItem[];
}

/** More events than this of one task are not told of. */
const MOST_EVENTS = 1000;

/** What happened to a task, and why it is, or is not, stuck. A task id may stand on several instances. */
export async function explain(
  taskId: string,
  args: ConfigArgs & { readonly json?: boolean },
  io: Io,
): Promise<ExitCode> {
  const loaded = await mustLoad(args, io);
  return await withStore(loaded.config, async ({ reader }) => {
    const { config, tasks } = await knownTasks(loaded.config, reader, await reader.task(taskId));
    if (tasks.length === 0) {
      io.err(`no task ${taskId} is known to the store`);
      return 1;
    }
    const names = await reader.names();
    const history = await historyOf(reader, taskId);
    const now = systemClock.now();
    const explained = tasks.map((known) => explainOne(config, known, names, history, now));
    if (args.json) io.out(jsonText({ tasks: explained.map((each) => explanationJson(config, each, now)) }));
    else for (const each of explained) tell(config, each, now, io);
    return 0;
  });
}

function explainOne(
  config: Config,
  known: KnownTask,
  names: readonly NameKnowledge[],
  history: readonly HistoryItem[],
  now: number,
): Explanation {
  const { task, record } = known;
  const { stuck } = recordRules(config, record);
  const own = names.filter(({ projectId, name }) => projectId === record.projectId && name === task.name);
  const knowledge = knowledgeOf(own, record.projectId, stuck.learn);
  const runs = count(merge(own.map(({ sketch }) => parse(sketch))));
  const source = `/projects/${record.projectId}/instances/${record.instanceId}`;
  return {
    ...whyOf(task, stuck, knowledge, runs, now),
    known,
    runs,
    history: history.filter((item) => item.source === source),
  };
}

async function historyOf(reader: Reader, taskId: string): Promise<readonly HistoryItem[]> {
  const { events } = await reader.events({ taskId, limit: MOST_EVENTS });
  return events.map((stored) => {
    const { source, data } = JSON.parse(stored.body) as {
      source: string;
      data: { sequence: number | null; reason: string };
    };
    return { stored, source, sequence: data.sequence, reason: data.reason };
  });
}

function tell(config: Config, { known, why, notes, history }: Explanation, now: number, io: Io): void {
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

const row = ({ stored, sequence, reason }: HistoryItem): readonly string[] => [
  timeText(stored.time),
  sequence === null ? "" : String(sequence),
  stored.type,
  reason,
];

function explanationJson(
  config: Config,
  { known, why, limit, notes, runs, history }: Explanation,
  now: number,
) {
  return {
    ...taskJson(config, known, now),
    why,
    notes,
    limit,
    runs_known: runs,
    events: history.map(({ stored }) => JSON.parse(stored.body) as unknown),
  };
}
