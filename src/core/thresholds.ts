import type { Knowledge } from "./decision.ts";
import type { StuckRules } from "./rules.ts";
import type { Threshold } from "./state.ts";

/** How long a task of this name may run: the first that is set wins. */
export function runningThreshold(stuck: StuckRules, knowledge: Knowledge, taskName: string): Threshold {
  const own = stuck.instanceByTask.get(taskName);
  if (own !== undefined) return { seconds: own / 1000, source: "instance_by_task", samples: 0 };
  if (stuck.instanceRunningAfter !== null) {
    return { seconds: stuck.instanceRunningAfter / 1000, source: "instance_running_after", samples: 0 };
  }
  const named = stuck.byTask.get(taskName);
  if (named !== undefined) return { seconds: named / 1000, source: "by_task", samples: 0 };
  return (
    (stuck.learn.enabled ? knowledge.learned(taskName) : null) ?? {
      seconds: stuck.runningAfter / 1000,
      source: "running_after",
      samples: 0,
    }
  );
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
): Threshold {
  return executed
    ? { seconds: stuck.queuedAfter / 1000, source: "queued_after", samples: 0 }
    : runningThreshold(stuck, knowledge, taskName);
}
