import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";

export interface Served extends AsyncDisposable {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  readonly port: number;
  readonly requests: IncomingMessage[];
  /** Connections opened so far. */
  readonly connections: number;
}

/** An HTTP server on a free loopback port. */
export function serve(
  answer: RequestListener,
  tls?: { readonly key: string; readonly cert: string },
): Promise<Served> {
  const requests: IncomingMessage[] = [];
  const listener: RequestListener = (request, response) => {
    requests.push(request);
    answer(request, response);
  };
  return listen(
    tls ? createTlsServer(tls, listener) : createServer(listener),
    tls ? "https" : "http",
    requests,
  );
}

/** A TCP server that says whatever it wants. */
export function serveTcp(answer: (socket: Socket) => void): Promise<Served> {
  return listen(createTcpServer(answer), "http", []);
}

async function listen(
  server: Server | ReturnType<typeof createTcpServer>,
  scheme: string,
  requests: IncomingMessage[],
): Promise<Served> {
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on("connection", (socket: Socket) => {
    connections++;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${scheme}://127.0.0.1:${port}`,
    port,
    requests,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

export function json(
  response: ServerResponse,
  body: unknown,
  status = 200,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(typeof body === "string" ? body : JSON.stringify(body));
}
