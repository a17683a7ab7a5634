import { onTestFinished } from "vitest";
import {
  createHttpServer,
  type HttpServer,
  type HttpServerOptions,
  type HttpSettings,
} from "../../src/http/server.ts";
import { systemClock } from "../../src/platform/clock.ts";

/** Open to everybody, on a free port of this machine. */
export const HTTP_SETTINGS: HttpSettings = {
  listen: { host: "127.0.0.1", port: 0 },
  external_url: "",
  tls: null,
  auth: null,
  metrics_auth: true,
  reload: false,
};

/** A server with nothing behind it, closed when the test has finished. */
export async function httpServer(
  settings: Partial<HttpSettings> = {},
  over: Partial<HttpServerOptions> = {},
): Promise<HttpServer> {
  const server = await createHttpServer({
    settings: { ...HTTP_SETTINGS, ...settings },
    clock: systemClock,
    metrics: (format) => Promise.resolve([Buffer.from(`# ${format}\n`), Buffer.from("up 1\n")]),
    ready: () => ({ ok: true, reasons: [] }),
    reload: () => Promise.resolve({ ok: true }),
    onError: () => undefined,
    onRefused: () => undefined,
    routes: [(scope) => void scope.get("/", () => "the page")],
    ...over,
  });
  onTestFinished(() => server.close(0));
  return server;
}
