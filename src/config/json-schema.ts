import { z } from "zod";
import { schema } from "./schema.ts";
import { FILE_KEYS, FILE_ONLY_KEYS } from "./secret-keys.ts";

type Json = { [key: string]: unknown };

/** The JSON Schema of the file, for editors: what may be written, before variables and files are put in. */
export function jsonSchema(): Json {
  const generated = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Json;
  return {
    $schema: generated.$schema,
    title: "dms-taskwatch configuration",
    ...(forEditors(generated) as Json),
  };
}

/** Gives every key that can stand in a file its `x_file`, and defaults the type that they have when written. */
function forEditors(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(forEditors);
  if (typeof value !== "object" || value === null) return value;
  const json: Json = Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, forEditors(inner)]),
  );
  if (typeof json.default === "string" && takesNumberOrFlag(json)) json.default = JSON.parse(json.default);
  const { properties } = json;
  // Only an object of our own shapes: `{ file: … }` has no key that can stand in a file.
  if (json.type !== "object" || typeof properties !== "object" || properties === null) return json;
  const keys: Json = {};
  for (const [key, inner] of Object.entries(properties)) {
    if (!FILE_ONLY_KEYS.has(key)) keys[key] = inner;
    if (FILE_KEYS.has(key)) keys[`${key}_file`] = fileName(key);
  }
  json.properties = keys;
  if (Array.isArray(json.required)) {
    // Either x or x_file is required, which the checks say better than a schema can.
    const required = json.required.filter((key) => !FILE_KEYS.has(String(key)));
    if (required.length > 0) json.required = required;
    else delete json.required;
  }
  return json;
}

function fileName(key: string): Json {
  const name = { type: "string", description: `Name of a file that holds ${key}; relative to this file.` };
  return key === "secret" ? { anyOf: [name, { type: "array", items: name }] } : name;
}

function takesNumberOrFlag(json: Json): boolean {
  return /"type":"(number|integer|boolean)"/.test(JSON.stringify(json.anyOf ?? []));
}
