import { Agent, type Dispatcher, EnvHttpProxyAgent, ProxyAgent } from "undici";
import { UsageError } from "../errors.ts";

export interface AgentOptions {
  /** Sockets per host: more calls than that at once wait. */
  readonly connections: number;
  /** PEM text of the certificates to trust, instead of the well-known ones; null for those. */
  readonly ca: string | null;
  /** Proxy to use for everything; null: the environment decides. May hold a password. */
  readonly proxy: string | null;
  /** HTTPS_PROXY, HTTP_PROXY and NO_PROXY, in capitals or not. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

const CONNECT_MS = 10_000;

export interface Connections {
  readonly dispatch: Dispatcher["dispatch"];
  /** Ends the connections when what is in flight on them has ended. */
  close(): Promise<void>;
  /** Ends all connections and what is in flight on them. */
  destroy(): Promise<void>;
}

/**
 * The connections of one project. HTTP/2 is off, because there `connections` would limit nothing.
 * @throws UsageError for a proxy that is none
 */
export function createAgent(options: AgentOptions): Connections {
  const tls = options.ca === null ? {} : { ca: options.ca };
  const common = {
    connections: options.connections,
    pipelining: 1,
    allowH2: false,
    // Below the minute after which gateways commonly close: their close must not meet a request on its way.
    keepAliveTimeout: 50_000,
    keepAliveMaxTimeout: 300_000,
    connect: { ...tls, timeout: CONNECT_MS },
    requestTls: { ...tls, timeout: CONNECT_MS },
    proxyTls: tls,
  };
  if (options.proxy !== null) {
    const uri = options.proxy;
    return proxied("proxy", () => new ProxyAgent({ ...common, uri }));
  }
  const httpsProxy = pick(options.env, "HTTPS_PROXY");
  const httpProxy = pick(options.env, "HTTP_PROXY");
  const noProxy = pick(options.env, "NO_PROXY");
  const direct = connectionsOf(new Agent(common));
  // Empty texts, not absent ones: else it would read the process's own environment.
  const by = (proxies: { httpsProxy: string; httpProxy: string }): Connections =>
    proxied("HTTPS_PROXY, HTTP_PROXY", () => new EnvHttpProxyAgent({ ...common, ...proxies, noProxy }));
  const https = httpsProxy === "" ? direct : by({ httpsProxy, httpProxy: "" });
  // One agent each, because the library sends https through HTTP_PROXY where that alone is set.
  const http = httpProxy === "" ? direct : by({ httpsProxy: "", httpProxy });
  return {
    dispatch: (request, handler) =>
      (String(request.origin).startsWith("https:") ? https : http).dispatch(request, handler),
    close: async () => {
      await Promise.all([...new Set([direct, https, http])].map((one) => one.close()));
    },
    destroy: async () => {
      await Promise.all([...new Set([direct, https, http])].map((one) => one.destroy()));
    },
  };
}

function proxied(where: string, make: () => Dispatcher): Connections {
  try {
    return connectionsOf(make());
  } catch (cause) {
    const allowed = "the URL of a proxy, its user and password percent-encoded (% is %25)";
    // The value may hold a password.
    throw new UsageError(`${where}: found a value that is not shown; allowed: ${allowed}`, { cause });
  }
}

function connectionsOf(dispatcher: Dispatcher): Connections {
  return {
    dispatch: (request, handler) => dispatcher.dispatch(request, handler),
    close: () => dispatcher.close(),
    destroy: () => dispatcher.destroy(),
  };
}

function pick(env: AgentOptions["env"], name: string): string {
  return env[name.toLowerCase()] || env[name] || "";
}
