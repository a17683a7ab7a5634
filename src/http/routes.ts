import { Readable } from "node:stream";
import type { FastifyInstance } from "fastify";
import { CONTENT_TYPES, type Format } from "../observe/text-format.ts";
import { formatFor } from "./negotiate.ts";

export interface Readiness {
  readonly ok: boolean;
  /** Why it is not, in plain words; empty if it is. */
  readonly reasons: readonly string[];
}

export type ReloadAnswer =
  | { readonly ok: true }
  /** The configuration in force stays. */
  | { readonly ok: false; readonly problems: readonly string[] };

export interface Operations {
  /** The whole of /metrics. */
  metrics(format: Format): Promise<readonly Buffer[]>;
  ready(): Readiness | Promise<Readiness>;
  reload(): Promise<ReloadAnswer>;
}

/** What monitoring and orchestration ask for. */
export function operationRoutes(app: FastifyInstance, operations: Operations, reloads: () => boolean): void {
  app.get("/metrics", { config: { access: "metrics" } }, async (request, reply) => {
    const format = formatFor(request.headers.accept);
    const buffers = await operations.metrics(format);
    return reply
      .header("content-type", CONTENT_TYPES[format])
      .header("vary", "accept")
      .header(
        "content-length",
        buffers.reduce((sum, buffer) => sum + buffer.length, 0),
      )
      .send(Readable.from(buffers));
  });

  app.get("/healthz", { config: { access: "open" } }, () => ({ status: "ok" }));

  app.get("/readyz", { config: { access: "open" } }, async (_request, reply) => {
    const { ok, reasons } = await operations.ready();
    return reply.code(ok ? 200 : 503).send({ status: ok ? "ready" : "not ready", reasons });
  });

  app.register((scope, _options, done) => {
    // `curl -d ''` and the like send a content type with nothing in it.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", { parseAs: "buffer" }, (_request, _body, parsed) => parsed(null));
    scope.post("/-/reload", async (_request, reply) => {
      if (!reloads()) return reply.code(403).send({ error: "reload is not enabled: server.reload is false" });
      const answer = await operations.reload();
      if (answer.ok) return { status: "reloaded" };
      return reply.code(500).send({ error: "reload refused", problems: answer.problems });
    });
    done();
  });
}
