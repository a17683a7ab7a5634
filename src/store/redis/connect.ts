import { Cluster, Redis, type RedisOptions } from "ioredis";
import { StoreError, UsageError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { parseRedisUrl, type RedisUrl } from "../../util/redis-url.ts";
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
 * commands fail at once, because nobody is served by a queue of writes whose time has passed. Each connection is made
 * with the user, password and certificates that `settings` returns then. The servers are those that it returns first.
 */
export async function connect(settings: () => RedisSettings, clock: Clock): Promise<Client> {
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

function createClient(settings: () => RedisSettings): Client {
  const { url } = settings();
  const { scheme, hosts, db, master } = parsed(url);
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
    ...access(settings()),
  } satisfies RedisOptions;
  const [first = { host: "127.0.0.1", port: 6379 }] = hosts;
  if (scheme === "redis+cluster") {
    const cluster = new Cluster([...hosts], {
      lazyConnect: true,
      enableOfflineQueue: false,
      redisOptions: common,
      slotsRefreshTimeout: CONNECT_MS,
      clusterRetryStrategy: (times: number) => Math.min(times * 100, LONGEST_RECONNECT_WAIT_MS),
      // Without this, certificates would be checked against the addresses that the cluster tells of itself.
      ...("tls" in common ? { dnsLookup: asItIs } : {}),
    });
    // The cluster makes a new node for each new connection, and tells of it before the node connects.
    return cluster.on("+node", (node: Redis) => void readAtConnect(node, settings));
  }
  if (scheme === "redis+sentinel") {
    const sentinel = new Redis({
      ...common,
      sentinels: [...hosts],
      name: master,
      sentinelRetryStrategy: (times: number) => Math.min(times * 100, LONGEST_RECONNECT_WAIT_MS),
      ...("tls" in common ? { sentinelTLS: common.tls, enableTLSForSentinelMode: true } : {}),
    });
    return readAtConnect(sentinel, settings);
  }
  return readAtConnect(new Redis({ ...common, ...first, db }), settings);
}

type Access = Pick<RedisOptions, "username" | "password" | "tls">;

/** What may change from one connection to the next. */
function access({ url, username, password, tls }: RedisSettings): Access {
  const inUrl = parsed(url);
  return {
    ...orNothing("username", username ?? inUrl.username),
    ...orNothing("password", password ?? inUrl.password),
    ...(tls !== null || inUrl.scheme === "rediss"
      ? { tls: Object.fromEntries(Object.entries(tls ?? {}).filter(([, value]) => value !== null)) }
      : {}),
  };
}

/** The client reads its options whenever it connects, and copies them for the connections that it makes beside. */
function readAtConnect(client: Redis, settings: () => RedisSettings): Redis {
  const readTls = { enumerable: true, get: () => access(settings()).tls };
  Object.defineProperties(client.options, {
    username: { enumerable: true, get: () => access(settings()).username },
    password: { enumerable: true, get: () => access(settings()).password ?? null },
    ...(client.options.tls ? { tls: readTls } : {}),
    ...(client.options.sentinelTLS ? { sentinelTLS: readTls } : {}),
  });
  return client;
}

function parsed(url: string): RedisUrl {
  const result = parseRedisUrl(url);
  if (typeof result === "string") throw new UsageError(`store.url: allowed is ${result}`);
  return result;
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
