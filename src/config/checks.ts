import { formatDuration, parseDuration } from "../util/duration.ts";
import { FORMATS } from "./config.ts";
import { problemAt, problemAtKey } from "./problem.ts";
import { learn, window } from "./schema/rules.ts";
import { retry } from "./schema/webhooks.ts";
import { isBroken, isMap, type Path, type Source, type Tree, type TreeMap, valueAt } from "./source.ts";

const WINDOW = window.parse({});
const LEARN = learn.parse({});
const RETRY = retry.parse({});

/**
 * What concerns several values. Runs on the tree, not on what the schema made of it, so that these problems are
 * said together with those of single values.
 */
export function check(source: Source): void {
  const { tree } = source;
  const projects = mapsIn(tree, ["projects"]);
  unique(source, projects, "name", "project");
  for (const [path, project] of projects) checkProject(source, path, project);
  checkWindow(source, []);
  ordered(
    source,
    { path: ["stuck", "learn", "floor"], otherwise: LEARN.floor },
    { path: ["stuck", "learn", "ceiling"], otherwise: LEARN.ceiling },
  );
  together(source, ["store", "tls"], "cert", "key");
  oneAuth(source, ["server", "auth"]);
  const webhooks = mapsIn(tree, ["webhooks"]);
  unique(source, webhooks, "name", "webhook");
  for (const [path, webhook] of webhooks) checkWebhook(source, path, webhook);
  for (const [path, window] of mapsIn(tree, ["maintenance"])) checkMaintenance(source, path, window);
}

function checkProject(source: Source, path: Path, project: TreeMap): void {
  const instances = mapsIn(project.instances ?? [], []).map(
    ([inner, instance]) => [[...path, "instances", ...inner], instance] as const,
  );
  unique(source, instances, "id", "instance of this project");
  if (!Object.hasOwn(project, "instances") && !Object.hasOwn(project, "discover")) {
    say(source, path, "instances or discover", "a project that watches nothing");
  }
  if (isMap(project.credentials)) checkCredentials(source, [...path, "credentials"], project.credentials);
  for (const [inner, instance] of instances) {
    if (isMap(instance.window)) checkWindow(source, inner);
  }
}

const FORMS: readonly (readonly string[])[] = [
  ["access_key", "secret_key"],
  ["profile"],
  ["token"],
  ["user", "password", "domain"],
  ["metadata"],
];
const FORM_WORDS =
  "exactly one form: access_key and secret_key (with security_token for temporary keys), profile, token, " +
  "user with password and domain, or metadata; each secret also as a file";

function checkCredentials(source: Source, path: Path, credentials: TreeMap): void {
  const has = (key: string) => Object.hasOwn(credentials, key);
  const forms = FORMS.filter((keys) => keys.some(has));
  const [form] = forms;
  if (form === undefined || forms.length > 1) {
    const found =
      form === undefined ? "no form" : forms.map((keys) => keys.filter(has).join(" with ")).join(" beside ");
    say(source, path, FORM_WORDS, found);
    return;
  }
  for (const key of form.filter((name) => !has(name))) {
    say(source, [...path, key], `${form.join(", ")}, all of them`, "nothing");
  }
  if (has("security_token") && !has("access_key")) {
    sayKey(
      source,
      [...path, "security_token"],
      "access_key and secret_key beside it",
      "a security token alone",
    );
  }
}

/** Keys that belong to some formats only; `needs` are those that the format cannot be without. */
const FORMAT_KEYS: readonly { key: string; formats: readonly string[] }[] = [
  { key: "urls", formats: ["alertmanager"] },
  { key: "routing_key", formats: ["pagerduty"] },
  { key: "template", formats: ["template"] },
  { key: "content_type", formats: ["template"] },
];
const CHAT_FORMATS = ["slack", "teams", "feishu", "dingtalk", "wecom", "template"];

function checkWebhook(source: Source, path: Path, webhook: TreeMap): void {
  const format = typeof webhook.format === "string" ? webhook.format : "cloudevents";
  const has = (key: string) => Object.hasOwn(webhook, key);
  if (FORMATS.some((known) => known === format)) checkFormat(source, path, webhook, format);
  ordered(
    source,
    { path: [...path, "retry", "min"], otherwise: RETRY.min },
    { path: [...path, "retry", "max"], otherwise: RETRY.max },
  );
  oneAuth(source, [...path, "auth"]);
  if (has("auth") && isMap(webhook.headers)) {
    for (const name of Object.keys(webhook.headers)) {
      if (name.toLowerCase() !== "authorization") continue;
      sayKey(source, [...path, "headers", name], "auth or this header", "both");
    }
  }
}

function checkFormat(source: Source, path: Path, webhook: TreeMap, format: string): void {
  const has = (key: string) => Object.hasOwn(webhook, key);
  for (const { key, formats } of FORMAT_KEYS) {
    if (has(key) && !formats.includes(format)) {
      sayKey(
        source,
        [...path, key],
        `this key with format ${formats.join(", ")} only`,
        `it with format ${format}`,
      );
    }
    if (!has(key) && formats.includes(format) && key !== "content_type") {
      say(source, [...path, key], `this key, which format ${format} needs`, "nothing");
    }
  }
  if (format === "alertmanager" && has("url")) sayKey(source, [...path, "url"], "urls, a list", "one url");
  if (!has("url") && format !== "alertmanager" && format !== "pagerduty") {
    say(source, [...path, "url"], "url or url_file", "nothing");
  }
  const group = webhook.group;
  if (isMap(group) && !CHAT_FORMATS.includes(format)) {
    say(source, [...path, "group"], `off with format ${format}`, "a map");
  }
  if (format === "cloudevents" && has("secret")) checkSecrets(source, path, webhook.secret ?? null);
}

/** Standard Webhooks: `whsec_` and the key in base64. */
function checkSecrets(source: Source, path: Path, secrets: Tree): void {
  const listed = Array.isArray(secrets);
  for (const [index, secret] of (listed ? secrets : [secrets]).entries()) {
    if (
      typeof secret !== "string" ||
      /^whsec_(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2,4}={0,2})$/.test(secret)
    )
      continue;
    const at = listed ? [...path, "secret", index] : [...path, "secret"];
    say(source, at, "whsec_ followed by the key in base64, as Standard Webhooks has it");
  }
}

function checkMaintenance(source: Source, path: Path, window: TreeMap): void {
  const has = (key: string) => Object.hasOwn(window, key);
  const weekly = ["days", "from", "to", "timezone"].filter(has);
  const absolute = ["start", "end"].filter(has);
  const forms = "from and to (with days, timezone), or start and end";
  if (weekly.length > 0 === absolute.length > 0) {
    const found = weekly.length > 0 ? `${weekly.join(", ")} beside ${absolute.join(", ")}` : "neither";
    say(source, path, forms, found);
    return;
  }
  for (const key of weekly.length > 0 ? ["from", "to"] : ["start", "end"]) {
    if (!has(key)) say(source, [...path, key], forms, "nothing");
  }
  if (typeof window.from === "string" && window.from === window.to) {
    say(source, [...path, "to"], "another time than from");
  }
  const [start, end] = [window.start, window.end].map((text) =>
    Date.parse(typeof text === "string" ? text : ""),
  );
  if (start !== undefined && end !== undefined && end <= start) {
    say(source, [...path, "end"], "a time after start");
  }
}

function oneAuth(source: Source, path: Path): void {
  const auth = valueAt(source.tree, path);
  if (!isMap(auth)) return;
  const forms = ["bearer_token", "basic"].filter((key) => Object.hasOwn(auth, key));
  if (forms.length !== 1) {
    say(source, path, "exactly one of bearer_token and basic", forms.length === 0 ? "neither" : "both");
  }
}

function together(source: Source, path: Path, one: string, other: string): void {
  const map = valueAt(source.tree, path);
  if (!isMap(map) || Object.hasOwn(map, one) === Object.hasOwn(map, other)) return;
  say(source, path, `${one}_file and ${other}_file together`, "one without the other");
}

interface Bound {
  readonly path: Path;
  /** What holds where the path is not set. */
  readonly otherwise: number | undefined;
}

/** Two durations, of which the first must not be the longer one. */
function ordered(source: Source, less: Bound, more: Bound): void {
  const small = durationAt(source, less);
  const large = durationAt(source, more);
  if (small === undefined || large === undefined || small <= large) return;
  if (valueAt(source.tree, less.path) !== undefined) {
    say(source, less.path, `at most ${String(more.path.at(-1))}, which is ${formatDuration(large)}`);
  } else {
    say(source, more.path, `at least ${String(less.path.at(-1))}, which is ${formatDuration(small)}`);
  }
}

function durationAt(source: Source, bound: Bound): number | undefined {
  const value = valueAt(source.tree, bound.path);
  if (value === undefined) return bound.otherwise;
  return typeof value === "string" ? parseDuration(value) : undefined;
}

/** `lookback` within `max_lookback`, of an instance with what holds for all where it sets nothing itself. */
function checkWindow(source: Source, path: Path): void {
  const bound = (at: Path, key: "lookback" | "max_lookback"): Bound => ({
    path: [...at, "window", key],
    otherwise: at.length > 0 ? durationAt(source, bound([], key)) : WINDOW[key],
  });
  ordered(source, bound(path, "lookback"), bound(path, "max_lookback"));
}

function unique(
  source: Source,
  items: readonly (readonly [Path, TreeMap])[],
  key: string,
  noun: string,
): void {
  const seen = new Set<string>();
  for (const [path, item] of items) {
    const value = item[key];
    const at = [...path, key];
    if (typeof value !== "string" || isBroken(source, at)) continue;
    if (seen.has(value)) say(source, at, `one that no other ${noun} has`);
    seen.add(value);
  }
}

function mapsIn(tree: Tree, path: Path): readonly (readonly [Path, TreeMap])[] {
  const found = valueAt(tree, path);
  if (!Array.isArray(found)) return [];
  return found.flatMap((item, index) => (isMap(item) ? [[[...path, index], item] as const] : []));
}

function say(source: Source, path: Path, allowed: string, found?: string): void {
  if (!isBroken(source, path)) source.problems.push(problemAt(source, path, allowed, found));
}

function sayKey(source: Source, path: Path, allowed: string, found: string): void {
  if (!isBroken(source, path)) source.problems.push(problemAtKey(source, path, allowed, found));
}
