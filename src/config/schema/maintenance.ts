import { WEEKDAYS } from "../config.ts";
import { match } from "./common.ts";
import { oneOf } from "./scalars.ts";
import { list, object } from "./shapes.ts";
import { instant, timeOfDay, timezone } from "./times.ts";

/** Recurring with from and to, or absolute with start and end; the checks see to it that it is one of the two. */
export const maintenanceWindow = object({
  days: list(oneOf(WEEKDAYS), "days").optional(),
  from: timeOfDay().optional(),
  to: timeOfDay().optional(),
  timezone: timezone().optional(),
  start: instant().optional(),
  end: instant().optional(),
  match: match().optional(),
});
