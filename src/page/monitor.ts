import { humanDuration } from "../core/reason.ts";
import type { InstanceJson } from "../views/instance.ts";
import type { ProjectJson, StatusJson } from "../views/status.ts";
import { plural } from "../views/text.ts";
import type { WebhookJson } from "../views/webhook.ts";
import { type Html, html } from "./html.ts";
import { ago, nameOf, section, table } from "./parts.ts";

/** Instances of the table; those with something amiss first. */
const MOST_INSTANCES = 50;
/** What a poll may be late before it is said: some intervals, and the time until it is written down. */
const LATE_INTERVALS = 3;
const LATE_MS = 60_000;

export interface Monitor {
  readonly status: StatusJson;
  /** Null while the store does not answer. */
  readonly instances: readonly InstanceJson[] | null;
  readonly webhooks: readonly WebhookJson[] | null;
}

/** What keeps the monitor from seeing or telling, a sentence each. While there is one, silence proves nothing. */
export function troubles({ status, instances, webhooks }: Monitor, now: number): readonly Html[] {
  const { reasons, config, projects } = status;
  // What nobody looks at comes first: all that the page shows of the rest says nothing about it.
  const found: Html[] = projects.flatMap(({ name, not_watched: not }) =>
    not === null
      ? []
      : html`Project ${nameOf(name)} is not watched: ${not.reason}${not.cause !== null && ` (${not.cause.replaceAll("_", " ")})`}, since ${ago(not.since, now)}.`,
  );
  found.push(...reasons.map((reason) => html`This replica is not ready: ${reason}.`));
  const reload = config.last_reload;
  if (reload && !reload.successful) {
    found.push(html`The last reload failed ${ago(reload.at, now)}: ${reload.problems.join("; ")}.`);
  }
  const unreadable = status.store.unreadable_records ?? 0;
  if (unreadable > 0)
    found.push(
      html`${plural(unreadable, "record")} of the store cannot be read; <code>dms-taskwatch tasks</code> names ${unreadable === 1 ? "it" : "them"}.`,
    );
  for (const { name, credentials_valid, unreachable, not_watched } of projects) {
    if (not_watched) continue;
    if (credentials_valid === false)
      found.push(html`The credentials of project ${nameOf(name)} are refused.`);
    else if (unreachable) {
      found.push(html`Project ${nameOf(name)} is unreachable: ${unreachable.cause.replaceAll("_", " ")}.`);
    }
  }
  const unreachable = (instances ?? []).filter((each) => each.unreachable !== null);
  if (unreachable.length > 0)
    found.push(html`${isAre(unreachable.length, "unreachable")}: ${named(unreachable)}.`);
  const late = (instances ?? []).filter((each) => each.unreachable === null && isLate(each, now));
  if (late.length > 0) found.push(html`${isAre(late.length, "polled late")}: ${named(late)}.`);
  for (const { name, state, dead_letters: dead } of webhooks ?? []) {
    if (state === "disabled") found.push(html`Webhook ${nameOf(name)} is disabled: it answered 410.`);
    if (state === "down") found.push(html`Webhook ${nameOf(name)} is down: what waits for it is kept.`);
    if (dead > 0)
      found.push(html`${plural(dead, "event")} could not be delivered to webhook ${nameOf(name)}.`);
  }
  return found;
}

const isAre = (count: number, what: string): string =>
  `${plural(count, "instance")} ${count === 1 ? "is" : "are"} ${what}`;

const named = (instances: readonly InstanceJson[]): Html => {
  const shown = instances
    .slice(0, 5)
    .map(({ instance }, index) => html`${index > 0 && ", "}${nameOf(instance.name)}`);
  return html`${shown}${instances.length > 5 && ", …"}`;
};

export function isLate(
  { watched, last_complete_poll_at: at, poll_interval_seconds: interval }: InstanceJson,
  now: number,
): boolean {
  if (!watched || at === null || interval === null) return false;
  return now - Date.parse(at) > Math.max(interval * 1000 * LATE_INTERVALS, interval * 1000 + LATE_MS);
}

export function monitorSection(monitor: Monitor, now: number): Html {
  const { status, instances, webhooks } = monitor;
  const { replica, replicas, shards, store, config } = status;
  const body = html`<dl>
<dt>Replicas</dt><dd>${replicas.length === 0 ? "none known yet" : replicas.length}: ${replicas.map(
    (each, index) => html`${index > 0 && ", "}${nameOf(each)}${each === replica && " (answers)"}`,
  )}</dd>
<dt>Shards</dt><dd>${shards.owned} of ${shards.total} here</dd>
<dt>Store</dt><dd>${store.kind}, ${store.up ? "answers" : "does not answer"}</dd>
<dt>Configuration</dt><dd>loaded ${ago(config.loaded_at, now)}, hash ${config.hash}</dd>
</dl>
<h3>Projects</h3>
${projectsTable(status.projects, now)}
<h3>Webhooks</h3>
${webhooks && webhooksTable(webhooks, now)}
<h3>Instances</h3>
${instances && instancesTable(instances, now)}`;
  return section("monitor", "The monitor itself", body);
}

const projectsTable = (projects: readonly ProjectJson[], now: number): Html =>
  table(
    "Projects",
    ["Project", "Instances", "Credentials", "Last poll", "Waits longest", "Calls per second"],
    projects.map((project) => ({
      cells: [
        html`${nameOf(project.name)} <small>${nameOf(project.region)}</small>`,
        html`${project.instances}${project.discovery && html` <small>discovery ${ago(project.discovery.last_success_at, now)}</small>`}`,
        html`${project.credentials_valid === null ? "–" : project.credentials_valid ? "accepted" : "refused"}`,
        ago(project.last_complete_poll_at, now),
        ago(project.oldest_complete_poll_at, now),
        html`${rate(project.budget.needed)} of ${rate(project.budget.current ?? project.budget.requests_per_second)}`,
      ],
    })),
  );

const rate = (perSecond: number): string => String(Number(perSecond.toPrecision(3)));

function webhooksTable(webhooks: readonly WebhookJson[], now: number): Html {
  if (webhooks.length === 0) return html`<p class="none">None is configured.</p>`;
  return table(
    "Webhooks",
    ["Webhook", "State", "Waiting", "Dead letters", "Last attempt here"],
    webhooks.map(({ name, hosts, state, pending, oldest_pending_at, dead_letters, attempts: [last] }) => ({
      ...(state === "ok" ? {} : { kind: "trouble" }),
      cells: [
        html`${nameOf(name)} <small>${hosts.join(", ")}</small>`,
        html`${state.replace("_", " ")}`,
        html`${pending}${oldest_pending_at !== null && html` <small>oldest ${ago(oldest_pending_at, now)}</small>`}`,
        html`${dead_letters}`,
        last ? html`${ago(last.at, now)} <small>${last.status ?? last.reason}</small>` : html`–`,
      ],
    })),
  );
}

function instancesTable(instances: readonly InstanceJson[], now: number): Html {
  if (instances.length === 0) return html`<p class="none">None is watched yet.</p>`;
  const ordered = instances
    .map((each) => ({ each, amiss: amiss(each, now) }))
    .sort((a, b) => b.amiss - a.amiss);
  const left = ordered.slice(MOST_INSTANCES);
  const oldest = left.flatMap(({ each }) => each.last_complete_poll_at ?? []).sort()[0] ?? null;
  const rows = ordered.slice(0, MOST_INSTANCES).map(({ each, amiss }) => ({
    ...(amiss > 1 ? { kind: "trouble" } : {}),
    cells: [
      html`${nameOf(each.instance.name)} <small>${nameOf(each.project.name)}, ${each.instance.engine}</small>`,
      html`${stateOf(each, now)}`,
      html`${ago(each.last_complete_poll_at, now)}`,
      html`${each.poll_interval_seconds === null ? "–" : humanDuration(each.poll_interval_seconds)}`,
      html`${tasksOf(each)}`,
    ],
  }));
  return html`${table("Instances", ["Instance", "State", "Last poll", "Every", "Tasks"], rows)}${
    left.length > 0 &&
    html`<p>${left.length} more are not shown; the one that waits longest was polled ${ago(oldest, now)}.</p>`
  }`;
}

function tasksOf({ tasks: { open, stuck, failed } }: InstanceJson): string {
  const parts = [
    `${open} open`,
    ...(stuck > 0 ? [`${stuck} stuck`] : []),
    ...(failed > 0 ? [`${failed} failed`] : []),
  ];
  return parts.join(", ");
}

/** How much there is to look at. */
function amiss(instance: InstanceJson, now: number): number {
  if (instance.unreachable !== null) return 4;
  if (isLate(instance, now)) return 3;
  if (instance.reachable === null) return 2;
  return instance.tasks.stuck + instance.tasks.failed > 0 ? 1 : instance.tasks.open > 0 ? 0.5 : 0;
}

function stateOf(instance: InstanceJson, now: number): Html {
  const { unreachable, reachable, watched, maintenance_until: until } = instance;
  if (!watched) return html`not watched any more`;
  if (unreachable) {
    return html`unreachable since ${ago(unreachable.since, now)}: ${unreachable.cause.replaceAll("_", " ")}`;
  }
  const state = reachable === null ? "not polled yet" : isLate(instance, now) ? "late" : "polled";
  return html`${state}${until !== null && html`, in maintenance, ends ${ago(until, now)}`}`;
}
