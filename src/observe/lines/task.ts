import type { Fact } from "../../core/decision.ts";
import { assertNever } from "../../util/assert-never.ts";
import type { Handlers } from "../handlers.ts";
import type { Log, Logger } from "../logger.ts";
import { instanceFields, instanceKeyOf, iso, MOST_NAMES } from "./fields.ts";
import type { Lasting } from "./persistent-conditions.ts";

/** Writes one line per transition, verdict and recovery; a failure and a verdict are warnings. A fact that lasts is one line. */
export function taskLines(log: Log, lasting: Lasting): Handlers<"fact" | "acknowledged"> {
  const logger = log.component("task");
  return {
    fact: (event) => {
      const lasts = whatLasts(event.fact);
      if (lasts === null || lasting.isNews(instanceKeyOf(event), lasts))
        tellFact(logger, instanceFields(event), event.fact);
    },
    acknowledged: ({ by, reason, tasks }) =>
      logger.info(
        { by, ack_reason: reason, tasks: tasks.slice(0, MOST_NAMES), count: tasks.length },
        "acknowledged",
      ),
  };
}

/** What stays the same for as long as a fact of this kind lasts; null for what happens once. */
function whatLasts(fact: Fact): string | null {
  if (fact.kind === "malformed") return `malformed ${fact.taskId} ${fact.problem}`;
  if (fact.kind === "too_many_open") return fact.kind;
  return fact.kind === "stale_sighting" ? `stale ${fact.taskId} ${fact.reason}` : null;
}

function tellFact(log: Logger, instance: Record<string, unknown>, fact: Fact): void {
  switch (fact.kind) {
    case "transition": {
      const failed = fact.status === "FAILED";
      log[failed ? "warn" : "info"](
        {
          ...instance,
          ...taskFields(fact),
          previous_status: fact.from,
          status: fact.status,
          duration_seconds: fact.durationSeconds,
          delay_seconds: fact.delaySeconds,
        },
        failed ? "task failed" : "task transition",
      );
      break;
    }
    case "verdict":
      log.warn({ ...instance, ...taskFields(fact), verdict: fact.verdict }, "task stuck");
      break;
    case "recovered":
      log.info({ ...instance, ...taskFields(fact), resolution: fact.resolution }, "task recovered");
      break;
    case "baseline":
      log.debug({ ...instance, tasks: fact.tasks, open: fact.open }, "first listing recorded");
      break;
    case "unknown_status":
      log.warn({ ...instance, task_id: fact.taskId, status: fact.status }, "status is not documented");
      break;
    case "malformed":
      log.warn(
        { ...instance, task_id: fact.taskId, problem: fact.problem },
        "a row of the listing could not be read",
      );
      break;
    case "outage":
      log.warn(
        { ...instance, from: iso(fact.from), to: iso(fact.to) },
        "not watched for longer than the window reaches: what ended in this time was not seen",
      );
      break;
    case "stale_sighting":
      log.debug({ ...instance, task_id: fact.taskId, reason: fact.reason }, "older sighting passed over");
      break;
    case "too_many_open":
      log.warn({ ...instance, open_tasks: fact.cap }, "too many open tasks, new ones are not recorded");
      break;
    default:
      assertNever(fact);
  }
}

const taskFields = (fact: Extract<Fact, { readonly kind: "transition" | "verdict" | "recovered" }>) => ({
  task_id: fact.taskId,
  task_name: fact.taskName,
  reason: fact.reason,
});
