import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** `reset` cuts the connection, `hang` never answers, `by` writes the answer itself. A promise is answered when it resolves. */
export type Reply =
  | number
  | "reset"
  | "hang"
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  | { readonly by: (response: ServerResponse) => void };

export type Replies = (request: Received) => Reply | Promise<Reply>;

export interface Receiver {
  readonly url: string;
  readonly port: number;
  /** In the order of arrival, bodies read. */
  readonly requests: readonly Received[];
  /** Most requests that were open at once. */
  readonly mostOpen: number;
  /** The next request that nobody has taken yet. */
  next(): Promise<Received>;
  /** What the next requests get, one each. When none is left: `otherwise`. */
  script(...replies: readonly (Reply | Promise<Reply>)[]): void;
  otherwise(reply: Reply | Replies): void;
  close(): Promise<void>;
}

/** A webhook receiver on 127.0.0.1 that answers 204 unless told otherwise. The URL's path is to be kept secret. */
export async function startReceiver(options: { readonly port?: number } = {}): Promise<Receiver> {
  const requests: Received[] = [];
  const waiting: ((request: Received) => void)[] = [];
  const sockets = new Set<Socket>();
  let script: (Reply | Promise<Reply>)[] = [];
  let fallback: Replies = () => 204;
  let taken = 0;
  let open = 0;
  let mostOpen = 0;

  const server = createServer(async (request, response) => {
    open++;
    mostOpen = Math.max(mostOpen, open);
    response.on("close", () => open--);
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return;
    }
    const received: Received = {
      method: request.method ?? "",
      path: request.url ?? "",
      headers: request.headers,
      body: Buffer.concat(chunks).toString("utf8"),
    };
    requests.push(received);
    const waiter = waiting.shift();
    if (waiter !== undefined) {
      taken++;
      waiter(received);
    }
    const reply = await (script.shift() ?? fallback(received));
    if (reply === "hang") return;
    if (reply === "reset") request.socket.destroy();
    else if (typeof reply === "number") response.writeHead(reply).end();
    else if ("by" in reply) reply.by(response);
    else response.writeHead(reply.status, reply.headers ?? {}).end(reply.body ?? "");
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}/hook/s3cr3t-path?token=s3cr3t-query`,
    port,
    requests,
    get mostOpen() {
      return mostOpen;
    },
    next() {
      const ready = requests[taken];
      if (ready === undefined) return new Promise((resolve) => waiting.push(resolve));
      taken++;
      return Promise.resolve(ready);
    },
    script(...replies) {
      script = [...replies];
    },
    otherwise(reply) {
      fallback = typeof reply === "function" ? reply : () => reply;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
