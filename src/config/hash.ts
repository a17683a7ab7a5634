import type { Config } from "./config.ts";
import { sha256 } from "./files.ts";
import { Secret } from "./secret.ts";

/**
 * A number for `taskwatch_config_hash`: equal for configurations that mean the same, whatever the order of keys and
 * the comments. The first 48 bits of a SHA-256, which a double holds exactly. Secrets enter as their own SHA-256.
 */
export function hashConfig(config: Config): number {
  return Number.parseInt(fingerprint(config).slice(0, 12), 16);
}

/** Tells parts of configurations apart, secrets included, without telling them: for notes that outlive the process. */
export function fingerprint(part: unknown): string {
  return sha256(JSON.stringify(canonical(part)));
}

function canonical(value: unknown): unknown {
  if (value instanceof Secret) return { sha256: sha256(value.reveal()) };
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== "object" || value === null) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, inner]) => [key, canonical(inner)]);
}
