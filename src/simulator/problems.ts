import type { z } from "zod";

export interface Problem {
  readonly path: readonly (string | number)[];
  /** What is wrong, what was found where that is short, and what is allowed. */
  readonly message: string;
}

/** The problems of a refused input, in plain words. Where several forms are allowed, all of them are told. */
export function problemsOf(error: z.ZodError, input: unknown): Problem[] {
  return error.issues.map((issue) => {
    const path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
    const message = messageOf(issue);
    return { path, message: `${message}${found(issue, message, valueAt(input, path))}` };
  });
}

function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return issue.message;
  const branches = issue.errors.flatMap((branch) => branch.map(messageOf));
  return [...new Set(branches)].join(", or ");
}

/** Our own messages tell what they found; a missing value was told of by its type. */
function found(issue: z.core.$ZodIssue, message: string, value: unknown): string {
  if (issue.code === "custom" || issue.code === "unrecognized_keys" || value === undefined) return "";
  if (typeof value === "object" && value !== null) return "";
  const text = JSON.stringify(value);
  return typeof value === "string" && message.includes(text)
    ? ""
    : `; found ${text.length > 60 ? `${text.slice(0, 60)}…` : text}`;
}

function valueAt(input: unknown, path: readonly (string | number)[]): unknown {
  let value = input;
  for (const part of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string | number, unknown>)[part];
  }
  return value;
}
