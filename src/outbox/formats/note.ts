import type { EventType } from "../../core/event.ts";
import { humanDuration } from "../../core/reason.ts";
import { clean } from "../../util/clean.ts";
import type { FormattedEvent } from "../format.ts";
import { type Reading, read } from "./reading.ts";
import { cut } from "./text.ts";

export const SEVERITIES = ["critical", "error", "warning", "info", "good"] as const;
/** How much it matters. What a failed task is: an error; what hangs is critical, as in the alert rules; `good` is an end. */
export type Severity = (typeof SEVERITIES)[number];

interface Kind {
  readonly heading: string;
  readonly severity: Severity;
}

export const KINDS: Readonly<Record<EventType, Kind>> = {
  "task.started": { heading: "Task started", severity: "info" },
  "task.succeeded": { heading: "Task succeeded", severity: "good" },
  "task.failed": { heading: "Task failed", severity: "error" },
  "task.cancelled": { heading: "Task cancelled", severity: "info" },
  "task.deleted": { heading: "Task deleted", severity: "info" },
  "task.status_changed": { heading: "Task changed", severity: "info" },
  "task.stuck": { heading: "Task stuck", severity: "critical" },
  "task.recovered": { heading: "Recovered", severity: "good" },
  "task.vanished": { heading: "Task vanished", severity: "warning" },
  "instance.unreachable": { heading: "Instance unreachable", severity: "warning" },
  "instance.reachable": { heading: "Instance reachable", severity: "good" },
  "instance.discovered": { heading: "Instance discovered", severity: "info" },
  "instance.removed": { heading: "Instance removed", severity: "info" },
  "project.unreachable": { heading: "Project unreachable", severity: "critical" },
  "project.reachable": { heading: "Project reachable", severity: "good" },
  test: { heading: "Test", severity: "info" },
};

/** An event for people. No value in it holds a line end or anything unseen; none is escaped for any medium. */
export interface Note {
  readonly severity: Severity;
  /** `Task failed: modifyAutoTopic on orders`. */
  readonly title: string;
  readonly facts: readonly { readonly name: string; readonly value: string }[];
  readonly link: string | null;
}

const NAME = 120;

/** @param cell the most characters of one value */
export function noteOf(reading: Reading, cell: number): Note {
  const { heading, severity } = KINDS[reading.type];
  const value = (text: string) => cut(clean(text), cell);
  const name = namesCut(cell);
  const { task, instance, project } = reading;
  const all: Note["facts"] = [
    { name: "Task", value: task === null ? "" : both(name(task.name), name(task.id)) },
    {
      name: "Instance",
      value:
        instance === null
          ? ""
          : joined([both(name(instance.name), name(instance.id)), name(instance.engine)]),
    },
    { name: "Project", value: joined([name(project.name), name(project.region)]) },
    {
      name: "Duration",
      value: reading.durationSeconds === null ? "" : humanDuration(reading.durationSeconds),
    },
    { name: "Reason", value: value(reading.reason) },
    { name: "Held back until", value: value(reading.mutedUntil ?? "") },
  ];
  const known = all.filter((fact) => fact.value !== "");
  const facts = known.length > 0 ? known : [{ name: "Event", value: value(reading.id) }];
  const subject = subjectOf(reading, cell);
  return { severity, title: subject === "" ? heading : `${heading}: ${subject}`, facts, link: reading.url };
}

const namesCut = (cell: number) => (text: string) => cut(clean(text), Math.min(cell, NAME));
const both = (name: string, id: string): string =>
  name === id || id === "" || name === "" ? name || id : `${name} (${id})`;
const joined = (texts: readonly string[]): string => texts.filter((text) => text !== "").join(", ");

/** Everything in one line. */
export function lineOf(reading: Reading, cell: number): string {
  const { title } = noteOf(reading, cell);
  const duration = reading.durationSeconds === null ? "" : `, ${humanDuration(reading.durationSeconds)}`;
  const reason = cut(clean(reading.reason), cell);
  return `${title}${duration}${reason === "" ? "" : `: ${reason}`}`;
}

function subjectOf({ task, instance, project }: Reading, cell: number): string {
  const name = namesCut(cell);
  const place = name(instance?.name || project.name);
  const what = task === null ? "" : name(task.name || task.id);
  return what === "" || place === "" ? what || place : `${what} on ${place}`;
}

/** The most events that are shown in full; of more, each has a line. */
const IN_FULL = 5;
/** The most characters of one value in such a line. */
const LINE = 120;

export interface Digest {
  /** The gravest of all. */
  readonly severity: Severity;
  readonly title: string;
  /** In full, when they are few; else empty. */
  readonly notes: readonly Note[];
  /** When they are many: the gravest first, each in the order in which it happened. */
  readonly lines: readonly { readonly severity: Severity; readonly texts: readonly string[] }[];
  /** To the status page, or to the one task that it is about. */
  readonly link: string | null;
}

/** @param cell the most characters of one value */
export function digestOf(events: readonly FormattedEvent[], cell: number): Digest {
  const readings = events.map(read);
  const severities = readings.map(({ type }) => KINDS[type].severity);
  const severity = SEVERITIES.find((one) => severities.includes(one)) ?? "info";
  const notes = readings.map((reading) => noteOf(reading, cell));
  const [only] = notes;
  const page = readings.find(({ url }) => url !== null)?.url?.replace(/#.*$/, "") ?? null;
  if (readings.length === 1 && only)
    return { severity, title: only.title, notes, lines: [], link: only.link };
  const title = summary(readings, cell);
  if (readings.length <= IN_FULL) return { severity, title, notes, lines: [], link: page };
  const lines = SEVERITIES.map((one) => ({
    severity: one,
    texts: readings
      .filter(({ type }) => KINDS[type].severity === one)
      .map((reading) => lineOf(reading, Math.min(cell, LINE))),
  }));
  return { severity, title, notes: [], lines: lines.filter(({ texts }) => texts.length > 0), link: page };
}

/** `12 events on orders: 9 × task failed, 3 × recovered`. */
function summary(readings: readonly Reading[], cell: number): string {
  const counts = new Map<string, number>();
  for (const { type } of readings) {
    const heading = KINDS[type].heading.toLowerCase();
    counts.set(heading, (counts.get(heading) ?? 0) + 1);
  }
  const kinds = [...counts].map(([heading, count]) => `${count} × ${heading}`).join(", ");
  const instances = new Set(readings.map(({ instance }) => instance?.id));
  const projects = new Set(readings.map(({ project }) => project.name));
  const [first] = readings;
  const one =
    instances.size === 1 && first?.instance
      ? first.instance.name
      : projects.size === 1
        ? first?.project.name
        : "";
  const where = one ? ` on ${cut(clean(one), Math.min(cell, NAME))}` : "";
  return `${readings.length} events${where}: ${kinds}`;
}
