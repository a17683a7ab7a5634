import { humanDuration } from "../core/reason.ts";
import type { Api, ExplainedTaskJson } from "../views/api.ts";
import { eventItem } from "./events.ts";
import { type Html, html } from "./html.ts";
import { layout } from "./layout.ts";
import { ago, clockTime, limitText, nameOf, section, shownName, since } from "./parts.ts";
import type { Page } from "./status-page.ts";

/** Who looks at the page, where `server.auth` is configured; `user` is null where the credentials name nobody. */
export interface Caller {
  readonly user: string | null;
}

/** The API has the rest. */
const MOST_EVENTS = 200;

/** One task: its state, why it is, or is not, stuck, and what happened to it. */
export async function taskPage(api: Api, id: string, caller: Caller | null, now: number): Promise<Page> {
  const tasks = await api.task(id, { project: null, instance: null });
  const main =
    tasks.length === 0
      ? section(
          "task",
          "No such task",
          html`<p>No task <b>${nameOf(id)}</b> is known to the store. <a href="../">All tasks</a></p>`,
        )
      : html`${tasks.map((task, index) => [acknowledging(task, caller), taskSection(task, index, now)])}`;
  return {
    status: tasks.length === 0 ? 404 : 200,
    body: layout({
      title: `${tasks[0] ? shownName(tasks[0].task.name) : "No such task"} · dms-taskwatch`,
      root: "../",
      header: html`<nav aria-label="Pages"><ul><li><a href="../">All tasks</a></li></ul></nav>`,
      main,
      footer: html`<p>As of ${clockTime(new Date(now).toISOString(), now)} UTC. The same <a href="../api/v1/tasks/${encodeURIComponent(id)}">in JSON</a>.</p>`,
    }),
  };
}

function taskSection(explained: ExplainedTaskJson, index: number, now: number): Html {
  const { task, instance, project, why, notes, limit, muted_until, acknowledged, progress_ratio, events } =
    explained;
  const facts: readonly (readonly [string, Html | null])[] = [
    ["Id", nameOf(task.id)],
    ["Instance", html`${nameOf(instance.name)} <small>${nameOf(instance.id)}, ${instance.engine}</small>`],
    ["Project", nameOf(project.name)],
    ["Status", nameOf(task.status)],
    ["Created", since(task.created_at, now)],
    ["Updated", since(task.updated_at, now)],
    [
      "Duration",
      html`${explained.duration_seconds === null ? "unknown" : humanDuration(explained.duration_seconds)}`,
    ],
    ["Limit", limit && html`${limitText(limit)}`],
    ["Progress", progress_ratio === null ? null : html`${Math.round(progress_ratio * 100)} %`],
    ["User", userOf(task)],
    ["Muted", muted_until === null ? null : html`by maintenance until ${clockTime(muted_until, now)}`],
    [
      "Acknowledged",
      acknowledged &&
        html`by ${nameOf(acknowledged.by)} ${ago(acknowledged.at, now)}${acknowledged.reason !== null && html`: ${nameOf(acknowledged.reason)}`}`,
    ],
    ["Parameters", task.params === null ? null : html`<code>${nameOf(task.params)}</code>`],
  ];
  const body = html`<p class="why">${nameOf(why)}</p>
${notes.map((note) => html`<p>${nameOf(note)}</p>\n`)}<dl>
${facts.map(([title, text]) => text && html`<dt>${title}</dt><dd>${text}</dd>\n`)}</dl>
<h3>What happened</h3>
${
  events.length === 0
    ? html`<p class="none">No events are kept of it.</p>`
    : html`<ol class="events">
${events
  .slice(-MOST_EVENTS)
  .reverse()
  .map((event) =>
    eventItem(event, now, "../"),
  )}</ol>${events.length > MOST_EVENTS && html`<p>${events.length - MOST_EVENTS} earlier ones are not shown.</p>`}`
}`;
  return section(index === 0 ? "task" : `task-${index + 1}`, shownName(task.name), body);
}

function userOf({ user_name, user_id }: ExplainedTaskJson["task"]): Html | null {
  if (user_name === null) return user_id === null ? null : nameOf(user_id);
  return html`${nameOf(user_name)}${user_id !== null && html` <small>${nameOf(user_id)}</small>`}`;
}

/**
 * The way to acknowledge: on the page where that is allowed, which needs the script and stands beside the parts that
 * it puts in anew, so that nobody's words are lost; else as a command, of an id that means itself in a shell.
 */
function acknowledging(
  { task, instance, failed_since, verdict }: ExplainedTaskJson,
  caller: Caller | null,
): Html | null {
  if (failed_since === null && verdict === null) return null;
  if (caller === null) {
    if (!/^[A-Za-z0-9][\w.-]*$/.test(task.id)) return null;
    return html`<p class="card">When somebody has taken care of it: <code>dms-taskwatch ack ${task.id}</code></p>
`;
  }
  const path = `api/v1/tasks/${encodeURIComponent(task.id.toWellFormed())}/ack?instance=${encodeURIComponent(instance.id)}`;
  return html`<form class="card" data-ack="${path}" hidden>
<p>When somebody has taken care of it:</p>
<label>Who <input name="by" maxlength="100" required autocomplete="username" value="${caller.user}"></label>
<label>Why <input name="reason" maxlength="1000"></label>
<button>Acknowledge</button>
<output></output>
</form>
`;
}
