import { onTestFinished } from "vitest";
import type { Clock } from "../../src/ports/clock.ts";
import type { Store } from "../../src/ports/store.ts";
import { openStore } from "../../src/store/open.ts";

/** A store in memory, closed when the test that opened it has ended. */
export async function memoryStore(clock: Clock, shards = 1): Promise<Store> {
  const store = await openStore(
    { url: "sqlite::memory:", keyPrefix: "t", shards },
    { exclusive: true, clock },
  );
  onTestFinished(() => store.close());
  return store;
}
