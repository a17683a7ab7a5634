import { z } from "zod";
import { FILE_KEYS, FILE_ONLY_KEYS } from "../secret-keys.ts";

/** A map with these keys and no others. The message of an unknown key is the list of those that exist. */
export function object<T extends z.ZodRawShape>(shape: T) {
  const keys = keysOf(shape).join(", ");
  return z.strictObject(shape, {
    error: (issue) => (issue.code === "unrecognized_keys" ? keys : `a map with the keys ${keys}`),
  });
}

/** The keys as the operator may write them. */
function keysOf(shape: z.ZodRawShape): readonly string[] {
  return Object.keys(shape).flatMap((key) => {
    if (FILE_ONLY_KEYS.has(key)) return [`${key}_file`];
    return FILE_KEYS.has(key) ? [key, `${key}_file`] : [key];
  });
}

export function list<T extends z.ZodType>(item: T, what: string, least = 1) {
  const error = least > 0 ? `a list of ${what}, not empty` : `a list of ${what}`;
  return z.array(item, { error }).min(least, { error });
}

/** One value, or a list of them; always a list afterwards. */
export function oneOrMany<T extends z.ZodType>(item: T, what: string) {
  return z.union([item.transform((value) => [value]), list(item, what)]);
}

/** Marks an issue with a key of a free map, not with its value. */
export const KEY = { key: true } as const;

/** A map whose keys are the operator's words. The result has no prototype, so that `__proto__` is a key like any other. */
export function mapOf<T>(value: z.ZodType<T>, allowed: string, key: (name: string) => string | undefined) {
  const json = z.toJSONSchema(value, { io: "input", unrepresentable: "any" });
  delete json.$schema;
  return z
    .unknown()
    .transform((given, context): Readonly<Record<string, T>> => {
      const result: Record<string, T> = Object.create(null);
      if (typeof given !== "object" || given === null || Array.isArray(given)) {
        context.addIssue({ code: "custom", message: allowed });
        return result;
      }
      // Sorted, so that the order in the file does not make another configuration.
      const entries = Object.entries(given).sort(([a], [b]) => (a < b ? -1 : 1));
      for (const [name, inner] of entries) {
        const badKey = key(name);
        if (badKey !== undefined)
          context.addIssue({ code: "custom", message: badKey, path: [name], params: KEY });
        const parsed = value.safeParse(inner);
        if (parsed.success) result[name] = parsed.data;
        else
          for (const { message } of parsed.error.issues)
            context.addIssue({ code: "custom", message, path: [name] });
      }
      return result;
    })
    .meta({ type: "object", additionalProperties: json });
}
