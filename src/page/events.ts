import type { EventJson } from "../views/event.ts";
import { type Html, html } from "./html.ts";
import { clockTime, nameOf, type Root, section, taskLink } from "./parts.ts";

/** The newest first. */
export const eventsSection = (events: readonly EventJson[], now: number): Html =>
  section(
    "events",
    "Latest events",
    events.length === 0
      ? html`<p class="none">None yet.</p>`
      : html`<ol class="events">
${events.map((event) => eventItem(event, now, ""))}</ol>`,
  );

/** One line: when, what, of what, and why. */
export function eventItem({ type, time, data }: EventJson, now: number, root: Root): Html {
  const { task, instance, project, reason, muted } = data;
  return html`<li class="${kindOf(type)}"><span class="when">${clockTime(time, now)}</span> <b>${type}</b> ${
    task && html`${taskLink(root, task.id, nameOf(task.name))} `
  }<span>${nameOf(instance?.name ?? project.name)}</span> <small>${nameOf(reason)}${muted && " (maintenance)"}</small></li>
`;
}

function kindOf(type: EventJson["type"]): string {
  if (type === "task.failed" || type.endsWith(".unreachable")) return "failed";
  if (type === "task.stuck") return "stuck";
  if (type === "task.recovered" || type === "task.succeeded" || type.endsWith(".reachable"))
    return "succeeded";
  return type === "task.started" ? "open" : "ended";
}
