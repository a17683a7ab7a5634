import type { Path } from "./source.ts";

/** Keys whose value can stand in a file of its own: `x_file` instead of `x`. */
export const FILE_KEYS: ReadonlySet<string> = new Set([
  "access_key",
  "secret_key",
  "security_token",
  "token",
  "password",
  "secret",
  "bearer_token",
  "url",
  "routing_key",
  "template",
  "ca",
  "cert",
  "key",
]);

/** Those of them that can only stand in a file. They occur in maps named `tls`. */
export const FILE_ONLY_KEYS: ReadonlySet<string> = new Set(["ca", "cert", "key"]);

const SECRET_KEYS: ReadonlySet<string> = new Set([
  ...FILE_KEYS,
  "urls",
  "proxy",
  // Maps and lists of secrets, for the case that a bare value stands where the map should be.
  "credentials",
  "auth",
  "basic",
  "headers",
  "webhooks",
  "tls",
]);

/** Whether what stands at the path, or would stand there, must not be shown. */
export function isSecretPath(path: Path): boolean {
  if (path.includes("headers")) return true;
  const last = path.findLast((step) => typeof step === "string");
  return last !== undefined && SECRET_KEYS.has(last);
}

/** The key that `x_file` stands for, undefined if it is none of those. */
export function baseOfFileKey(key: string): string | undefined {
  if (!key.endsWith("_file")) return undefined;
  const base = key.slice(0, -"_file".length);
  return FILE_KEYS.has(base) ? base : undefined;
}
