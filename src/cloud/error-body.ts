import { type Fields, isFields, parseJson } from "./json.ts";

/** What an error answer says of itself, in whichever of the services' shapes. */
export interface ErrorBody {
  /** Such as `APIGW.0301`, or digits alone; null where there is none. */
  readonly code: string | null;
  /** Not yet fit to be shown. */
  readonly message: string | null;
  readonly requestId: string | null;
}

const NOTHING: ErrorBody = { code: null, message: null, requestId: null };

const CODE_KEYS = ["error_code", "errorCode", "code"];
const MESSAGE_KEYS = ["error_msg", "errorMessage", "error_message", "message"];
const DEEPEST = 4;
const WIDEST = 20;

/**
 * Finds code and message wherever they stand: at the top, under `error`, one level deeper, in a list of details.
 * A body that is not JSON gives its text as the message, unless it is a page for a browser.
 */
export function readErrorBody(body: string): ErrorBody {
  const trimmed = body.trim();
  if (trimmed === "" || trimmed.startsWith("<")) return NOTHING;
  const parsed = parseJson(trimmed);
  if (parsed === undefined) return { ...NOTHING, message: trimmed };
  if (typeof parsed === "string") return { ...NOTHING, message: parsed };
  const found = search(parsed, 0);
  const top = isFields(parsed) ? textOf(parsed, ["request_id", "requestId"]) : null;
  return { code: found?.code ?? null, message: found?.message ?? null, requestId: top };
}

function search(value: unknown, depth: number): { code: string | null; message: string | null } | null {
  if (depth > DEEPEST || typeof value !== "object" || value === null) return null;
  if (Array.isArray(value)) return firstOf(value as readonly unknown[], depth);
  if (!isFields(value)) return null;
  const code = textOf(value, CODE_KEYS);
  const message = textOf(value, MESSAGE_KEYS);
  if (code !== null || message !== null) return { code, message };
  return firstOf(Object.values(value), depth);
}

function firstOf(values: readonly unknown[], depth: number): ReturnType<typeof search> {
  for (const value of values.slice(0, WIDEST)) {
    const found = search(value, depth + 1);
    if (found) return found;
  }
  return null;
}

function textOf(fields: Fields, keys: readonly string[]): string | null {
  for (const key of keys) {
    const value = fields[key];
    if (typeof value === "string" && value.trim() !== "") return value;
    if (typeof value === "number") return String(value);
  }
  return null;
}
