import { createHash } from "node:crypto";
import type { Redis } from "ioredis";
import { readScripts } from "../../src/store/redis/scripts.ts";
import type { RedisServer } from "./redis.ts";

/** Scripts whose first arguments are the owner and the fence that they are called under. */
const UNDER_A_LEASE = new Set(["commit", "touch", "claim", "settle", "prune", "drop"]);
const WRITES = new Set(["HSET", "HDEL", "HINCRBY", "ZADD", "ZREM", "SADD", "DEL"]);
/** The server tells a command's time a moment before it looks at its clock again. */
const MOMENT_MS = 5;

interface LeaseState {
  owner: string;
  fence: number;
  till: number;
}

/**
 * Reads along with a Redis server, command by command, and judges every write of a shard by the leases that the server
 * gave: was the one that it names the valid one at that moment? It knows nothing of what the scripts check themselves.
 */
export class LeaseAudit implements AsyncDisposable {
  /** Writes without a valid lease. */
  readonly violations: string[] = [];
  /** Calls under a lease that wrote, and those that were refused because it was not valid any more. */
  writes = 0;
  refused = 0;
  /** How often a shard got an owner. */
  leases = 0;
  readonly #monitor: Redis;
  readonly #names = new Map<string, string>();
  readonly #shards = new Map<string, LeaseState>();
  /** The script that runs: what it calls follows it directly. */
  #script: { readonly told: string; readonly valid: boolean; wrote: boolean } | null = null;

  private constructor(monitor: Redis) {
    this.#monitor = monitor;
    for (const { name, text } of readScripts().values()) {
      this.#names.set(createHash("sha1").update(text).digest("hex"), name);
      this.#names.set(text, name);
    }
    monitor.on("monitor", (time: string, args: string[], source: string) => {
      if (source === "lua") this.#called(args);
      else this.#begins(Number(time) * 1_000, args);
    });
  }

  /** To be started before the first replica. */
  static async start(redis: RedisServer): Promise<LeaseAudit> {
    const client = redis.client();
    const monitor = await client.monitor();
    client.disconnect();
    return new LeaseAudit(monitor);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#monitor.disconnect();
  }

  #begins(now: number, [command = "", script = "", count = "0", ...rest]: readonly string[]): void {
    this.#script = null;
    if (!/^eval/i.test(command)) return;
    const name = this.#names.get(script) ?? "";
    const [owner = "", fence = ""] = rest.slice(Number(count));
    if (!UNDER_A_LEASE.has(name) || owner === "") return;
    const meta = rest[0] ?? "";
    const lease = this.#shards.get(meta);
    const valid = lease?.owner === owner && lease.fence === Number(fence) && lease.till > now - MOMENT_MS;
    const has = lease
      ? `${lease.owner} has it with ${lease.fence} for ${lease.till - now} ms`
      : "nobody had it";
    if (!valid) this.refused += 1;
    this.#script = {
      told: `${name} on ${meta} by ${owner} with fence ${fence}: ${has}`,
      valid,
      wrote: false,
    };
  }

  #called([command = "", key = "", ...args]: readonly string[]): void {
    if (!WRITES.has(command.toUpperCase())) return;
    if (this.#script && !this.#script.wrote) {
      this.#script.wrote = true;
      this.writes += 1;
      if (!this.#script.valid) {
        this.refused -= 1;
        this.violations.push(this.#script.told);
      }
    }
    if (key.endsWith(":meta")) this.#meta(key, command.toUpperCase(), args);
  }

  #meta(key: string, command: string, args: readonly string[]): void {
    const lease = this.#shards.get(key) ?? { owner: "", fence: 0, till: 0 };
    this.#shards.set(key, lease);
    if (command === "HINCRBY" && args[0] === "fence") {
      lease.fence += Number(args[1]);
      this.leases += 1;
      return;
    }
    for (let place = 0; command === "HSET" && place < args.length; place += 2) {
      const [field, value = ""] = args.slice(place);
      if (field === "owner") lease.owner = value;
      else if (field === "till") lease.till = Number(value);
      else if (field === "fence") this.violations.push(`the fence of ${key} was set`);
    }
  }
}
