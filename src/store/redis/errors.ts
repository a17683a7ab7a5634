import { StoreError, type StoreErrorCode } from "../../errors.ts";

/** What Redis says, by the first word of its error. Anything else that is no answer is `unavailable`. */
const CODES: Readonly<Record<string, readonly [StoreErrorCode, string]>> = {
  OOM: ["full", "Redis has no memory left (maxmemory)"],
  READONLY: [
    "unavailable",
    "Redis answers as a read-only replica: a failover is under way, or the address is a replica's",
  ],
  MISCONF: ["full", "Redis cannot save to its disk and refuses writes"],
  LOADING: ["unavailable", "Redis is loading its data"],
  MASTERDOWN: ["unavailable", "Redis is a replica without its master"],
  CLUSTERDOWN: ["unavailable", "the Redis cluster is down"],
  NOAUTH: ["unavailable", "Redis wants a password: set store.password_file"],
  WRONGPASS: ["unavailable", "Redis refuses user name and password"],
  NOPERM: ["unavailable", "the Redis user lacks a permission"],
  WRONGTYPE: [
    "mismatch",
    "a key of the store holds something else: is store.key_prefix shared with another program?",
  ],
};

/** Rejections of ioredis become StoreErrors; a script's own complaint is a bug and stays as it is. */
export async function asStoreErrors<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw storeError(what, error);
  }
}

export function storeError(what: string, error: unknown): unknown {
  if (error instanceof StoreError || !(error instanceof Error)) return error;
  // ioredis wraps what it gave up on.
  const cause =
    "lastNodeError" in error && error.lastNodeError instanceof Error ? error.lastNodeError : error;
  if (cause.message.includes("taskwatch: ")) return error;
  const [code, sentence] = CODES[/^[A-Z]+/.exec(cause.message)?.[0] ?? ""] ?? [
    "unavailable",
    "Redis does not answer",
  ];
  return new StoreError(code, `${what}: ${sentence} (${cause.message.slice(0, 160)})`, { cause: error });
}
