import type { Config } from "./config.ts";
import { sha256 } from "./files.ts";
import { Secret } from "./secret.ts";

/**
 * A number for `taskwatch_config_hash`: equal for configurations that mean the same, whatever the order of keys (the
 * schema gives them its own) and the comments. The first 48 bits of a SHA-256, which a double holds exactly. Secrets enter as their own SHA-256.
 */
export function hashConfig(config: Config): number {
  return Number.parseInt(sha256(JSON.stringify(config, hideSecret)).slice(0, 12), 16);
}

/** `value` has been through the secret's own toJSON, so the secret is taken from what holds it. */
function hideSecret(this: unknown, key: string, value: unknown): unknown {
  const original = (this as Record<string, unknown>)[key];
  return original instanceof Secret ? { sha256: sha256(original.reveal()) } : value;
}
