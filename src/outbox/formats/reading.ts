import type { FormattedEvent } from "../format.ts";

/** What is read of an event that was stored, for people and for alerts. What is missing or of another kind is null, or the empty text. */
export interface Reading {
  readonly id: string;
  readonly type: FormattedEvent["type"];
  /** RFC 3339, as in the event. */
  readonly time: string | null;
  readonly reason: string;
  readonly project: { readonly name: string; readonly id: string; readonly region: string };
  readonly instance: { readonly id: string; readonly name: string; readonly engine: string } | null;
  readonly task: { readonly id: string; readonly name: string; readonly status: string } | null;
  readonly durationSeconds: number | null;
  readonly cause: string | null;
  readonly verdict: string | null;
  readonly resolution: string | null;
  readonly recoveredFrom: string | null;
  readonly wasStuck: boolean;
  readonly muted: boolean;
  /** RFC 3339; set when it was held back by a maintenance window. */
  readonly mutedUntil: string | null;
  /** An http or https URL without anything that a medium could take for markup, null when there is none. */
  readonly url: string | null;
}

type Json = Readonly<Record<string, unknown>>;

/** Never throws: an old event, or one that was put in by hand, may lack anything. */
export function read({ id, type, body }: FormattedEvent): Reading {
  const event = parsed(body);
  const data = mapIn(event, "data") ?? {};
  const project = mapIn(data, "project") ?? {};
  const instance = mapIn(data, "instance");
  const task = mapIn(data, "task");
  return {
    id,
    type,
    time: textIn(event, "time"),
    reason: textIn(data, "reason") ?? "",
    project: {
      name: textIn(project, "name") ?? "",
      id: textIn(project, "id") ?? "",
      region: textIn(project, "region") ?? "",
    },
    instance: instance && {
      id: textIn(instance, "id") ?? "",
      name: textIn(instance, "name") ?? textIn(instance, "id") ?? "",
      engine: textIn(instance, "engine") ?? "",
    },
    task: task && {
      id: textIn(task, "id") ?? "",
      name: textIn(task, "name") ?? "",
      status: textIn(task, "status") ?? "",
    },
    durationSeconds: numberIn(data, "duration_seconds"),
    cause: textIn(data, "cause"),
    verdict: textIn(data, "verdict"),
    resolution: textIn(data, "resolution"),
    recoveredFrom: textIn(data, "recovered_from"),
    wasStuck: data.was_stuck === true,
    muted: data.muted === true,
    mutedUntil: textIn(data, "muted_until"),
    url: safeUrl(textIn(data, "url")),
  };
}

/** The JSON object in a text; an empty one for all else. */
export function parsed(text: string): Json {
  try {
    const value: unknown = JSON.parse(text);
    return isMap(value) ? value : {};
  } catch {
    return {};
  }
}

function isMap(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function mapIn(json: Json, key: string): Json | null {
  const value = json[key];
  return isMap(value) ? value : null;
}

function textIn(json: Json, key: string): string | null {
  const value = json[key];
  return typeof value === "string" ? value : null;
}

function numberIn(json: Json, key: string): number | null {
  const value = json[key];
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

const LONGEST_URL = 1000;
const MARKUP: Readonly<Record<string, string>> = {
  "|": "%7C",
  "(": "%28",
  ")": "%29",
  "[": "%5B",
  "]": "%5D",
  "*": "%2A",
  "`": "%60",
  "'": "%27",
};

function safeUrl(text: string | null): string | null {
  const url = text === null ? null : URL.parse(text);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) return null;
  // A host may be an IPv6 address, whose brackets must stay.
  const rest = url.href.slice(url.origin.length).replace(/[|()[\]*`']/g, (found) => MARKUP[found] ?? "");
  const safe = url.origin + rest;
  return safe.length > LONGEST_URL || url.username !== "" ? null : safe;
}
