import type { RefusalReason } from "../../ports/telemetry.ts";
import type { Handlers } from "../handlers.ts";
import type { Log } from "../logger.ts";

const MESSAGES: Readonly<Record<RefusalReason, string>> = {
  other_origin: "request from another origin refused",
  wrong_credentials: "login failed",
  too_many_failures: "logins limited after failures",
};
const AGAIN_MS = 3_600_000;
/** A flood from many addresses must not flood the log; the counter has all. */
const MOST_LINES = 50;

/** One line for each reason and client within an hour. */
export function httpLines(log: Log): Handlers<"http.refused"> {
  const logger = log.component("http");
  const toldAt = new Map<string, number>();
  return {
    "http.refused": ({ reason, client, at }) => {
      for (const [key, time] of toldAt) if (Math.abs(at - time) >= AGAIN_MS) toldAt.delete(key);
      const key = `${reason} ${client}`;
      if (toldAt.has(key) || toldAt.size >= MOST_LINES) return;
      toldAt.set(key, at);
      logger.warn({ client }, MESSAGES[reason]);
    },
  };
}
