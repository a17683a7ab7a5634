import type { Judgement } from "../format.ts";
import { parsed } from "./reading.ts";

/** What a medium's error codes mean, for those that answer 200 and say in the body what it is. */
export interface CodeTable {
  /** Key of the code; 0 is success. */
  readonly keys: readonly string[];
  /** "Slow down": nothing is sent for `wait` milliseconds. */
  readonly slowDown: ReadonlySet<number>;
  readonly wait: number;
  /** The medium's own trouble, which passes. */
  readonly busy: ReadonlySet<number>;
  /** This message can never be taken. */
  readonly refused: ReadonlySet<number>;
}

/** Null when the body has no code: the HTTP status decides. Any other code is for a person to mend. */
export function judgeByCode(table: CodeTable, status: number, body: string): Judgement | null {
  const code = codeIn(table.keys, body);
  if (code === null) return null;
  const detail = `code ${code}`;
  if (code === 0) return status <= 299 ? { verdict: { kind: "delivered" }, detail } : null;
  if (table.slowDown.has(code)) return slowDown(table.wait, detail);
  if (table.refused.has(code)) return refused(detail);
  if (table.busy.has(code)) {
    return { verdict: { kind: "retry", reason: "server_error", group: "for", retryAfter: null }, detail };
  }
  return toMend(detail);
}

export const refused = (detail: string): Judgement => ({
  verdict: { kind: "refused", reason: "refused" },
  detail,
});

export const slowDown = (wait: number | null, detail: string): Judgement => ({
  verdict: { kind: "retry", reason: "throttled", group: "for", retryAfter: wait },
  detail,
});

export const toMend = (detail: string): Judgement => ({
  verdict: { kind: "retry", reason: "refused", group: "refused_for", retryAfter: null },
  detail,
});

function codeIn(keys: readonly string[], body: string): number | null {
  const json = parsed(body);
  for (const key of keys) {
    const value = json[key];
    const code = typeof value === "string" && /^-?\d{1,9}$/.test(value) ? Number(value) : value;
    if (typeof code === "number" && Number.isSafeInteger(code)) return code;
  }
  return null;
}
