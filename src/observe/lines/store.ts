import type { StoreEvent } from "../../ports/telemetry.ts";
import { type Handlers, nothing } from "../handlers.ts";
import type { Log } from "../logger.ts";
import { round } from "./fields.ts";

export function storeLines(log: Log): Handlers<StoreEvent["kind"]> {
  const logger = log.component("store");
  let down = false;
  /** Said once for all shards of one look at the leases. */
  let forgot = false;
  let lastHeld = "";
  return {
    "store.down": ({ error }) => {
      if (down) return logger.debug({ err: error }, "store is still down");
      down = true;
      logger.error({ err: error }, "store does not answer");
    },
    "store.up": ({ downSeconds }) => {
      // The first one after the start is no news.
      if (down) logger.info({ down_seconds: round(downSeconds) }, "store answers again");
      down = false;
    },
    "store.forgot": ({ shard }) => {
      const sentence = "the store has lost what it had acknowledged; what it does not know is watched anew";
      if (forgot) return logger.debug({ shard }, sentence);
      forgot = true;
      logger.error({ shard }, sentence);
    },
    "lease.acquired": ({ shard, fence }) => logger.debug({ shard, fence }, "shard taken"),
    "lease.lost": ({ shard }) => logger.warn({ shard }, "shard lost before it was given back"),
    "lease.released": ({ shard }) => logger.debug({ shard }, "shard given back"),
    "leases.held": ({ owned, shards, replicas }) => {
      forgot = false;
      const held = `${owned}/${shards}/${replicas}`;
      if (held === lastHeld) return;
      lastHeld = held;
      logger.info({ owned, shards, replicas }, "shards held");
    },
    "store.operation": nothing,
  };
}
