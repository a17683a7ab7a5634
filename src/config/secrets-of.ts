import { Secret } from "./secret.ts";

/** Shorter texts stand in too many places to be told from what is no secret. */
const SHORTEST = 4;

/**
 * All that must not be shown of a configuration, the longest first, to be taken out of text that others wrote: each
 * secret, and of one that is a URL also its parts behind the host.
 */
export function secretsOf(config: unknown): readonly string[] {
  const found = new Set<string>();
  collect(config, found);
  return [...found].filter((text) => text.length >= SHORTEST).sort((a, b) => b.length - a.length);
}

function collect(value: unknown, found: Set<string>): void {
  if (value instanceof Secret) {
    const text = value.reveal();
    found.add(text);
    for (const part of partsOf(text)) found.add(part);
  } else if (typeof value === "object" && value !== null) {
    for (const inner of Object.values(value)) collect(inner, found);
    if ("user" in value && "password" in value && value.password instanceof Secret) {
      found.add(Buffer.from(`${String(value.user)}:${value.password.reveal()}`).toString("base64"));
    }
  }
}

function partsOf(text: string): readonly string[] {
  const url = URL.parse(text);
  if (url === null || url.host === "") return [];
  return [url.pathname + url.search, url.pathname, url.search, url.username, url.password];
}
