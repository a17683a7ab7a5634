import { TemplateError } from "../../util/mustache.ts";
import { FORMATS } from "../config.ts";
import { retry } from "../schema/webhooks.ts";
import { isMap, type Path, type Source, type Tree, type TreeMap } from "../source.ts";
import { compileTemplate, TEMPLATE_TYPE } from "../template.ts";
import { oneAuth, ordered, say, sayKey } from "./common.ts";

const RETRY = retry.parse({});

/** Keys that belong to some formats only. */
const FORMAT_KEYS: readonly { key: string; formats: readonly string[]; needed: boolean }[] = [
  { key: "urls", formats: ["alertmanager"], needed: true },
  { key: "routing_key", formats: ["pagerduty"], needed: true },
  { key: "template", formats: ["template"], needed: true },
  { key: "content_type", formats: ["template"], needed: false },
  { key: "secret", formats: ["cloudevents", "template", "feishu", "dingtalk"], needed: false },
];
/** Events that begin what lasts. */
const LASTING: ReadonlySet<string> = new Set(["task.failed", "task.stuck", "instance.unreachable"]);
const CHAT_FORMATS = ["slack", "teams", "feishu", "dingtalk", "wecom", "template"];

export function checkWebhook(source: Source, path: Path, webhook: TreeMap): void {
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
  for (const { key, formats, needed } of FORMAT_KEYS) {
    if (has(key) && !formats.includes(format)) {
      sayKey(
        source,
        [...path, key],
        `this key with format ${formats.join(", ")} only`,
        `it with format ${format}`,
      );
    }
    if (!has(key) && formats.includes(format) && needed) {
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
  if ((format === "feishu" || format === "dingtalk") && Array.isArray(webhook.secret)) {
    say(source, [...path, "secret"], `one secret: a robot of format ${format} has no other`, "a list");
  }
  const { events } = webhook;
  if (
    format === "alertmanager" &&
    Array.isArray(events) &&
    !events.some((type) => LASTING.has(String(type)))
  ) {
    const lasting = [...LASTING].join(", ").replace(/, ([^,]*)$/, " or $1");
    say(source, [...path, "events"], `${lasting}: format alertmanager sends what lasts`, "none of them");
  }
  if (format === "template") checkTemplate(source, path, webhook);
}

/** On sample events, so that it fails here and not when something has happened. */
function checkTemplate(source: Source, path: Path, { template, content_type, group }: TreeMap): void {
  if (typeof template !== "string" || template === "") return;
  try {
    compileTemplate({
      template,
      content_type: typeof content_type === "string" ? content_type : TEMPLATE_TYPE,
      grouped: isMap(group),
    });
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    say(source, [...path, "template"], error.allowed, error.found);
  }
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
