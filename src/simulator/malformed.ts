/** Ways in which a list can be wrong that clients were seen to stumble over. */
export const MALFORMED = [
  "null_fields",
  "wrong_types",
  "missing_fields",
  "missing_tasks",
  "null_tasks",
  "tasks_not_a_list",
  "tasks_not_objects",
  "not_an_object",
  "duplicate_ids",
  "proto_ids",
  "empty_ids",
  "long_ids",
  "epoch_dates",
  "garbage_dates",
  "params_not_json",
] as const;
export type Malformed = (typeof MALFORMED)[number];

type Fields = Record<string, unknown>;

const PROTO_IDS = ["__proto__", "constructor", "toString", "hasOwnProperty"];

/**
 * Spoils the JSON of a list; other bodies stay as they are.
 * @param all every task instead of the first alone
 */
export function malform(body: string, variant: Malformed, all: boolean): string {
  if (!body.startsWith("{")) return body;
  const content = JSON.parse(body) as Fields;
  const member = Array.isArray(content.jobs) ? "jobs" : "tasks";
  const tasks = content[member];
  if (!Array.isArray(tasks)) return body;
  switch (variant) {
    case "missing_tasks":
      return JSON.stringify({ ...content, [member]: undefined });
    case "null_tasks":
      return JSON.stringify({ ...content, [member]: null });
    case "tasks_not_a_list":
      return JSON.stringify({ ...content, [member]: { 0: tasks[0] } });
    case "not_an_object":
      return JSON.stringify(tasks);
    case "tasks_not_objects":
      return JSON.stringify({ ...content, [member]: [null, 7, "task", [], ...tasks] });
    case "duplicate_ids":
      return JSON.stringify({ ...content, [member]: all ? [...tasks, ...tasks] : [tasks[0], ...tasks] });
    default: {
      const spoiled = tasks.map((task: Fields, index) =>
        all || index === 0 ? spoil(task, variant, index) : task,
      );
      return JSON.stringify({ ...content, [member]: spoiled });
    }
  }
}

function spoil(task: Fields, variant: Malformed, index: number): Fields {
  switch (variant) {
    case "null_fields":
      return Object.fromEntries(Object.keys(task).map((name) => [name, name === "id" ? task.id : null]));
    case "wrong_types":
      return {
        ...task,
        name: { a: 1 },
        status: 7,
        params: [1],
        user_name: true,
        created_at: {},
        updated_at: [],
      };
    case "missing_fields":
      return { id: task.id };
    case "proto_ids":
      return { ...task, id: PROTO_IDS[index % PROTO_IDS.length] };
    case "empty_ids":
      return { ...task, id: "" };
    case "long_ids":
      return { ...task, id: "a".repeat(10_240), name: "n".repeat(10_240) };
    case "epoch_dates":
      return {
        ...task,
        created_at: String(Date.parse(String(task.created_at))),
        updated_at: Date.parse(String(task.updated_at)),
      };
    case "garbage_dates":
      return { ...task, created_at: "yesterday", updated_at: "2026-13-45T99:99:99Z" };
    case "params_not_json":
      return { ...task, params: "topic=[orders" };
    default:
      return task;
  }
}
