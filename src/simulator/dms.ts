import { type Answer, json, type Refusal } from "./answers.ts";
import { countMember, parsePageQuery, selectPage } from "./pages.ts";
import { progressBody } from "./progress.ts";
import type { Engine, Instance, Project } from "./project.ts";
import type { Route } from "./routes.ts";
import type { QueryPairs } from "./signature.ts";
import { taskJson } from "./tasks.ts";

const NO_SUCH_INSTANCE: Refusal = {
  status: 404,
  code: "DMS.00404022",
  message: "This DMS instance does not exist.",
};
const NO_SUCH_TASK: Refusal = {
  status: 404,
  code: "DMS.00404001",
  message: "The requested task does not exist.",
};
const NO_SUCH_API: Refusal = {
  status: 404,
  code: "APIGW.0101",
  message: "The API does not exist or has not been published in the environment",
};

/** Answers the calls of the message services within one project; `now` in epoch ms. */
export function answerDms(route: Route, project: Project, query: QueryPairs, now: number): Answer | Refusal {
  if (route.operation === "list_instances") return listInstances(project, query);
  const instance = project.instances.get(route.instance);
  if (!instance) return NO_SUCH_INSTANCE;
  switch (route.operation) {
    case "list_tasks":
      return listTasks(project, instance, query);
    case "list_scheduled_tasks":
      return listScheduledTasks(project, instance, query);
    case "show_task": {
      const task = instance.tasks.get(route.task) ?? instance.scheduled.get(route.task);
      return task ? json(200, `{"task_count":"1","tasks":[${taskJson(task)}]}`) : NO_SUCH_TASK;
    }
    case "task_progress": {
      if (instance.engine === "rabbitmq") return NO_SUCH_API;
      const task = instance.tasks.get(route.task);
      if (!task) return NO_SUCH_TASK;
      // Documented for capacity expansions alone. What another task gets is not: a refusal is one of the possible answers.
      return task.progress === null ? invalid("task_id") : json(200, JSON.stringify(progressBody(task, now)));
    }
    default:
      return NO_SUCH_API;
  }
}

export function noSuchApi(): Refusal {
  return NO_SUCH_API;
}

function listTasks(project: Project, instance: Instance, query: QueryPairs): Answer | Refusal {
  const request = parsePageQuery(query, project.dialect);
  if ("status" in request) return request;
  const page = selectPage(instance.tasks.items, project.dialect, request);
  instance.pages = request.position === 0 ? 1 : instance.pages + 1;
  const count = countMember("task_count", page, project.dialect.task_count);
  return json(200, `{${count}"tasks":[${page.tasks.map(taskJson).join(",")}]}`);
}

function listScheduledTasks(project: Project, instance: Instance, query: QueryPairs): Answer | Refusal {
  const request = parsePageQuery(query, project.dialect);
  if ("status" in request) return request;
  const page = selectPage(instance.scheduled.items, project.dialect, request);
  const form = project.dialect.task_count === "string" ? "number" : project.dialect.task_count;
  return json(200, `{${countMember("job_count", page, form)}"jobs":[${page.tasks.map(taskJson).join(",")}]}`);
}

const ENGINE_WORDS: Readonly<Record<string, Engine>> = {
  kafka: "kafka",
  rabbitmq: "rabbitmq",
  rocketmq: "rocketmq",
  reliability: "rocketmq",
};

function listInstances(project: Project, pairs: QueryPairs): Answer | Refusal {
  const query = new Map(pairs);
  const engine = ENGINE_WORDS[query.get("engine") ?? ""];
  if (engine === undefined) return invalid("engine");
  const limit = wholeNumber(query.get("limit") ?? "10");
  if (limit === undefined || limit < 1 || limit > 50) return invalid("limit");
  const offset = wholeNumber(query.get("offset") ?? "0");
  if (offset === undefined) return invalid("offset");
  const found = [...project.instances.values()].filter(
    (instance) => instance.listed && instance.engine === engine && passes(instance, query),
  );
  const instances = found.slice(offset, offset + limit).map(instanceBody);
  return json(200, JSON.stringify({ instances, instance_num: found.length }));
}

function passes(instance: Instance, query: ReadonlyMap<string, string>): boolean {
  const name = query.get("name") ?? "";
  const exact = query.get("exact_match_name") === "true";
  const same = (parameter: string, value: string): boolean => (query.get(parameter) || value) === value;
  return (
    (exact ? name === "" || instance.name === name : instance.name.includes(name)) &&
    same("instance_id", instance.id) &&
    same("status", instance.status) &&
    same("enterprise_project_id", instance.enterpriseProjectId)
  );
}

function instanceBody(instance: Instance): Record<string, unknown> {
  return {
    name: instance.name,
    engine: instance.engine === "rocketmq" ? "reliability" : instance.engine,
    engine_version: instance.engine === "kafka" ? "2.7" : instance.engine === "rabbitmq" ? "3.8.35" : "4.8.0",
    specification: "100MB",
    storage_space: 600,
    used_storage_space: 10,
    status: instance.status,
    instance_id: instance.id,
    type: "cluster",
    created_at: String(instance.createdAt),
    user_name: "paas_dms",
    enterprise_project_id: instance.enterpriseProjectId,
    ssl_enable: false,
    task: null,
  };
}

function wholeNumber(text: string): number | undefined {
  return /^\d{1,12}$/.test(text) ? Number(text) : undefined;
}

function invalid(parameter: string): Refusal {
  return { status: 400, code: "DMS.00400062", message: `Invalid ${parameter} parameter in the request.` };
}
