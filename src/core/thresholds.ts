import type { Knowledge } from "./decision.ts";
import type { StuckRules } from "./rules.ts";
import type { Threshold } from "./state.ts";

/**
 * A learned limit that is shorter than `running_after` counts once its runs were known for this long. Before, a new
 * installation would page by the history that its first poll read. A longer one counts at once: it only spares pages.
 */
export const TRUSTED_AFTER_MS = 86_400_000;

/** A clock that was set back must not make a limit trusted early. */
const isTrusted = (knownSince: number, now: number): boolean =>
  Math.abs(now - knownSince) >= TRUSTED_AFTER_MS;

/** How long a task of this name may run: the first that is set wins. `now`: local time. */
export function runningThreshold(
  stuck: StuckRules,
  knowledge: Knowledge,
  taskName: string,
  now: number,
): Threshold {
  const own = stuck.instanceByTask.get(taskName);
  if (own !== undefined) return { seconds: own / 1000, source: "instance_by_task", samples: 0 };
  if (stuck.instanceRunningAfter !== null) {
    return { seconds: stuck.instanceRunningAfter / 1000, source: "instance_running_after", samples: 0 };
  }
  const named = stuck.byTask.get(taskName);
  if (named !== undefined) return { seconds: named / 1000, source: "by_task", samples: 0 };
  const seconds = stuck.runningAfter / 1000;
  const learned = stuck.learn.enabled ? knowledge.learned(taskName) : null;
  if (learned !== null && (learned.threshold.seconds >= seconds || isTrusted(learned.knownSince, now))) {
    return learned.threshold;
  }
  return { seconds, source: "running_after", samples: 0 };
}

/**
 * How long a task of this name may wait in CREATED or WAITING. Some names run in CREATED and never show
 * EXECUTING: as long as a name was never seen to go on, its wait may be its run, and the running limit holds.
 */
export function queuedThreshold(
  stuck: StuckRules,
  knowledge: Knowledge,
  taskName: string,
  executed: boolean,
  now: number,
): Threshold {
  return executed
    ? { seconds: stuck.queuedAfter / 1000, source: "queued_after", samples: 0 }
    : runningThreshold(stuck, knowledge, taskName, now);
}
