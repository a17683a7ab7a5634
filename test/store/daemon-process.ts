import { writeSync } from "node:fs";
import { systemClock } from "../../src/platform/clock.ts";
import { openSqlite } from "../../src/store/sqlite/store.ts";
import { batch, event, leaseOf, record, SHARDS, task } from "./contract/back-end.ts";
import type { Errand } from "./store-process.ts";

/** Commits in one turn. */
const TOGETHER = 7;

const [, , path = "", errandText = ""] = process.argv;
const errand = JSON.parse(errandText) as Errand;
const say = (line: string) => writeSync(1, `${line}\n`);

try {
  const store = await openSqlite(path, { shards: SHARDS, exclusive: true, clock: systemClock });
  say("open");
  if (errand.kind === "hold") {
    await systemClock.sleep(600_000);
  } else {
    const lease = await leaseOf(store);
    for (let next = errand.from; ; next += TOGETHER) {
      const all = Array.from({ length: TOGETHER }, async (_, index) => {
        const number = next + index;
        const result = await store.state.commit(
          lease,
          batch({
            key: `p1/i${number}`,
            record: record({ instanceId: `i${number}` }),
            upserts: [task(`t${number}`, { status: "EXECUTING" })],
            events: [event(`evt_${number}`, { taskId: `t${number}`, lane: `lane ${number % 5}` })],
          }),
        );
        say(result.kind === "ok" ? `${number}` : result.kind);
      });
      await Promise.all(all);
    }
  }
} catch (error) {
  say(error instanceof Error && "code" in error ? String(error.code) : String(error));
}
