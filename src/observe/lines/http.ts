import type { RefusalReason } from "../../ports/telemetry.ts";
import { OnceAnHour } from "../../util/once-an-hour.ts";
import type { Handlers } from "../handlers.ts";
import type { Log } from "../logger.ts";

const MESSAGES: Readonly<Record<RefusalReason, string>> = {
  other_origin: "request from another origin refused",
  wrong_credentials: "login failed",
  too_many_failures: "logins limited after failures",
};
/** A flood from many addresses must not flood the log; the counter has all. */
const MOST_LINES = 50;

/** One line for each reason and client within an hour. */
export function httpLines(log: Log): Handlers<"http.refused"> {
  const logger = log.component("http");
  const told = new OnceAnHour();
  return {
    "http.refused": ({ reason, client, at }) => {
      told.tidy(at);
      if (told.size < MOST_LINES && told.isDue(`${reason} ${client}`, at))
        logger.warn({ client }, MESSAGES[reason]);
    },
  };
}
