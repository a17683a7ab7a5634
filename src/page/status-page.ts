import { StoreError } from "../errors.ts";
import type { Api } from "../views/api.ts";
import { eventsSection } from "./events.ts";
import { type Html, html } from "./html.ts";
import { DAY_MS, lanesSection } from "./lanes.ts";
import { layout } from "./layout.ts";
import { type Monitor, monitorSection, troubles } from "./monitor.ts";
import { clockTime, section } from "./parts.ts";
import { failingSection, type Going, going, runningSection, stuckSection } from "./task-tables.ts";

export interface Page {
  readonly status: number;
  readonly body: string;
}

/** All that is live is sorted before it is cut; more than this would only be waded through. */
const MOST_TASKS = 10_000;
const MOST_INSTANCES = 100_000;
const MOST_LANES = 40;
const MOST_EVENTS = 25;

const EVERYWHERE = { project: null, instance: null, after: null } as const;

/** For a person on call: what fails, hangs and runs, the day in a picture, and the monitor's own health. */
export async function statusPage(api: Api, now: number): Promise<Page> {
  const [status, known] = await Promise.all([
    api.status(),
    whole(api, now).catch((error) => {
      if (error instanceof StoreError) return null;
      throw error;
    }),
  ]);
  const monitor: Monitor = { status, instances: known?.instances ?? null, webhooks: known?.webhooks ?? null };
  const trouble = troubles(monitor, now);
  const shown = known && going(known.tasks);
  const main = html`${trouble.length > 0 && section("trouble", "Trouble of the monitor", troubleList(trouble))}${
    known &&
    shown && [
      failingSection(shown.failing, now),
      stuckSection(shown.stuck, now),
      runningSection(shown.running),
      lanesSection(known.lanes, now),
      eventsSection(known.events, now),
    ]
  }${monitorSection(monitor, now)}`;
  return {
    status: known ? 200 : 503,
    body: layout({
      title: titleOf(shown),
      root: "",
      header: headerOf(shown, trouble.length),
      main,
      footer: html`<p>dms-taskwatch ${status.version}, as of ${clockTime(new Date(now).toISOString(), now)} UTC. <a href="metrics">Metrics</a>, <a href="readyz">readiness</a>, <a href="api/v1/status">status</a> and <a href="api/v1/tasks?state=all">tasks</a> in JSON.</p>`,
    }),
  };
}

async function whole(api: Api, now: number) {
  const [instances, tasks, lanes, events, webhooks] = await Promise.all([
    api.instances({ ...EVERYWHERE, limit: MOST_INSTANCES }),
    api.tasks({ ...EVERYWHERE, state: "live", limit: MOST_TASKS }),
    api.lanes(now - DAY_MS, MOST_LANES),
    api.newestEvents(MOST_EVENTS),
    api.webhooks(),
  ]);
  return {
    instances: instances.instances,
    tasks: tasks.tasks,
    lanes,
    events: events.events.map(({ event }) => event).reverse(),
    webhooks,
  };
}

function titleOf(shown: Going | null): string {
  if (shown === null) return "? dms-taskwatch";
  const parts = [
    ...(shown.failing.length > 0 ? [`${shown.failing.length} failing`] : []),
    ...(shown.stuck.length > 0 ? [`${shown.stuck.length} stuck`] : []),
  ];
  return [...parts, "dms-taskwatch"].join(" · ");
}

function headerOf(shown: Going | null, trouble: number): Html {
  const tile = (id: string, title: string, count: number | null, kind: string) =>
    html`<li class="${count === 0 ? "none" : kind}"><a href="#${id}"><b>${count ?? "?"}</b> ${title}</a></li>\n`;
  return html`<nav data-part id="summary" aria-label="Summary"><ul>
${tile("failing", "failing", shown?.failing.length ?? null, "failed")}${tile("stuck", "stuck", shown?.stuck.length ?? null, "stuck")}${tile("running", "running", shown?.running.length ?? null, "open")}${tile(trouble === 0 ? "monitor" : "trouble", "trouble", trouble, "trouble")}</ul></nav>`;
}

const troubleList = (trouble: readonly Html[]): Html =>
  html`<ul>${trouble.map((each) => html`<li>${each}</li>\n`)}</ul>`;
