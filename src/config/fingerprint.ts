import { sha256 } from "./files.ts";
import { Secret } from "./secret.ts";

/**
 * Tells parts of configurations apart, secrets included, and shows nothing of them: 64 hex digits that change with
 * every setting. For notes that outlive the process, and to see what a reload changed.
 */
export const fingerprint = (part: unknown): string => sha256(JSON.stringify(part, hideSecret));

/** `value` has been through the secret's own toJSON, so the secret is taken from what holds it. */
function hideSecret(this: unknown, key: string, value: unknown): unknown {
  const original = (this as Record<string, unknown>)[key];
  return original instanceof Secret ? { sha256: sha256(original.reveal()) } : value;
}
