import { redactUrl } from "../util/redact-url.ts";

/**
 * Keys whose values are never shown, whatever their case and joints. Secrets of the configuration are `Secret`s and show as such
 * anyway: this is for what comes from outside, headers above all.
 */
const SECRET_KEYS: ReadonlySet<string> = new Set([
  "accesskey",
  "authorization",
  "proxyauthorization",
  "auth",
  "bearertoken",
  "cookie",
  "setcookie",
  "password",
  "proxy",
  "routingkey",
  "secret",
  "secrets",
  "secretkey",
  "securitytoken",
  "sk",
  "token",
  "webhooksignature",
  "xauthtoken",
  "xsecuritytoken",
  "xsubjecttoken",
]);

/** A URL is shown up to its host: what follows is a webhook's secret. */
const URL_KEYS: ReadonlySet<string> = new Set(["url", "urls", "webhookurl"]);

const DEEPEST = 4;

type Fields = Record<string, unknown>;

/** The same object where there is nothing to hide, else a copy. */
export const withoutSecrets = (fields: Fields): Fields => mask(fields, 0);

function mask(fields: Fields, depth: number): Fields {
  let copy: Fields | null = null;
  for (const key in fields) {
    const value = fields[key];
    const shown = shownAs(key, value, depth);
    if (shown === value) continue;
    copy ??= { ...fields };
    copy[key] = shown;
  }
  return copy ?? fields;
}

function below(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null || value instanceof Error) return value;
  // Whatever is that deep is no field that anybody reads.
  if (depth >= DEEPEST) return "…";
  if (Array.isArray(value)) {
    const shown = value.map((item: unknown) => below(item, depth + 1));
    return shown.some((item, i) => item !== value[i]) ? shown : value;
  }
  // Objects with a form of their own (Date, Secret) know how to show themselves.
  if ("toJSON" in value) return value;
  return mask(value as Fields, depth + 1);
}

function shownAs(key: string, value: unknown, depth: number): unknown {
  if (value === null || value === undefined) return value;
  const name = key.toLowerCase().replace(/[-_]/g, "");
  if (SECRET_KEYS.has(name)) return "<secret>";
  if (!URL_KEYS.has(name)) return below(value, depth);
  if (Array.isArray(value)) return value.map((url: unknown) => redactUrl(String(url)));
  return redactUrl(String(value));
}
