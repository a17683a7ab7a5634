import type { JudgedTaskJson } from "../views/api.ts";
import { type Html, html } from "./html.ts";
import {
  againstLimit,
  clockTime,
  limitText,
  nameOf,
  section,
  since,
  table,
  taskAnchor,
  taskLink,
} from "./parts.ts";

/** Rows of one table; what is left out is counted. */
const MOST_ROWS = 100;

export interface Going {
  readonly failing: readonly JudgedTaskJson[];
  readonly stuck: readonly JudgedTaskJson[];
  readonly running: readonly JudgedTaskJson[];
}

/** What goes on: each task once, where it is most pressing. The most pressing first. */
export function going(live: readonly JudgedTaskJson[]): Going {
  const by = (key: (task: JudgedTaskJson) => number) => (a: JudgedTaskJson, b: JudgedTaskJson) =>
    key(b) - key(a);
  const failing = live.filter((task) => task.failed_since !== null);
  const stuck = live.filter((task) => task.failed_since === null && task.verdict !== null);
  const running = live.filter((task) => task.failed_since === null && task.verdict === null);
  return {
    failing: failing.sort(by(({ failed_since }) => Date.parse(failed_since ?? ""))),
    stuck: stuck.sort(by(({ duration_seconds }) => duration_seconds ?? Number.POSITIVE_INFINITY)),
    running: running.sort(
      by(({ duration_seconds, limit }) => (duration_seconds ?? 0) / (limit?.seconds ?? 1)),
    ),
  };
}

export const failingSection = (tasks: readonly JudgedTaskJson[], now: number): Html =>
  section(
    "failing",
    `Failing (${tasks.length})`,
    listOf(tasks, "Nothing that failed is open.", (shown) =>
      table(
        "Tasks that failed, until a later one succeeds or somebody acknowledges them",
        ["Task", "Instance", "Failed", "After"],
        shown.map((task) => ({
          id: taskAnchor(task.task.id),
          kind: "failed",
          cells: [
            linkOf(task),
            instanceOf(task),
            html`${since(task.failed_since, now)}${muted(task, now)}`,
            html`${task.duration_seconds === null ? "unknown" : againstLimit(task.duration_seconds, null)}`,
          ],
        })),
      ),
    ),
  );

export const stuckSection = (tasks: readonly JudgedTaskJson[], now: number): Html =>
  section(
    "stuck",
    `Stuck (${tasks.length})`,
    listOf(tasks, "Nothing is over its limit.", (shown) =>
      table(
        "Tasks that are over a limit",
        ["Task", "Instance", "Why", "Age", "Limit", "Stuck"],
        shown.map((task) => ({
          id: taskAnchor(task.task.id),
          kind: "stuck",
          cells: [
            linkOf(task),
            instanceOf(task),
            html`${task.verdict?.replaceAll("_", " ")} <small>${nameOf(task.task.status)}${progress(task)}</small>`,
            againstLimit(task.duration_seconds, null),
            html`${task.threshold && limitText(task.threshold)}`,
            html`${since(task.stuck_since, now)}${muted(task, now)}`,
          ],
        })),
      ),
    ),
  );

export const runningSection = (tasks: readonly JudgedTaskJson[]): Html =>
  section(
    "running",
    `Running (${tasks.length})`,
    listOf(tasks, "Nothing runs.", (shown) =>
      table(
        "Tasks that run or wait, within their limits or acknowledged",
        ["Task", "Instance", "Status", "Age and limit"],
        shown.map((task) => ({
          id: taskAnchor(task.task.id),
          kind: "open",
          cells: [
            linkOf(task),
            instanceOf(task),
            html`${nameOf(task.task.status)}<small>${progress(task)}${acknowledged(task)}</small>`,
            againstLimit(task.duration_seconds, task.acknowledged === null ? task.limit : null),
          ],
        })),
      ),
    ),
  );

function listOf(
  tasks: readonly JudgedTaskJson[],
  none: string,
  show: (tasks: readonly JudgedTaskJson[]) => Html,
): Html {
  if (tasks.length === 0) return html`<p class="none">${none}</p>`;
  const left = tasks.length - MOST_ROWS;
  return html`${show(tasks.slice(0, MOST_ROWS))}${left > 0 && html`<p>${left} more are not shown.</p>`}`;
}

const linkOf = ({ task }: JudgedTaskJson): Html => taskLink("", task.id, nameOf(task.name));

const instanceOf = ({ instance, project }: JudgedTaskJson): Html =>
  html`${nameOf(instance.name)} <small>${nameOf(project.name)}</small>`;

const progress = ({ progress_ratio: ratio }: JudgedTaskJson): string =>
  ratio === null ? "" : `, ${Math.round(ratio * 100)} % done`;

const muted = ({ muted_until: until }: JudgedTaskJson, now: number): Html | null =>
  until === null ? null : html` <small>muted by maintenance until ${clockTime(until, now)}</small>`;

const acknowledged = ({ acknowledged: by }: JudgedTaskJson): Html | null =>
  by && html`, acknowledged by ${nameOf(by.by)}`;
