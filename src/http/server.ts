import { createServer, type Server } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { ServerConfig } from "../config/config.ts";
import { StoreError, UsageError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { RefusalReason } from "../ports/telemetry.ts";
import { type Authenticator, authenticator } from "./auth.ts";
import { limitLogins } from "./logins.ts";
import { allowedMethods, refuseOtherMethods } from "./methods.ts";
import { fromOtherOrigin } from "./origin.ts";
import { BadRequest } from "./query.ts";
import { type Operations, operationRoutes } from "./routes.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** Who may: everybody, whoever may see /metrics, or (the default) whoever has the credentials where any are set. */
    access?: "open" | "metrics";
  }
  interface FastifyRequest {
    /** Who asks, where `auth` is set and was kept; `user` is null where the credentials name nobody. */
    caller: { readonly user: string | null } | null;
    /** Does it have the credentials that are wanted now? For an answer that goes on while they may change. */
    mayAsk(): boolean;
  }
}

export type HttpSettings = Pick<
  ServerConfig,
  "listen" | "external_url" | "tls" | "auth" | "metrics_auth" | "reload"
>;

/** A request that was refused for safety. `client` is the address of the connection. */
export interface Refusal {
  readonly reason: RefusalReason;
  readonly client: string;
}

export interface HttpServerOptions extends Operations {
  readonly settings: HttpSettings;
  readonly clock: Clock;
  /** Routes of the API and the status page. Behind `auth` unless a route's config says otherwise. */
  readonly routes?: readonly ((app: FastifyInstance) => void | Promise<void>)[];
  /** Told of errors that no caller may see. */
  readonly onError: (error: unknown, where: string) => void;
  readonly onRefused: (refusal: Refusal) => void;
  /** How long a client may take to send a request, milliseconds. Ten seconds where it is not given. */
  readonly requestTimeout?: number;
}

export interface HttpServer {
  /** Rejects with a UsageError where the address cannot be had. */
  listen(): Promise<{ readonly host: string; readonly port: number; readonly url: string }>;
  /**
   * For a reload: throws a UsageError before anything is changed if the address, or TLS as such, would have to
   * change; a new certificate and new credentials hold from the next connection and request on.
   */
  update(settings: HttpSettings): void;
  /** No new requests; those under way may end within the time, in milliseconds. Idle connections do not hold it. */
  close(timeout: number): Promise<void>;
  /** For tests without a socket. */
  readonly app: FastifyInstance;
}

const LARGEST_BODY = 64 * 1024;
const LONGEST_ID = 200;
const LARGEST_HEADERS = 16 * 1024;
const MOST_CONNECTIONS = 512;
/** To send a whole request; a slow sender must not keep a connection. */
const REQUEST_MS = 10_000;
/** How often slow senders are looked for, as a part of that time. */
const REQUEST_LOOKS = 5;
/** Without a byte either way. */
const SILENCE_MS = 60_000;
/** Longer than any usual scrape interval, so that Prometheus keeps its connection. */
const KEEP_ALIVE_MS = 75_000;

const OTHER_ORIGIN =
  "the request comes from a page of another origin; behind a proxy, set server.external_url to this server's address";

const HEADERS = {
  "cache-control": "no-store",
  "content-security-policy":
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

export async function createHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { clock, onError, onRefused } = options;
  let settings = options.settings;
  let auth = prepare(settings);
  let closing = false;
  const server = socketServer(settings, options.requestTimeout ?? REQUEST_MS);
  const app = Fastify({
    serverFactory: (handler) => {
      server.on("request", handler);
      return server;
    },
    bodyLimit: LARGEST_BODY,
    forceCloseConnections: "idle",
    routerOptions: { maxParamLength: LONGEST_ID },
    // What the router cannot read is answered before any hook.
    frameworkErrors: ({ statusCode = 400, message }, _request, reply) =>
      (reply as FastifyReply).code(statusCode).headers(HEADERS).send({ error: message }),
  });

  const needsAuth = ({ routeOptions }: FastifyRequest): boolean => {
    const { access } = routeOptions.config;
    return auth !== null && access !== "open" && (access !== "metrics" || settings.metrics_auth);
  };
  app.decorateRequest("caller", null);
  app.decorateRequest("mayAsk", function () {
    return !needsAuth(this) || auth?.accepts(this.headers.authorization) === true;
  });
  const logins = await limitLogins(app);
  const allowed = allowedMethods(app);
  app.addHook("onRequest", async (request, reply) => {
    reply.headers(HEADERS);
    const { method, headers, ip } = request;
    const client = ip ?? "";
    if (fromOtherOrigin(method, headers, settings.external_url)) {
      onRefused({ reason: "other_origin", client });
      return reply.code(403).send({ error: OTHER_ORIGIN });
    }
    const right = request.mayAsk();
    if (auth !== null && needsAuth(request) && headers.authorization !== undefined) {
      const wait = await logins.check(request, right);
      if (wait !== null) {
        onRefused({ reason: "too_many_failures", client });
        const error = `too many failed logins from ${client}: try again in ${wait} s`;
        return reply.code(429).header("retry-after", wait).send({ error });
      }
      if (!right) onRefused({ reason: "wrong_credentials", client });
    }
    if (!right) {
      const challenges = [...(auth?.challenges ?? [])];
      return reply.code(401).header("www-authenticate", challenges).send({ error: "unauthorized" });
    }
    request.caller = needsAuth(request) ? auth : null;
  });
  app.addHook("onResponse", async () => {
    // A connection whose answer had begun before the end becomes idle only now.
    if (closing) setImmediate(() => server.closeIdleConnections());
  });
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: "not found" }));
  app.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
    const status = error.statusCode ?? 500;
    if (error instanceof BadRequest) {
      return reply.code(400).send({ error: error.message, problems: error.problems });
    }
    if (status < 500) return reply.code(status).send({ error: error.message });
    if (error instanceof StoreError && error.code === "unavailable") {
      return reply.code(503).header("retry-after", "5").send({ error: "the store does not answer" });
    }
    onError(error, `${request.method} ${request.routeOptions.url ?? ""}`);
    return reply.code(status).send({ error: "internal error" });
  });

  operationRoutes(app, options, () => settings.reload);
  for (const routes of options.routes ?? []) await app.register(async (scope) => routes(scope));
  // Also what was registered without waiting is there then.
  await app.after();
  refuseOtherMethods(app, allowed);
  await app.ready();

  return {
    app,
    async listen() {
      const { host, port } = settings.listen;
      try {
        await app.listen({ host, port });
      } catch (error) {
        throw new UsageError(`server.listen: cannot listen on ${host}:${port}: ${whatIs(error)}`, {
          cause: error,
        });
      }
      const address = server.address() as AddressInfo;
      const scheme = settings.tls === null ? "http" : "https";
      const shown = address.family === "IPv6" ? `[${address.address}]` : address.address;
      return { host: address.address, port: address.port, url: `${scheme}://${shown}:${address.port}` };
    },
    update(next) {
      if (next.listen.host !== settings.listen.host || next.listen.port !== settings.listen.port) {
        throw new UsageError("server.listen cannot change while running: restart to apply it");
      }
      if ((next.tls === null) !== (settings.tls === null)) {
        throw new UsageError("server.tls cannot be switched on or off while running: restart to apply it");
      }
      const nextAuth = prepare(next);
      if (next.tls !== null) withTlsErrors(() => (server as TlsServer).setSecureContext(pemOf(next)));
      settings = next;
      auth = nextAuth;
    },
    async close(timeout) {
      closing = true;
      const closed = new AbortController();
      const ending = app.close().finally(() => closed.abort());
      await clock.sleep(timeout, closed.signal).then(
        () => server.closeAllConnections(),
        () => undefined,
      );
      await ending;
    },
  };
}

const prepare = (settings: HttpSettings): Authenticator | null =>
  settings.auth === null ? null : authenticator(settings.auth);

function socketServer(settings: HttpSettings, requestTimeout: number): Server | TlsServer {
  const options = {
    requestTimeout,
    connectionsCheckingInterval: requestTimeout / REQUEST_LOOKS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: LARGEST_HEADERS,
  };
  const server =
    settings.tls === null
      ? createServer(options)
      : withTlsErrors(() => createTlsServer({ ...options, ...pemOf(settings) }));
  server.maxConnections = MOST_CONNECTIONS;
  server.setTimeout(SILENCE_MS);
  return server;
}

const pemOf = ({ tls }: HttpSettings): { cert?: string; key?: string; minVersion: "TLSv1.2" } => ({
  minVersion: "TLSv1.2",
  ...(tls === null ? {} : { cert: tls.cert, key: tls.key.reveal() }),
});

function withTlsErrors<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new UsageError(`server.tls: certificate and key cannot be used: ${whatIs(error)}`);
  }
}

/** Of OpenSSL and of the system these are plain words without a secret. */
function whatIs(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? error.code : undefined;
  if (code === "EADDRINUSE") return "something else listens there";
  if (code === "EACCES") return "not permitted";
  if (code === "EADDRNOTAVAIL") return "this machine has no such address";
  return error.message;
}
