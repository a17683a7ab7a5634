/** The calls that the simulator knows. */
type Operation =
  | "list_tasks"
  | "show_task"
  | "task_progress"
  | "list_scheduled_tasks"
  | "list_instances"
  | "list_projects"
  | "token"
  | "metadata_token"
  | "metadata_key"
  | "unknown";

export interface Route {
  readonly operation: Operation;
  /** Ids as in the path, decoded; empty where the path has none. */
  readonly project: string;
  readonly instance: string;
  readonly task: string;
}

const NOTHING = { project: "", instance: "", task: "" };

const FIXED: Readonly<Record<string, Operation>> = {
  "GET /v3/projects": "list_projects",
  "POST /v3/auth/tokens": "token",
  "PUT /meta-data/latest/api/token": "metadata_token",
  "GET /openstack/latest/securitykey": "metadata_key",
};

/** `path` without the query, as it stands in the request line. */
export function findRoute(method: string, path: string): Route {
  const fixed = FIXED[`${method} ${path}`];
  if (fixed !== undefined) return { operation: fixed, ...NOTHING };
  const [, version, project, instances, instance, tasks, task, progress, ...rest] = path.split("/");
  const known = method === "GET" && version === "v2" && instances === "instances" && rest.length === 0;
  if (!known || !project) return { operation: "unknown", ...NOTHING };
  const ids = { project: decode(project), instance: decode(instance ?? ""), task: decode(task ?? "") };
  return { operation: operationOf(instance, tasks, task, progress), ...ids };
}

function operationOf(
  instance: string | undefined,
  tasks: string | undefined,
  task: string | undefined,
  progress: string | undefined,
): Operation {
  if (!instance) return tasks === undefined ? "list_instances" : "unknown";
  if (tasks === "scheduled-tasks" && !task) return "list_scheduled_tasks";
  if (tasks !== "tasks") return "unknown";
  if (!task) return progress === undefined ? "list_tasks" : "unknown";
  if (!progress) return "show_task";
  return progress === "progress" ? "task_progress" : "unknown";
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
