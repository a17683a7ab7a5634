import type { TaskwatchEvent } from "./event.ts";
import type { WebhookRule } from "./rules.ts";

/**
 * Names of the webhooks that an event goes to, in the order of the configuration: those that want it, and for the
 * end of an incident also those in `informed`, which were sent its beginning. A webhook that is no longer
 * configured gets nothing. What is muted goes to nobody.
 */
export function route(
  webhooks: readonly WebhookRule[],
  event: Pick<TaskwatchEvent, "type" | "data">,
  informed: readonly string[] = [],
): readonly string[] {
  if (event.data.muted) return [];
  const names: string[] = [];
  for (const webhook of webhooks) {
    if (informed.includes(webhook.name) || webhook.wants(event)) names.push(webhook.name);
  }
  return names;
}

/** Those informed so far, and those informed now; each once. */
export const inform = (before: readonly string[], now: readonly string[]): readonly string[] =>
  now.every((name) => before.includes(name)) ? before : [...new Set([...before, ...now])];
