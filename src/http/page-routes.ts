import type { FastifyInstance, FastifyReply } from "fastify";
import { ASSETS, PAGE_POLICY } from "../page/assets.ts";
import { type Page, statusPage } from "../page/status-page.ts";
import { taskPage } from "../page/task-page.ts";
import type { Clock } from "../ports/clock.ts";
import type { Api } from "../views/api.ts";

/** The status page, the page of a task, and what both need. */
export function pageRoutes(app: FastifyInstance, api: Api, clock: Clock): void {
  app.get("/", async (_request, reply) => send(reply, await statusPage(api, clock.now())));

  app.get<{ Params: { id: string } }>("/tasks/:id", async (request, reply) =>
    send(reply, await taskPage(api, request.params.id, request.caller, clock.now())),
  );

  for (const { path, type, body } of ASSETS) {
    app.get(`/${path}`, (_request, reply) =>
      reply.type(type).header("cache-control", "private, max-age=31536000, immutable").send(body),
    );
  }
}

const send = (reply: FastifyReply, { status, body }: Page) =>
  reply
    .code(status)
    .type("text/html; charset=utf-8")
    .header("content-security-policy", PAGE_POLICY)
    .send(body);
