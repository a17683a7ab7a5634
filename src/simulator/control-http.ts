import type { IncomingMessage, ServerResponse } from "node:http";
import type { Control } from "./control.ts";
import type { RequestFilter } from "./request-log.ts";
import { milliseconds } from "./time.ts";

/** Answers `/_control/…` in JSON; 400 with `{"error":"…"}` when the call is wrong, 404 for another path. */
export function answerControl(
  control: Control,
  request: IncomingMessage,
  body: string,
  response: ServerResponse,
): void {
  const [path = "", query = ""] = (request.url ?? "").split("?", 2);
  const route = `${request.method} ${path.slice("/_control".length)}`;
  try {
    const result = answer(control, route, new URLSearchParams(query), body);
    if (result === undefined)
      send(response, 404, { error: `unknown: ${route}; known: ${ROUTES.join(", ")}` });
    else send(response, 200, result);
  } catch (error) {
    send(response, 400, { error: error instanceof Error ? error.message : String(error) });
  }
}

const ROUTES = [
  "GET /state",
  "GET /tasks",
  "GET /requests",
  "GET /worst-window",
  "GET /transitions",
  "POST /steps",
  "POST /reset",
];

function answer(control: Control, route: string, query: URLSearchParams, body: string): unknown {
  switch (route) {
    case "GET /state":
      return {
        now: control.now(),
        projects: control.projects(),
        keys: control.keys(),
        faults: control.faults(),
        problems: control.problems(),
        requests: control.requestCount(),
      };
    case "GET /tasks": {
      const place = { project: query.get("project") ?? undefined, instance: query.get("instance") ?? "" };
      return control.tasks(place, query.get("list") === "scheduled" ? "scheduled" : "tasks");
    }
    case "GET /requests":
      return control.requests(filterOf(query)).slice(0, count(query, "limit", 1000));
    case "GET /worst-window":
      return control.worstWindow(filterOf(query), milliseconds(query.get("length") ?? "1s"));
    case "GET /transitions":
      return control.transitions(count(query, "after", 0)).slice(0, count(query, "limit", 1000));
    case "POST /steps": {
      const steps: unknown = JSON.parse(body);
      // Checked by `run`, which names what is wrong.
      return {
        results: control.run((Array.isArray(steps) ? steps : [steps]) as Parameters<Control["run"]>[0]),
      };
    }
    case "POST /reset":
      control.reset();
      return {};
    default:
      return undefined;
  }
}

function filterOf(query: URLSearchParams): RequestFilter {
  return {
    project: query.get("project") ?? undefined,
    instance: query.get("instance") ?? undefined,
    operation: query.get("operation") ?? undefined,
    key: query.get("key") ?? undefined,
    status: query.has("status") ? count(query, "status", 0) : undefined,
    after: count(query, "after", 0),
  };
}

function count(query: URLSearchParams, name: string, fallback: number): number {
  const text = query.get(name);
  if (text === null) return fallback;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new Error(`${name}: not a number: ${JSON.stringify(text)}`);
}

function send(response: ServerResponse, status: number, content: unknown): void {
  const body = JSON.stringify(content);
  response.writeHead(status, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(body),
  });
  response.end(body);
}
