import { percentDecoded } from "./percent.ts";

export interface RedisUrl {
  readonly scheme: "redis" | "rediss" | "redis+sentinel" | "redis+cluster";
  /** Null where the URL names none. */
  readonly username: string | null;
  readonly password: string | null;
  /** At least one. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  /** Of one server. */
  readonly db: number;
  /** Of the master that Sentinels are asked for; empty for the other schemes. */
  readonly master: string;
}

const PARTS = /^(rediss?|redis\+sentinel|redis\+cluster):\/\/(?:([^@/]*)@)?([^/?#]+)(?:\/([^?#]*))?$/;

/**
 * `redis://host:port/db`, `rediss://…`, `redis+sentinel://host:port,…/master`, `redis+cluster://host:port,…`; `new URL`
 * knows no lists of hosts. For what is none of them, what is allowed, in words: the URL may hold a password, and is
 * not repeated.
 */
export function parseRedisUrl(url: string): RedisUrl | string {
  const [, scheme, user = "", list = "", path = ""] = PARTS.exec(url) ?? [];
  if (scheme === undefined) {
    return "redis://host:port/db, rediss://host:port/db, redis+sentinel://host:port,host:port/name or redis+cluster://host:port,host:port";
  }
  const hosts = list.split(",").map((each) => hostOf(each, scheme === "redis+sentinel" ? 26_379 : 6_379));
  if (!hosts.every((each) => each !== null))
    return "a URL whose hosts are host or host:port, with ports from 1 to 65535";
  const [name = "", ...rest] = user.split(":");
  const [username, password] = [percentDecoded(name), percentDecoded(rest.join(":"))];
  if (username === undefined || password === undefined) {
    return "a URL whose user and password are percent-encoded (% is %25), or store.username and store.password_file";
  }
  if (scheme === "redis+sentinel" && path === "")
    return "a URL with the master's name: redis+sentinel://host:port/name";
  if (scheme === "redis+cluster" && path !== "" && path !== "0")
    return "a URL without a database: a cluster has one";
  if (/^rediss?$/.test(scheme) && !/^\d{0,5}$/.test(path))
    return "a URL with a number as its database: redis://host:port/0";
  return {
    scheme: scheme as RedisUrl["scheme"],
    username: username || null,
    password: rest.length === 0 ? null : password,
    hosts,
    db: /^rediss?$/.test(scheme) ? Number(path) : 0,
    master: scheme === "redis+sentinel" ? path : "",
  };
}

function hostOf(text: string, defaultPort: number): { host: string; port: number } | null {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:\s]*))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? defaultPort : Number(digits);
  return host && port >= 1 && port <= 65_535 ? { host, port } : null;
}
