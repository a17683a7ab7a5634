import { type AddressInfo, createConnection, createServer, type Server, type Socket } from "node:net";
import { systemClock } from "../../src/platform/clock.ts";

/**
 * What the network does to every connection, open or new:
 * `pass` carries all; `cut` ends all and refuses new ones; `black hole` takes connections and bytes and gives nothing
 * back; `no answers` carries what the client says and drops what the server says, so that a write happens and nobody
 * is told.
 */
export type ProxyMode = "pass" | "cut" | "black hole" | "no answers";

/** A network between a client and a server on 127.0.0.1, whose faults a test decides. */
export class TcpProxy implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #links = new Set<Link>();
  /** Each way, milliseconds. */
  latency = 0;
  /** Connections taken so far, refused ones among them. */
  accepted = 0;
  #mode: ProxyMode = "pass";

  private constructor(server: Server, targetPort: number) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (client) => {
      this.accepted += 1;
      if (this.#mode === "cut") client.resetAndDestroy();
      else this.#links.add(new Link(client, targetPort, this, (link) => this.#links.delete(link)));
    });
  }

  static async start(targetPort: number): Promise<TcpProxy> {
    const server = createServer({ noDelay: true });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    return new TcpProxy(server, targetPort);
  }

  get mode(): ProxyMode {
    return this.#mode;
  }

  /** Connections that are open. */
  get open(): number {
    return this.#links.size;
  }

  cut(): void {
    this.#mode = "cut";
    this.reset();
  }

  blackHole(): void {
    this.#mode = "black hole";
  }

  swallowAnswers(): void {
    this.#mode = "no answers";
  }

  /** Ends every open connection with RST; new ones fare by the mode. */
  reset(): void {
    for (const link of this.#links) link.reset();
  }

  /** All is well from here on. What was swallowed is lost, so the connections that it was taken from are ended. */
  restore(): void {
    const lossy = this.#mode !== "pass";
    this.#mode = "pass";
    this.latency = 0;
    if (lossy) this.reset();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.reset();
    await closed;
  }
}

class Link {
  readonly #sockets: readonly Socket[];
  readonly #end = new AbortController();

  constructor(client: Socket, targetPort: number, proxy: TcpProxy, onEnd: (link: Link) => void) {
    const server = createConnection({ port: targetPort, host: "127.0.0.1", noDelay: true });
    this.#sockets = [client, server];
    this.#carry(client, server, proxy, (mode) => mode !== "black hole");
    this.#carry(server, client, proxy, (mode) => mode === "pass");
    for (const socket of this.#sockets) {
      socket.on("error", () => this.reset());
      socket.on("close", () => {
        this.reset();
        onEnd(this);
      });
    }
  }

  reset(): void {
    this.#end.abort(new Error("the connection ended"));
    for (const socket of this.#sockets) if (!socket.destroyed) socket.resetAndDestroy();
  }

  #carry(from: Socket, to: Socket, proxy: TcpProxy, may: (mode: ProxyMode) => boolean): void {
    let before = Promise.resolve();
    const inOrder = (then: () => void) => {
      const ms = proxy.latency;
      if (ms === 0 && this.#waiting === 0) {
        then();
        return;
      }
      this.#waiting += 1;
      const due = systemClock.sleep(ms, this.#end.signal);
      before = Promise.all([before, due]).then(
        () => {
          this.#waiting -= 1;
          then();
        },
        () => {},
      );
    };
    from.on("data", (chunk: Buffer) => {
      if (!may(proxy.mode)) return;
      inOrder(() => {
        if (may(proxy.mode) && to.writable) to.write(chunk);
      });
    });
    from.on("end", () => inOrder(() => to.end()));
  }

  #waiting = 0;
}
