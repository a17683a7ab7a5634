import type { Handlers } from "../handlers.ts";
import type { Log } from "../logger.ts";
import { cloudLines } from "./cloud.ts";
import { configLines } from "./config.ts";
import { httpLines } from "./http.ts";
import { outboxLines } from "./outbox.ts";
import { Lasting } from "./persistent-conditions.ts";
import { pollLines } from "./poll.ts";
import { storeLines } from "./store.ts";
import { taskLines } from "./task.ts";

/** What runtime events are to the log. */
export function telling(log: Log): Handlers {
  const lasting = new Lasting();
  return {
    ...taskLines(log, lasting),
    ...pollLines(log, lasting),
    ...cloudLines(log),
    ...outboxLines(log),
    ...storeLines(log),
    ...configLines(log),
    ...httpLines(log),
  };
}
