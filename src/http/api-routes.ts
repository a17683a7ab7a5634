import type { FastifyInstance, FastifyReply } from "fastify";
import { EVENT_TYPES } from "../core/event.ts";
import type { Api, TaskPlace } from "../views/api.ts";
import { TASK_STATES } from "../views/api.ts";
import {
  BadRequest,
  cursorParameter,
  oneOf,
  readParameters,
  someOf,
  someText,
  wholeNumber,
  writeCursor,
} from "./query.ts";

const LIMIT = wholeNumber(1, 1000, 100);
const LONGEST_NAME = 100;
const LONGEST_REASON = 1000;

const isText = (content: unknown): content is string => typeof content === "string";

const isPlace = (content: unknown): content is TaskPlace => {
  const { key, createdAt, id } = (content ?? {}) as Partial<TaskPlace>;
  return isText(key) && isText(id) && (createdAt === null || typeof createdAt === "number");
};

const SCOPE = {
  project: someText("a project's name or id, * and ? may stand for others", 200),
  instance: someText("an instance's name or id, * and ? may stand for others", 200),
};
export const EVENTS_AFTER = cursorParameter("events", isText);
export const EVENTS_TYPE = someOf(EVENT_TYPES);

/** Everything under /api/v1 but the stream. Errors are answered by the server: `BadRequest`, `StoreError`. */
export function apiRoutes(app: FastifyInstance, api: Api): void {
  app.get("/api/v1/status", async (request) => {
    readParameters("query", request.query, {});
    return await api.status();
  });

  app.get("/api/v1/instances", async (request) => {
    const parameters = { ...SCOPE, after: cursorParameter("instances", isText), limit: LIMIT };
    const { instances, next } = await api.instances(readParameters("query", request.query, parameters));
    return { instances, next: next === null ? null : writeCursor("instances", next) };
  });

  app.get("/api/v1/tasks", async (request) => {
    const parameters = {
      ...SCOPE,
      state: oneOf(TASK_STATES, "all"),
      after: cursorParameter("tasks", isPlace),
      limit: LIMIT,
    };
    const { tasks, next } = await api.tasks(readParameters("query", request.query, parameters));
    return { tasks, next: next === null ? null : writeCursor("tasks", next) };
  });

  app.get<{ Params: { id: string } }>("/api/v1/tasks/:id", async (request, reply) => {
    const { id } = request.params;
    const tasks = await api.task(id, readParameters("query", request.query, SCOPE));
    const [task] = tasks;
    if (task !== undefined && tasks.length === 1) return task;
    return notOne(
      reply,
      id,
      tasks.map(({ instance }) => instance.id),
    );
  });

  app.get("/api/v1/events", async (request) => {
    const parameters = { after: EVENTS_AFTER, limit: LIMIT, type: EVENTS_TYPE };
    const { after, limit, type } = readParameters("query", request.query, parameters);
    const { events, cursor } = await api.events(after, limit, type);
    return { events: events.map(({ event }) => event), next: writeCursor("events", cursor) };
  });

  app.get("/api/v1/webhooks", async (request) => {
    readParameters("query", request.query, {});
    return { webhooks: await api.webhooks() };
  });

  app.post<{ Params: { id: string } }>("/api/v1/tasks/:id/ack", async (request, reply) => {
    const { id } = request.params;
    const { caller } = request;
    if (caller === null) {
      const error = "acknowledging needs server.auth: without it nobody can be told from anybody else";
      return reply.code(403).send({ error });
    }
    const scope = readParameters("query", request.query, SCOPE);
    const given = readParameters("body", request.body ?? {}, {
      by: someText("a name", LONGEST_NAME),
      reason: someText("a text", LONGEST_REASON),
    });
    const by = given.by ?? caller.user;
    if (by === null) {
      throw new BadRequest([
        {
          where: "body.by",
          found: "nothing",
          allowed: `who acknowledges, of 1 to ${LONGEST_NAME} characters`,
        },
      ]);
    }
    const answer = await api.acknowledge(id, scope, by, given.reason);
    if (answer.kind === "acknowledged") return answer.task;
    if (answer.kind === "refused") return reply.code(409).send({ error: answer.why });
    return notOne(reply, id, answer.instances);
  });
}

function notOne(reply: FastifyReply, id: string, instances: readonly string[]) {
  if (instances.length === 0) return reply.code(404).send({ error: `no task ${id} is known to the store` });
  const error = `task ${id} is known on several instances: add ?instance= with one of ${instances.join(", ")}`;
  return reply.code(409).send({ error });
}
