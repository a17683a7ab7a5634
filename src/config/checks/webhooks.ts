import { FORMATS } from "../config.ts";
import { retry } from "../schema/webhooks.ts";
import { isMap, type Path, type Source, type Tree, type TreeMap } from "../source.ts";
import { oneAuth, ordered, say, sayKey } from "./common.ts";

const RETRY = retry.parse({});

/** Keys that belong to some formats only. */
const FORMAT_KEYS: readonly { key: string; formats: readonly string[] }[] = [
  { key: "urls", formats: ["alertmanager"] },
  { key: "routing_key", formats: ["pagerduty"] },
  { key: "template", formats: ["template"] },
  { key: "content_type", formats: ["template"] },
];
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
