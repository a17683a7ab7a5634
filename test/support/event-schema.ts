import { readFileSync } from "node:fs";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { EVENT_TYPES, type EventType } from "../../src/core/event.ts";

const ajv = new Ajv2020({ allErrors: true });
ajv.addFormat("date-time", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
ajv.addFormat("uri", (text) => URL.canParse(text));

export const keptSchema = (type: EventType): string =>
  readFileSync(new URL(`../../config/schemas/${type}.schema.json`, import.meta.url), "utf8");

const validators = new Map<EventType, ValidateFunction>();

function validatorOf(type: EventType): ValidateFunction {
  const known = validators.get(type) ?? ajv.compile(JSON.parse(keptSchema(type)));
  validators.set(type, known);
  return known;
}

/** What is wrong with a CloudEvent by the kept schema of its type; null for nothing. */
export function schemaProblem(event: Readonly<Record<string, unknown>>): string | null {
  const type = EVENT_TYPES.find((each) => event.type === `taskwatch.${each}`);
  if (type === undefined) return `there is no type ${String(event.type)}`;
  const valid = validatorOf(type);
  return valid(event) ? null : `${type}: ${ajv.errorsText(valid.errors)}`;
}

type Schema = Readonly<Record<string, unknown>>;

/** A schema and all that it may be instead. */
const formsOf = (schema: Schema): Schema[] => [
  schema,
  ...((schema.anyOf ?? []) as Schema[]).flatMap(formsOf),
];

/** Keys of an event, or of what is in it, that the schema does not know. */
export function unknownKeys(value: unknown, schema: Schema, at = ""): string[] {
  if (typeof value !== "object" || value === null) return [];
  const known = formsOf(schema).map(
    ({ properties }) => (properties ?? {}) as Readonly<Record<string, Schema>>,
  );
  return Object.entries(value).flatMap(([key, inner]) => {
    const anyOf = known.flatMap((properties) => properties[key] ?? []);
    return anyOf.length === 0 ? [`${at}${key}`] : unknownKeys(inner, { anyOf }, `${at}${key}.`);
  });
}
