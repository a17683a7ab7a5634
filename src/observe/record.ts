import type { Emit } from "../ports/telemetry.ts";
import { counting } from "./count.ts";
import { handle } from "./handlers.ts";
import { telling } from "./lines/lines.ts";
import type { Log } from "./logger.ts";
import type { Metrics } from "./metrics.ts";

export interface Recorder {
  /** To be wrapped in `safeEmit` for whoever emits. */
  readonly emit: Emit;
  /** Transitions into FAILED of one instance since the process began: `InstanceView.failures`. */
  failures(project: string, instanceId: string): number;
}

/**
 * Instances of which failures are counted. Further ones replace those that failed longest ago, which begin at 0 again: an
 * instance that another replica took over and removed leaves no word here.
 */
const MOST_INSTANCES = 20_000;

/** The one listener: every runtime event becomes its log line and its metrics here, so that the two always agree. */
export function createRecorder(metrics: Metrics, log: Log): Recorder {
  const count = counting(metrics);
  const tell = telling(log);
  const failures = new Map<string, number>();
  const keyOf = (project: string, instanceId: string): string => `${project}/${instanceId}`;
  return {
    emit(event) {
      try {
        handle(count, event);
      } finally {
        handle(tell, event);
      }
      if (event.kind === "fact" && event.fact.kind === "transition" && event.fact.status === "FAILED") {
        const key = keyOf(event.project, event.instanceId);
        const before = failures.get(key) ?? 0;
        failures.delete(key);
        failures.set(key, before + 1);
        const [oldest] = failures.keys();
        if (failures.size > MOST_INSTANCES && oldest !== undefined) failures.delete(oldest);
      }
      if (event.kind === "instance.removed") failures.delete(keyOf(event.project, event.instanceId));
    },
    failures: (project, instanceId) => failures.get(keyOf(project, instanceId)) ?? 0,
  };
}
