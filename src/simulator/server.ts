import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { systemClock } from "../platform/clock.ts";
import { Control } from "./control.ts";
import { answerControl } from "./control-http.ts";
import { deliver } from "./deliver.ts";
import { readBody } from "./read-body.ts";
import { Service, type ServiceOptions } from "./service.ts";
import type { StepInput } from "./step.ts";

export { DEFAULT_PROJECT_ID, DEMO_KEY } from "./project.ts";

export interface SimulatorOptions extends ServiceOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** Epoch ms; the simulator's time before `control.advance`. Default: the system's. */
  readonly clock?: () => number;
  /** Real waits of slow answers. */
  readonly sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** What happens by itself; see step.ts. */
  readonly steps?: readonly StepInput[] | undefined;
  /** PEM texts: serve https instead of http. */
  readonly tls?: { readonly key: string; readonly cert: string };
}

export interface Simulator extends AsyncDisposable {
  /** `http://127.0.0.1:port`, without a slash at its end; for the service, IAM and metadata alike. */
  readonly url: string;
  readonly control: Control;
  close(): Promise<void>;
}

/**
 * Starts a stand-in for the cloud's API on a loopback port.
 * @throws Error with path and allowed values when an option is wrong, or when the address cannot be had
 */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const {
    host = "127.0.0.1",
    port = 0,
    clock = systemClock.now,
    sleep = systemClock.sleep,
    steps,
    tls,
    ...rest
  } = options;
  const service = new Service(rest, clock);
  const control = new Control(service, steps);
  const closing = new AbortController();
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    void answer(request, response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined);
    });
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readBody(request);
    if (request.url?.startsWith("/_control")) return answerControl(control, request, body, response);
    const {
      answer: content,
      fault,
      headers,
    } = service.answer(
      { method: request.method ?? "GET", target: request.url ?? "/", headers: request.headers },
      body,
    );
    await deliver(response, content, headers, fault, sleep, closing.signal);
  };
  const server = tls ? createTlsServer(tls, handle) : createServer(handle);
  server.keepAliveTimeout = 65_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  const shownHost = address.family === "IPv6" ? `[${address.address}]` : address.address;
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= new Promise((resolve) => {
      closing.abort();
      server.close(() => resolve());
      server.closeAllConnections();
    });
    return closed;
  };
  return {
    url: `${tls ? "https" : "http"}://${shownHost}:${address.port}`,
    control,
    close,
    [Symbol.asyncDispose]: close,
  };
}
