import type { Handlers } from "../handlers.ts";
import type { Log } from "../logger.ts";
import { MOST_NAMES } from "./fields.ts";

export function configLines(log: Log): Handlers<"config.loaded" | "reload.failed"> {
  const logger = log.component("config");
  return {
    "config.loaded": ({ reload, changed }) =>
      logger.info(
        { changed: changed.slice(0, MOST_NAMES) },
        reload ? "configuration reloaded" : "configuration loaded",
      ),
    "reload.failed": ({ error }) =>
      logger.error({ err: error }, "reload refused: the configuration in force stays"),
  };
}
