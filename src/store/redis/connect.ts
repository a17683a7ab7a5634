import { Cluster, Redis, type RedisOptions } from "ioredis";
import { StoreError, UsageError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { parseRedisUrl } from "../../util/redis-url.ts";
import { storeError } from "./errors.ts";

export interface RedisSettings {
  /** `redis://`, `rediss://`, `redis+sentinel://host:port,…/name`, `redis+cluster://host:port,…`. */
  readonly url: string;
  readonly username: string | null;
  readonly password: string | null;
  /** PEM texts. Set, or by `rediss://`, connections are encrypted. */
  readonly tls: {
    readonly ca: string | null;
    readonly cert: string | null;
    readonly key: string | null;
  } | null;
}

export type Client = Redis | Cluster;

const CONNECT_MS = 2_000;
/** A command without an answer so long is given up: its outcome is unknown. */
const COMMAND_MS = 3_000;
const LONGEST_RECONNECT_WAIT_MS = 2_000;

/**
 * Connects, or rejects with a StoreError within a few seconds. Once connected, it reconnects by itself; meanwhile
 * commands fail at once, because nobody is served by a queue of writes whose time has passed.
 */
export async function connect(settings: RedisSettings, clock: Clock): Promise<Client> {
  const client = createClient(settings);
  // Each failed command tells its caller; without a listener the first lost connection would end the process. While
  // connecting, this is where the reason is told: the rejection only says that the connection is closed.
  let told: unknown = null;
  client.on("error", (error) => {
    told = error;
  });
  const connected = new AbortController();
  const late = clock.sleep(2 * CONNECT_MS, connected.signal).then(
    () => Promise.reject(new StoreError("unavailable", "store.url: Redis cannot be reached")),
    () => undefined,
  );
  try {
    await Promise.race([ready(client), late]);
    return client;
  } catch (error) {
    client.disconnect();
    throw storeError("store.url", error instanceof StoreError ? error : (told ?? error));
  } finally {
    connected.abort();
  }
}

async function ready(client: Client): Promise<void> {
  await client.connect();
  await client.ping();
}

function createClient(settings: RedisSettings): Client {
  const parsed = parseRedisUrl(settings.url);
  if (typeof parsed === "string") throw new UsageError(`store.url: allowed is ${parsed}`);
  const { scheme, username, password, hosts, db, master } = parsed;
  const secure = scheme === "rediss" || settings.tls !== null;
  const tls = secure
    ? Object.fromEntries(Object.entries(settings.tls ?? {}).filter(([, value]) => value !== null))
    : null;
  const common = {
    lazyConnect: true,
    // The newer one, which nothing here needs, begins with a command that managed servers of version 5 do not know.
    protocol: 2,
    connectTimeout: CONNECT_MS,
    commandTimeout: COMMAND_MS,
    enableOfflineQueue: false,
    // A write that was cut off is not sent again behind its caller's back: it may have been done.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (times: number) => Math.min(times * 100, LONGEST_RECONNECT_WAIT_MS),
    // After a failover the old master answers as a replica: look anew where the master is.
    reconnectOnError: (error: Error) => error.message.startsWith("READONLY"),
    ...orNothing("username", settings.username ?? username),
    ...orNothing("password", settings.password ?? password),
    ...(tls ? { tls } : {}),
  } satisfies RedisOptions;
  const [first = { host: "127.0.0.1", port: 6379 }] = hosts;
  if (scheme === "redis+cluster") {
    return new Cluster([...hosts], {
      lazyConnect: true,
      enableOfflineQueue: false,
      redisOptions: common,
      slotsRefreshTimeout: CONNECT_MS,
      clusterRetryStrategy: (times: number) => Math.min(times * 100, LONGEST_RECONNECT_WAIT_MS),
      // Without this, certificates would be checked against the addresses that the cluster tells of itself.
      ...(tls ? { dnsLookup: asItIs } : {}),
    });
  }
  if (scheme === "redis+sentinel") {
    return new Redis({
      ...common,
      sentinels: [...hosts],
      name: master,
      sentinelRetryStrategy: (times: number) => Math.min(times * 100, LONGEST_RECONNECT_WAIT_MS),
      ...(tls ? { sentinelTLS: tls, enableTLSForSentinelMode: true } : {}),
    });
  }
  return new Redis({ ...common, ...first, db });
}

/**
 * How many connections of a cluster were lost so far; always 0 for a single server. What a lost one cut off a cluster
 * sends again behind its caller's back, so that it may have been done twice: it has no option for one without the other.
 */
export function countCuts(client: Client): () => number {
  let cuts = 0;
  const watch = (node: Redis) => node.on("close", () => cuts++);
  if (client instanceof Cluster) {
    for (const node of client.nodes()) watch(node);
    client.on("+node", watch);
  }
  return () => cuts;
}

type Looked = (error: null, address: string) => void;
const asItIs = (address: string, callback: Looked): void => callback(null, address);

const orNothing = (key: string, value: string | null) => (value === null ? {} : { [key]: value });
