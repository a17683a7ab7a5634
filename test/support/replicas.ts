import { type Simulator, type SimulatorOptions, startSimulator } from "../../src/simulator/server.ts";
import { Daemon, Folder } from "./daemon.ts";
import { TcpProxy } from "./proxy.ts";
import { RedisServer } from "./redis.ts";
import { instancesOf, projectOf, type RawConfig, watchConfig, webhookOf } from "./watch-config.ts";
import { Inbox } from "./webhook-receiver.ts";

/** The default of the configuration. */
export const SHARDS = 16;

export interface HouseOptions {
  readonly simulator?: SimulatorOptions;
  /** Of the project, over what `projectOf` has. */
  readonly project?: RawConfig;
  /** Instances that the configuration names, the first ones; all where it is left out. */
  readonly named?: number;
  readonly webhook?: RawConfig;
  /** Top-level keys of the configuration. */
  readonly config?: RawConfig;
  readonly lease?: string;
  /** Each way to the receiver, so that deliveries are under way for a while. */
  readonly receiverLatencyMs?: number;
}

/** A replica, and its way to Redis. */
export interface Replica extends AsyncDisposable {
  readonly daemon: Daemon;
  readonly proxy: TcpProxy;
  /** The path of its configuration. */
  readonly config: string;
}

/** Everything that several replicas need: the simulated cloud, a receiver, a Redis, and a place for their files. */
export class House implements AsyncDisposable {
  readonly simulator: Simulator;
  readonly inbox: Inbox;
  readonly redis: RedisServer;
  readonly #wire: TcpProxy;
  readonly #folder: Folder;
  readonly #options: HouseOptions;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    simulator: Simulator,
    inbox: Inbox,
    wire: TcpProxy,
    redis: RedisServer,
    folder: Folder,
    options: HouseOptions,
    stack: AsyncDisposableStack,
  ) {
    this.simulator = simulator;
    this.inbox = inbox;
    this.#wire = wire;
    this.redis = redis;
    this.#folder = folder;
    this.#options = options;
    this.#stack = stack;
  }

  static async open(options: HouseOptions = {}): Promise<House> {
    await using stack = new AsyncDisposableStack();
    const folder = stack.use(await Folder.create());
    const redis = stack.use(await RedisServer.start());
    const inbox = stack.use(await Inbox.start());
    const wire = stack.use(await TcpProxy.start(inbox.port));
    wire.latency = options.receiverLatencyMs ?? 0;
    const simulator = stack.use(await startSimulator(options.simulator));
    return new House(simulator, inbox, wire, redis, folder, options, stack.move());
  }

  /** Starts a replica, and waits for nothing. */
  async launch(): Promise<Replica> {
    const { project = {}, named, webhook = {}, config = {}, lease = "3s" } = this.#options;
    const url = this.inbox.url.replace(`:${this.inbox.port}/`, `:${this.#wire.port}/`);
    const instances = instancesOf(this.simulator).slice(0, named);
    const proxy = this.#stack.use(await TcpProxy.start(this.redis.port));
    const path = await this.#folder.write(
      `replica-${proxy.port}.yaml`,
      watchConfig(this.simulator, this.inbox, {
        projects: [projectOf(this.simulator, { instances, ...project })],
        webhooks: [webhookOf(this.inbox, { url, ...webhook })],
        ...config,
        store: { url: `redis://127.0.0.1:${proxy.port}`, lease },
      }),
    );
    const daemon = this.#stack.use(new Daemon(path));
    return {
      daemon,
      proxy,
      config: path,
      [Symbol.asyncDispose]: async () => {
        await daemon[Symbol.asyncDispose]();
        await proxy[Symbol.asyncDispose]();
      },
    };
  }

  /** Starts replicas in the same moment, and waits until all are ready. */
  async start(count: number): Promise<Replica[]> {
    const replicas = await Promise.all(Array.from({ length: count }, () => this.launch()));
    await Promise.all(replicas.map(({ daemon }) => daemon.ready()));
    return replicas;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}
