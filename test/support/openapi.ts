import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "yaml";

interface Operation {
  readonly responses: Readonly<Record<string, unknown>>;
}

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

const document = parse(
  readFileSync(join(import.meta.dirname, "../../docs/openapi.yaml"), "utf8"),
) as Document;

const ID = "https://dms-taskwatch.invalid/openapi";
const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
ajv.addSchema({ $id: ID, ...(closed(document) as object) });

/** What is not documented is not to be answered: every object has the documented keys alone. */
function closed(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(closed);
  if (typeof node !== "object" || node === null) return node;
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, closed(value)]));
  return "properties" in copy && !("additionalProperties" in copy)
    ? { ...copy, additionalProperties: false }
    : copy;
}

/** The documented paths with their methods: `GET /api/v1/status`. */
export const OPERATIONS: readonly string[] = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
);

/** What is wrong with an answer by the documentation; empty when nothing is. */
export function problemsOf(operation: string, status: number, body: unknown): readonly string[] {
  const [method = "", path = ""] = operation.split(" ");
  const response = document.paths[path]?.[method.toLowerCase()]?.responses[status];
  if (response === undefined) return [`${operation} is not documented to answer ${status}`];
  const named = (response as { $ref?: string }).$ref;
  const place = named ?? `#/paths/${pointer(path)}/${method.toLowerCase()}/responses/${status}`;
  const validate = ajv.compile({ $ref: `${ID}${place}/content/application~1json/schema` });
  if (validate(body)) return [];
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
  );
}

const pointer = (path: string): string =>
  encodeURIComponent(path.replaceAll("~", "~0").replaceAll("/", "~1"));
