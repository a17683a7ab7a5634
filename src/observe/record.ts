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
        failures.set(key, (failures.get(key) ?? 0) + 1);
      }
      if (event.kind === "instance.removed") failures.delete(keyOf(event.project, event.instanceId));
    },
    failures: (project, instanceId) => failures.get(keyOf(project, instanceId)) ?? 0,
  };
}
