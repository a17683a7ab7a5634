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
  "url",
  "urls",
  "webhooksignature",
  "xauthtoken",
  "xsecuritytoken",
  "xsubjecttoken",
]);

const DEEPEST = 4;

type Fields = Record<string, unknown>;

/** The same object where there is nothing to hide, else a copy. */
export const withoutSecrets = (fields: Fields): Fields => mask(fields, 0);

function mask(fields: Fields, depth: number): Fields {
  let copy: Fields | null = null;
  for (const key in fields) {
    const value = fields[key];
    const shown = isSecret(key) && value !== null && value !== undefined ? "<secret>" : below(value, depth);
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

function isSecret(key: string): boolean {
  return SECRET_KEYS.has(key) || SECRET_KEYS.has(key.toLowerCase().replace(/[-_]/g, ""));
}
