import { existsSync } from "node:fs";
import type { Config } from "../config/config.ts";
import { UsageError } from "../errors.ts";
import { systemClock } from "../platform/clock.ts";
import type { Store } from "../ports/store.ts";
import { openStore, storeSettings } from "../store/open.ts";

/** Opens the configured store beside the daemon for as long as `use` takes. Rejects with StoreError or UsageError too. */
export async function withStore<T>({ store }: Config, use: (store: Store) => Promise<T>): Promise<T> {
  if (store.kind === "sqlite") mustExist(store.path ?? "");
  const opened = await openStore(storeSettings(store), { exclusive: false, clock: systemClock });
  try {
    return await use(opened);
  } finally {
    await opened.close();
  }
}

/** A command must not make an empty store where somebody mistyped the name of one, nor one that the daemon cannot write. */
function mustExist(path: string): void {
  if (path === ":memory:") {
    throw new UsageError(
      "the store is in the memory of the daemon (store.url is sqlite::memory:): no command can see it",
    );
  }
  if (existsSync(path)) return;
  throw new UsageError(
    `there is no store at ${path}: the daemon makes it at its first start; a relative store.url starts at the working directory`,
  );
}
