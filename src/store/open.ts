import type { StoreConfig } from "../config/config.ts";
import { UsageError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Store } from "../ports/store.ts";
import type { RedisSettings } from "./redis/connect.ts";
import { openSqlite } from "./sqlite/store.ts";

export interface StoreSettings {
  /** `sqlite:<file>`, `sqlite::memory:`, or a `redis…:` URL. It may carry a password: never to be shown. */
  readonly url: string;
  /** Redis only: lets several installations share a server. */
  readonly keyPrefix: string;
  /** Into how many shards the instances are divided; kept in the store from its first opening on. */
  readonly shards: number;
  /** Redis only. */
  readonly username?: string | null;
  readonly password?: string | null;
  readonly tls?: RedisSettings["tls"];
}

export interface StoreRole {
  /** True for a daemon, false for a command beside it. */
  readonly exclusive: boolean;
  readonly clock: Clock;
  /** Returns the settings in force: a connection that Redis loses is made again with their user, password and TLS. */
  readonly current?: () => StoreSettings;
}

/** The settings as the configuration has them. */
export const storeSettings = (store: StoreConfig): StoreSettings => ({
  url: store.url.reveal(),
  keyPrefix: store.key_prefix,
  shards: store.shards,
  username: store.username,
  password: store.password?.reveal() ?? null,
  tls: store.tls && { ...store.tls, key: store.tls.key?.reveal() ?? null },
});

/** Rejects with StoreError, or UsageError for a kind of store that there is not. */
export async function openStore(settings: StoreSettings, role: StoreRole): Promise<Store> {
  const scheme = settings.url.slice(0, settings.url.indexOf(":"));
  if (scheme === "sqlite") {
    return openSqlite(settings.url.slice("sqlite:".length), { shards: settings.shards, ...role });
  }
  if (!scheme.startsWith("redis")) {
    throw new UsageError(
      `store.url: ${scheme}: is no store; allowed are sqlite:<file> and redis://host:port`,
    );
  }
  // Loaded only where it is used: the client costs memory that most installations need not pay.
  const { openRedis } = await import("./redis/store.ts");
  return openRedis({
    ...settings,
    settings: () => redisSettings(role.current?.() ?? settings),
    clock: role.clock,
  });
}

const redisSettings = ({
  url,
  username = null,
  password = null,
  tls = null,
}: StoreSettings): RedisSettings => ({
  url,
  username,
  password,
  tls,
});
