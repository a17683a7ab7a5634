import { UsageError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Store } from "../ports/store.ts";
import { openSqlite } from "./sqlite/store.ts";

export interface StoreSettings {
  /** `sqlite:<file>` or `sqlite::memory:`. It may carry a password: never to be shown. */
  readonly url: string;
  /** Redis only: lets several installations share a server. */
  readonly keyPrefix: string;
  /** Into how many shards the instances are divided; kept in the store from its first opening on. */
  readonly shards: number;
}

export interface StoreRole {
  /** True for a daemon, false for a command beside it. */
  readonly exclusive: boolean;
  readonly clock: Clock;
}

/** Rejects with StoreError, or UsageError for a kind of store that there is not. */
export async function openStore(settings: StoreSettings, role: StoreRole): Promise<Store> {
  const scheme = settings.url.slice(0, settings.url.indexOf(":"));
  if (scheme === "sqlite") {
    return openSqlite(settings.url.slice("sqlite:".length), { shards: settings.shards, ...role });
  }
  throw new UsageError(`store.url: ${scheme}: stores are not available in this version; use sqlite:<file>`);
}
