import { iso, visibleTask } from "../core/data.ts";
import type { InstanceName } from "../core/event.ts";
import { plural, secondsText, timeText } from "../views/text.ts";
import type { JudgedTask } from "./poll-judge.ts";
import { type Column, renderTable } from "./table.ts";

/** What one pass gave of one instance. */
export interface InstancePass {
  readonly project: string;
  /** Null where the project itself could not be asked. */
  readonly instance: InstanceName | null;
  readonly tasks: readonly JudgedTask[];
  /** Rows that could not be read. */
  readonly unreadable: number;
  /** Why not all could be read, null where it was. */
  readonly problem: string | null;
}

const COLUMNS: readonly Column[] = [
  { title: "PROJECT" },
  { title: "INSTANCE" },
  { title: "TASK NAME" },
  { title: "TASK ID", whole: true },
  { title: "STATUS", whole: true },
  { title: "AGE", align: "right", whole: true },
  { title: "DURATION", align: "right", whole: true },
  { title: "VERDICT", whole: true },
];
/** Where there are scheduled tasks. */
const PLANNED: Column = { title: "PLANNED START", whole: true };

export function passTable(passes: readonly InstancePass[], width: number | null): readonly string[] {
  const planned = passes.some(({ tasks }) => tasks.some(({ scheduleAt }) => scheduleAt !== null));
  const rows = passes.flatMap(({ project, instance, tasks }) =>
    tasks.map(({ task, scheduleAt, ageSeconds, durationSeconds, verdict }) => [
      project,
      instance?.name ?? "",
      task.name,
      task.id,
      task.status,
      secondsText(ageSeconds),
      secondsText(durationSeconds),
      verdict ?? "",
      ...(planned ? [scheduleAt === null ? "" : timeText(scheduleAt)] : []),
    ]),
  );
  if (rows.length > 0) return renderTable(planned ? [...COLUMNS, PLANNED] : COLUMNS, rows, width);
  // Where something could not be read, nobody knows.
  return passes.some(({ problem }) => problem !== null) ? [] : ["no tasks"];
}

export function passJson(passes: readonly InstancePass[], userNames: boolean): unknown {
  return {
    tasks: passes.flatMap(({ project, instance, tasks }) =>
      tasks.map(({ task, scheduleAt, ageSeconds, durationSeconds, verdict, threshold }) => ({
        project,
        instance,
        // What is not kept is not masked either.
        task: { ...visibleTask(task, { userNames, taskParams: false }), schedule_at: iso(scheduleAt) },
        age_seconds: ageSeconds,
        duration_seconds: durationSeconds,
        verdict,
        threshold,
      })),
    ),
    problems: passes.flatMap(({ project, instance, unreadable, problem }) =>
      problem === null && unreadable === 0
        ? []
        : [{ project, instance, unreadable_tasks: unreadable, problem }],
    ),
  };
}

/** What could not be read, said once where many instances have the same trouble. */
export function problemLines(passes: readonly InstancePass[]): readonly string[] {
  const groups = new Map<string, { project: string; names: string[]; problem: string }>();
  for (const { project, instance, problem, unreadable } of passes) {
    const texts = problem === null ? [] : [problem];
    if (unreadable > 0) texts.push(`${plural(unreadable, "task")} in the list could not be read`);
    for (const text of texts) {
      const key = JSON.stringify([project, text]);
      const group = groups.get(key) ?? { project, names: [], problem: text };
      if (instance) group.names.push(instance.name);
      groups.set(key, group);
    }
  }
  return [...groups.values()].map(({ project, names, problem }) => {
    if (names.length === 0) return `${project}: ${problem}`;
    return `${project}: ${names.length > 3 ? plural(names.length, "instance") : names.join(", ")}: ${problem}`;
  });
}
