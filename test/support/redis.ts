import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";

/*
 * Real Redis servers for tests: one, a cluster of three, one with replica and sentinels, one with TLS. They listen on
 * free ports of the loopback, keep nothing, and end with the test.
 */

const SERVER = ["/usr/bin/redis-server", "/usr/local/bin/redis-server"].find((path) => existsSync(path));

function program(): string {
  if (SERVER) return SERVER;
  throw new Error("redis-server is not here. On Debian, as root: apt-get install -y redis-server");
}

/** Ports that are free now, and whose cluster bus ports (10,000 above) are valid. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count * 4 }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) =>
          server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port)),
        ),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  const fit = ports.filter((port) => port < 55_000);
  if (fit.length >= count) return fit.slice(0, count);
  return freePorts(count);
}

/** One server process in a folder of its own. It can be killed and started again on the same port. */
export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly #folder = mkdtempSync(join(tmpdir(), "taskwatch-redis-"));
  readonly #args: readonly string[];
  #child: ChildProcess | null = null;

  private constructor(port: number, args: readonly string[]) {
    this.port = port;
    this.#args = args;
  }

  static async start(args: readonly string[] = [], port?: number): Promise<RedisServer> {
    const server = new RedisServer(port ?? (await freePorts(1))[0] ?? 0, args);
    await server.start();
    return server;
  }

  /** Watches the master on this port; two of three must agree that it is down. */
  static async startSentinel(masterPort: number): Promise<RedisServer> {
    const [port = 0] = await freePorts(1);
    const server = new RedisServer(port, ["--sentinel"]);
    writeFileSync(
      join(server.#folder, "sentinel.conf"),
      `sentinel monitor main 127.0.0.1 ${masterPort} 2
sentinel down-after-milliseconds main 700
sentinel failover-timeout main 3000
`,
    );
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  async start(): Promise<void> {
    const place = ["--bind", "127.0.0.1", "--port", String(this.port), "--dir", this.#folder];
    const kind = this.#args.includes("--sentinel")
      ? [join(this.#folder, "sentinel.conf")]
      : ["--save", "", "--appendonly", "no"];
    const child = spawn(program(), [...kind, ...place, ...this.#args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      let text = "";
      child.stdout?.on("data", (chunk: Buffer) => {
        text += chunk.toString();
        if (text.includes("Ready to accept connections") || text.includes("Sentinel ID")) resolve();
      });
      child.once("exit", (code) => reject(new Error(`redis-server ended with ${code}: ${text}`)));
    });
  }

  /** As a crash: nothing is saved. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** A connection for the test itself, to be ended by it. */
  client(password?: string): Redis {
    return new Redis(this.port, "127.0.0.1", password === undefined ? {} : { password });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function disposeAll(all: readonly AsyncDisposable[]): Promise<void> {
  for (const each of all) await each[Symbol.asyncDispose]();
}

export interface Servers extends AsyncDisposable {
  readonly url: string;
  readonly servers: readonly RedisServer[];
}

/** Three masters that share the slots. */
export async function startCluster(): Promise<Servers> {
  const ports = await freePorts(3);
  const args = [
    "--cluster-enabled",
    "yes",
    "--cluster-config-file",
    "nodes.conf",
    "--cluster-node-timeout",
    "2000",
  ];
  const servers = await Promise.all(ports.map((port) => RedisServer.start(args, port)));
  const clients = servers.map((server) => server.client());
  const share = Math.ceil(16_384 / servers.length);
  for (const [index, client] of clients.entries()) {
    const last = Math.min(16_383, (index + 1) * share - 1);
    await client.call("CLUSTER", "ADDSLOTSRANGE", String(index * share), String(last));
    await client.call("CLUSTER", "MEET", "127.0.0.1", String(ports[0]));
  }
  for (const client of clients) {
    for (;;) {
      const info = String(await client.call("CLUSTER", "INFO"));
      if (info.includes("cluster_state:ok") && info.includes("cluster_known_nodes:3")) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    client.disconnect();
  }
  return {
    url: `redis+cluster://${ports.map((port) => `127.0.0.1:${port}`).join(",")}`,
    servers,
    [Symbol.asyncDispose]: () => disposeAll(servers),
  };
}

/** A master, a replica, and three sentinels that fail over within about two seconds. */
export async function startSentinels(): Promise<Servers> {
  const master = await RedisServer.start(["--repl-diskless-sync-delay", "0"]);
  const replica = await RedisServer.start(["--replicaof", "127.0.0.1", String(master.port)]);
  const sentinels = await Promise.all([1, 2, 3].map(() => RedisServer.startSentinel(master.port)));
  const client = master.client();
  while (!String(await client.info("replication")).includes("connected_slaves:1")) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  client.disconnect();
  return {
    url: `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",")}/main`,
    servers: [master, replica, ...sentinels],
    [Symbol.asyncDispose]: () => disposeAll([...sentinels, replica, master]),
  };
}
