import { Agent, type Dispatcher, EnvHttpProxyAgent, ProxyAgent } from "undici";

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

/**
 * The connections of one project. HTTP/2 is off, because there `connections` would limit nothing. The owner closes
 * it with `destroy()`.
 */
export function createAgent(options: AgentOptions): Dispatcher {
  const tls = options.ca === null ? {} : { ca: options.ca };
  const common = {
    connections: options.connections,
    pipelining: 1,
    allowH2: false,
    // Below the minute after which gateways commonly close: their close must not meet a request on its way.
    keepAliveTimeout: 50_000,
    keepAliveMaxTimeout: 300_000,
    connect: { ...tls, timeout: 10_000 },
    requestTls: { ...tls, timeout: 10_000 },
    proxyTls: tls,
  };
  if (options.proxy !== null) return new ProxyAgent({ ...common, uri: options.proxy });
  const httpsProxy = pick(options.env, "HTTPS_PROXY");
  const httpProxy = pick(options.env, "HTTP_PROXY");
  if (httpsProxy === "" && httpProxy === "") return new Agent(common);
  // Empty texts, not absent ones: else it would read the process's own environment.
  return new EnvHttpProxyAgent({ ...common, httpsProxy, httpProxy, noProxy: pick(options.env, "NO_PROXY") });
}

function pick(env: AgentOptions["env"], name: string): string {
  return env[name.toLowerCase()] || env[name] || "";
}
