import { createHash } from "node:crypto";
import type { WebhookConfig } from "../../config/config.ts";
import { type EventType, incidentKey } from "../../core/event.ts";
import { clean } from "../../util/clean.ts";
import type { Format, FormattedEvent, Message } from "../format.ts";
import { KINDS, lineOf, noteOf, type Severity } from "./note.ts";
import { type Reading, read } from "./reading.ts";
import { cut } from "./text.ts";

type Action = "trigger" | "resolve" | "change";

/**
 * What opens an incident, what ends it, and what is news without one. An acknowledgement here resolves there, and never
 * acknowledges: it ends the incident, so nothing more is sent about it. An alert that were only acknowledged would page
 * again when PagerDuty's acknowledgement times out, stay open until somebody closed it by hand, and swallow the next
 * failure of the same task instead of paging for it.
 */
const ACTIONS: Readonly<Record<EventType, Action>> = {
  "task.failed": "trigger",
  "task.stuck": "trigger",
  "task.recovered": "resolve",
  "instance.unreachable": "trigger",
  "instance.reachable": "resolve",
  "instance.removed": "resolve",
  "project.unreachable": "trigger",
  "project.reachable": "resolve",
  test: "trigger",
  "task.started": "change",
  "task.succeeded": "change",
  "task.cancelled": "change",
  "task.deleted": "change",
  "task.status_changed": "change",
  "task.vanished": "change",
  "instance.discovered": "change",
};

const SEVERITIES: Readonly<Record<Severity, "critical" | "error" | "warning" | "info">> = {
  critical: "critical",
  error: "error",
  warning: "warning",
  info: "info",
  good: "info",
};

const SUMMARY = 1024;
const SOURCE = 255;
const KEY = 255;
/** Of one value in the details: far below the 512 kB that a request may have. */
const VALUE = 2000;

/** Events API v2. */
export function pagerduty(webhook: Pick<WebhookConfig, "urls" | "routing_key">): Format {
  const url = webhook.urls[0].reveal();
  const routingKey = webhook.routing_key?.reveal() ?? "";
  return {
    maxEvents: 1,
    limits: [{ requests: 120, per: 60_000 }],
    render([event]) {
      if (event === undefined) throw new Error("nothing to render");
      return request(event, url, routingKey);
    },
  };
}

function request(event: FormattedEvent, url: string, routingKey: string): Message {
  const reading = read(event);
  const action = ACTIONS[reading.type];
  const links = reading.url === null ? {} : { links: [{ href: reading.url, text: "Open in dms-taskwatch" }] };
  const body =
    action === "change"
      ? { routing_key: routingKey, payload: changePayload(reading), ...links }
      : {
          routing_key: routingKey,
          event_action: action,
          dedup_key: dedupKey(reading),
          payload: alertPayload(reading),
          client: "dms-taskwatch",
          ...(reading.url === null ? {} : { client_url: reading.url }),
          ...links,
        };
  return {
    method: "POST",
    url: action === "change" ? changeUrl(url) : url,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
}

/** The incident's own key; a test is an incident of its own, so that it pages each time. */
function dedupKey({ id, type, project, instance, task }: Reading): string {
  if (type === "test") return `dms-taskwatch/test/${id}`;
  const key = incidentKey(project.id, instance?.id ?? "", task?.id ?? "").toWellFormed();
  if (key.length <= KEY) return key;
  return `${key.slice(0, KEY - 66).toWellFormed()}~${createHash("sha256").update(key).digest("hex")}`;
}

/** Change events, which page nobody, have an address of their own beside the other. */
function changeUrl(url: string): string {
  const change = new URL(url);
  change.pathname = change.pathname.replace(/\/enqueue\/?$/, "/change/enqueue");
  return change.href;
}

const common = (reading: Reading) => ({
  summary: cut(lineOf(reading, VALUE), SUMMARY),
  source: cut(clean(reading.instance?.name || reading.project.name), SOURCE) || "dms-taskwatch",
  ...(reading.time === null ? {} : { timestamp: reading.time }),
});

function changePayload(reading: Reading) {
  return { ...common(reading), custom_details: details(reading) };
}

function alertPayload(reading: Reading) {
  const { task, instance, project, type } = reading;
  const named = (key: string, text: string | undefined) => (text ? { [key]: cut(clean(text), SOURCE) } : {});
  return {
    ...common(reading),
    severity: SEVERITIES[KINDS[type].severity],
    ...named("component", task?.name),
    ...named("group", instance === null ? undefined : project.name),
    class: type,
    custom_details: details(reading),
  };
}

function details(reading: Reading) {
  const facts = noteOf(reading, VALUE).facts.map(({ name, value }) => [name.toLowerCase(), value] as const);
  const more = Object.entries({
    event_id: reading.id,
    status: reading.task?.status,
    verdict: reading.verdict,
    cause: reading.cause,
    resolution: reading.resolution,
  });
  return Object.fromEntries([...facts, ...more].filter(([, value]) => value != null && value !== ""));
}
