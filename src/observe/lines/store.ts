import { StoreError } from "../../errors.ts";
import type { StoreEvent } from "../../ports/telemetry.ts";
import { OnceAnHour } from "../../util/once-an-hour.ts";
import { type Handlers, nothing } from "../handlers.ts";
import type { Log } from "../logger.ts";
import { round } from "./fields.ts";

/** A newer version may have written thousands; the command `tasks` names them all. */
const MOST_LINES = 20;

export function storeLines(log: Log): Handlers<StoreEvent["kind"]> {
  const logger = log.component("store");
  let down = false;
  const unreadable = new OnceAnHour();
  const failed = new OnceAnHour();
  /** Said once for all shards of one look at the leases. */
  let forgot = false;
  let lastHeld = "";
  return {
    "store.down": ({ error }) => {
      down = true;
      const damaged = error instanceof StoreError && error.code === "corrupt";
      logger.error({ err: error }, damaged ? "store is damaged" : "store does not answer");
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
    "records.unreadable": ({ records, at }) => {
      const places = new Map(
        records.map((record) => [`${record.shard} ${record.kind} ${record.key} ${record.at}`, record]),
      );
      unreadable.retain(new Set(places.keys()));
      const due = [...places].filter(([place]) => unreadable.isDue(place, at));
      for (const [, { shard, kind, key, why }] of due.slice(0, MOST_LINES))
        logger.error({ shard, kind, key, why }, "record cannot be read, set aside");
      if (due.length > MOST_LINES)
        logger.error({ more: due.length - MOST_LINES }, "more records cannot be read, set aside");
    },
    "shard.failed": ({ shard, error, at }) => {
      failed.tidy(at);
      const why = error instanceof Error ? error.message : String(error);
      if (failed.isDue(`${shard} ${why}`, at)) logger.error({ shard, err: error }, "shard cannot be loaded");
      else logger.debug({ shard, err: error }, "shard still cannot be loaded");
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
