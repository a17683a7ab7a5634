import { z } from "zod";
import { formatDuration, parseDuration } from "../../util/duration.ts";
import { Secret } from "../secret.ts";

/*
 * Every scalar reaches the schema as text, from the file or through a variable, and the schema gives it its type.
 * The message of an issue is always what is allowed there; what was found is added from the source.
 */

type Json = Readonly<Record<string, unknown>>;

/** Says in the parse of a scalar that only something more particular is allowed. */
export class NotAllowed {
  readonly allowed: string;

  constructor(allowed: string) {
    this.allowed = allowed;
  }
}

/** A scalar: `allowed` in words, `json` for editors, `parse` gives undefined for what is not allowed. */
export function scalar<T>(allowed: string, json: Json, parse: (text: string) => T | NotAllowed | undefined) {
  return z
    .unknown()
    .transform((value, context): T => {
      const result = typeof value === "string" ? parse(value) : undefined;
      if (result !== undefined && !(result instanceof NotAllowed)) return result;
      context.addIssue({ code: "custom", message: result instanceof NotAllowed ? result.allowed : allowed });
      return z.NEVER;
    })
    .meta({ description: allowed, ...json });
}

/** What an editor accepts in place of a number or word: a text with a variable. */
const VARIABLE: Json = { type: "string", pattern: "\\$\\{" };
export const orVariable = (json: Json): Json => ({ anyOf: [json, VARIABLE] });

const LONGEST = 3650 * 86_400_000;

/** A duration in milliseconds. */
export function duration(limits: { min?: number; max?: number } = {}) {
  const { min = 1, max = LONGEST } = limits;
  const json = orVariable({
    type: "string",
    pattern: "^(\\d+d)?(\\d+h)?(\\d+m)?(\\d+s)?(\\d+ms)?$",
    minLength: 2,
  });
  return scalar("a duration, such as 500ms, 30s, 5m, 1h30m, 7d", json, (text) => {
    const value = parseDuration(text);
    if (value === undefined || (value >= min && value <= max)) return value;
    return new NotAllowed(`a duration from ${formatDuration(min)} to ${formatDuration(max)}`);
  });
}

/** `off`, which is null. Tools that read YAML 1.1 write `off` as `false`, so that is taken too. */
export const off = () =>
  scalar("off", { enum: ["off", false] }, (text) => (text === "off" || text === "false" ? null : undefined));

export function number(limits: { min: number; max: number; integer?: boolean; above?: boolean }) {
  const { min, max, integer = false, above = false } = limits;
  const from = above ? `over ${min}, at most ${max}` : `from ${min} to ${max}`;
  const allowed = `a ${integer ? "whole " : ""}number ${from}`;
  const bound = above ? { exclusiveMinimum: min } : { minimum: min };
  const json = orVariable({ type: integer ? "integer" : "number", ...bound, maximum: max });
  return scalar(allowed, json, (text) => {
    if (!(integer ? /^\d{1,15}$/ : /^\d{1,15}(\.\d{1,15})?$/).test(text)) return undefined;
    const value = Number(text);
    return value <= max && (above ? value > min : value >= min) ? value : undefined;
  });
}

export const flag = () =>
  scalar("true or false", orVariable({ type: "boolean" }), (text) =>
    text === "true" ? true : text === "false" ? false : undefined,
  );

export function oneOf<const T extends string>(words: readonly T[]) {
  return scalar(words.join(", "), orVariable({ enum: [...words] }), (text) =>
    words.find((word) => word === text),
  );
}

/** A text of 1 to `most` characters without control characters. */
export function text(what: string, most = 128) {
  const allowed = `${what} (a text of 1 to ${most} characters)`;
  return scalar(allowed, { type: "string" }, (value) =>
    value.length >= 1 && value.length <= most && !hasControl(value) ? value : undefined,
  );
}

/** An id that becomes part of a path or a host name: letters, digits, `-` and `_`. */
export function identifier(what: string) {
  return scalar(`${what} (letters, digits, - and _, at most 64)`, { type: "string" }, (value) =>
    /^[\w-]{1,64}$/.test(value) ? value : undefined,
  );
}

/** A secret of one line. */
export function secret(what: string, json: Json = { type: "string" }) {
  return scalar(`${what}, not empty and on one line`, json, (value) =>
    value !== "" && !hasControl(value) ? new Secret(value) : undefined,
  );
}

/** A text of any form, as a template or a certificate. */
export function content(what: string) {
  return scalar(`${what}, not empty`, { type: "string" }, (value) =>
    value.trim() === "" ? undefined : value,
  );
}

export const glob = () => text("a glob, such as orders-*", 256);

/** A secret that may also stand in a file: `{ file: … }`. The file is read before the schema sees it. */
export function secretOrFile(what: string) {
  return secret(what, TEXT_OR_FILE);
}

export const TEXT_OR_FILE: Json = {
  anyOf: [
    { type: "string" },
    {
      type: "object",
      properties: { file: { type: "string" } },
      required: ["file"],
      additionalProperties: false,
    },
  ],
};

export function hasControl(value: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  return /[\u0000-\u001f\u007f]/.test(value);
}
